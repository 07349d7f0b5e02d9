//! NDP's Neighbor Solicitation and Neighbor Advertisement (RFC 4861), with the IPv6 header around
//! them.
//!
//! Parsing validates as sections 7.1.1 and 7.1.2 demand: what they tell to discard silently is an
//! error here. Packets with extension headers before ICMPv6 are not looked into: no
//! implementation sends NDP that way, and RFC 6980 forbids the fragmented kind.

use std::net::Ipv6Addr;

use pnet::packet::icmpv6::ndp::{
    MutableNeighborAdvertPacket, MutableNeighborSolicitPacket, NdpOptionTypes, NeighborAdvertFlags,
    NeighborAdvertPacket, NeighborSolicitPacket,
};
use pnet::packet::icmpv6::{Icmpv6Packet, Icmpv6Types, MutableIcmpv6Packet, checksum};
use pnet::packet::ip::{IpNextHeaderProtocol, IpNextHeaderProtocols};
use pnet::packet::ipv6::{Ipv6Packet, MutableIpv6Packet};
use serde::{Deserialize, Serialize};

use super::Packet;
use super::ethernet::fits;
use crate::mac::MacAddr;

/// All nodes of the link (RFC 4291 section 2.7.1).
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// All routers of the link (RFC 4291 section 2.7.1).
pub const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

const IPV6_HEADER: usize = Ipv6Packet::minimum_packet_size();
/// Of a solicitation and of an advertisement without options.
const FIXED: usize = NeighborSolicitPacket::minimum_packet_size();
/// Of an option that holds a MAC address; lengths of options count in such units.
const OPTION: usize = 8;
/// Only a packet that no router has forwarded has the greatest hop limit left (RFC 4861 section 3.1).
const HOP_LIMIT: u8 = 255;

/// The solicited-node group of `target` (RFC 4291 section 2.7.1): its solicitations are sent there.
#[must_use]
pub const fn solicited_node(target: Ipv6Addr) -> Ipv6Addr {
    let [.., high, low] = target.segments();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | (high & 0xff), low)
}

/// The Ethernet address of an IPv6 multicast group (RFC 2464 section 7).
#[must_use]
pub const fn multicast_mac(group: Ipv6Addr) -> MacAddr {
    let [.., a, b, c, d] = group.octets();
    MacAddr([0x33, 0x33, a, b, c, d])
}

/// A Neighbor Solicitation: who has `target`?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Solicitation {
    /// The IPv6 address of the sender. Unspecified when it looks for duplicates of `target`
    /// (RFC 4862 section 5.4.2).
    pub source: Ipv6Addr,
    /// The target itself, or its solicited-node group.
    pub destination: Ipv6Addr,
    /// The address that is asked for.
    pub target: Ipv6Addr,
    /// The MAC address that belongs to `source`, if the sender says it.
    pub source_mac: Option<MacAddr>,
}

/// A Neighbor Advertisement: `target` is at this MAC address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advertisement {
    /// The IPv6 address of the sender.
    pub source: Ipv6Addr,
    /// Who is told: a node, or a group such as [`ALL_NODES`].
    pub destination: Ipv6Addr,
    /// The address that is advertised.
    pub target: Ipv6Addr,
    /// R: the sender is a router.
    pub router: bool,
    /// S: it answers a solicitation.
    pub solicited: bool,
    /// O: it replaces a MAC address that the receiver has already. Without it Linux keeps the old
    /// one.
    pub overrides: bool,
    /// The MAC address that belongs to `target`, if the sender says it.
    pub target_mac: Option<MacAddr>,
}

/// Why octets are not a solicitation or advertisement that may be acted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NdpError {
    /// Shorter than its headers say, or than the fixed part of the message.
    #[error("the NDP packet is cut short: {length} octets are left where {needed} are needed")]
    Short {
        /// How many octets there are.
        length: usize,
        /// How many there must be at least.
        needed: usize,
    },
    /// The IP version is not 6.
    #[error("IP version {0} is not 6")]
    Version(u8),
    /// Something other than ICMPv6.
    #[error("next header {0} is not ICMPv6 (58)")]
    NextHeader(u8),
    /// ICMPv6 of another kind.
    #[error("ICMPv6 type {0} is neither a Neighbor Solicitation (135) nor an Advertisement (136)")]
    Type(u8),
    /// A router has forwarded it.
    #[error("hop limit {0} is not 255: the packet comes from another link")]
    HopLimit(u8),
    /// The checksum does not match.
    #[error("the ICMPv6 checksum is wrong")]
    Checksum,
    /// The code is not 0.
    #[error("ICMPv6 code {0} is not 0")]
    Code(u8),
    /// The target is a group.
    #[error("target {0} is a multicast address")]
    MulticastTarget(Ipv6Addr),
    /// The source is a group.
    #[error("source {0} is a multicast address")]
    MulticastSource(Ipv6Addr),
    /// An option says that it has no length.
    #[error("an NDP option has the length 0")]
    EmptyOption,
    /// A solicitation without a source to a destination that is no solicited-node group.
    #[error("a solicitation without a source went to {0}, which is no solicited-node group")]
    UnspecifiedSourceDestination(Ipv6Addr),
    /// A solicitation without a source that says the MAC address of its source.
    #[error("a solicitation without a source has a source link-layer address")]
    UnspecifiedSourceMac,
    /// An advertisement to a group that says it was solicited.
    #[error("an advertisement to the group {0} says that it was solicited")]
    SolicitedMulticast(Ipv6Addr),
}

/// Reads the IPv6 packet at the start of `octets`, which are the payload of a frame (N1).
pub fn parse(octets: &[u8]) -> Result<Packet, NdpError> {
    let short = |needed| NdpError::Short {
        length: octets.len(),
        needed,
    };
    let ip = Ipv6Packet::new(octets).ok_or(short(IPV6_HEADER))?;
    if ip.get_version() != 6 {
        return Err(NdpError::Version(ip.get_version()));
    }
    let IpNextHeaderProtocol(next_header) = ip.get_next_header();
    if ip.get_next_header() != IpNextHeaderProtocols::Icmpv6 {
        return Err(NdpError::NextHeader(next_header));
    }
    let end = IPV6_HEADER + usize::from(ip.get_payload_length());
    let octets = octets.get(IPV6_HEADER..end).ok_or(short(end))?;
    let header = Header {
        source: ip.get_source(),
        destination: ip.get_destination(),
        hop_limit: ip.get_hop_limit(),
    };
    let icmp = Icmpv6Packet::new(octets).ok_or(NdpError::Short {
        length: octets.len(),
        needed: FIXED,
    })?;
    match icmp.get_icmpv6_type() {
        Icmpv6Types::NeighborSolicit => {
            header.validate(&icmp, octets)?;
            Solicitation::parse(&header, octets).map(Packet::Solicitation)
        }
        Icmpv6Types::NeighborAdvert => {
            header.validate(&icmp, octets)?;
            Advertisement::parse(&header, octets).map(Packet::Advertisement)
        }
        other => Err(NdpError::Type(other.0)),
    }
}

/// What of the IPv6 header matters to NDP.
struct Header {
    source: Ipv6Addr,
    destination: Ipv6Addr,
    hop_limit: u8,
}

impl Header {
    /// What sections 7.1.1 and 7.1.2 demand of both messages, but for the target and the options.
    fn validate(&self, icmp: &Icmpv6Packet<'_>, octets: &[u8]) -> Result<(), NdpError> {
        if self.hop_limit != HOP_LIMIT {
            return Err(NdpError::HopLimit(self.hop_limit));
        }
        if icmp.get_checksum() != checksum(icmp, &self.source, &self.destination) {
            return Err(NdpError::Checksum);
        }
        if icmp.get_icmpv6_code().0 != 0 {
            return Err(NdpError::Code(icmp.get_icmpv6_code().0));
        }
        if octets.len() < FIXED {
            return Err(NdpError::Short {
                length: octets.len(),
                needed: FIXED,
            });
        }
        if self.source.is_multicast() {
            return Err(NdpError::MulticastSource(self.source));
        }
        Ok(())
    }

    /// Writes itself around a message of `length` octets.
    fn write(&self, length: usize, octets: &mut [u8]) {
        let mut ip = fits(MutableIpv6Packet::new(octets));
        ip.set_version(6);
        ip.set_payload_length(u16::try_from(length).unwrap_or(u16::MAX));
        ip.set_next_header(IpNextHeaderProtocols::Icmpv6);
        ip.set_hop_limit(self.hop_limit);
        ip.set_source(self.source);
        ip.set_destination(self.destination);
    }
}

impl Solicitation {
    fn parse(header: &Header, octets: &[u8]) -> Result<Self, NdpError> {
        let packet = fits_fixed(NeighborSolicitPacket::new(octets), octets)?;
        let solicitation = Self {
            source: header.source,
            destination: header.destination,
            target: unicast(packet.get_target_addr())?,
            source_mac: mac_option(NdpOptionTypes::SourceLLAddr.0, octets)?,
        };
        if solicitation.source.is_unspecified() {
            if !is_solicited_node(solicitation.destination) {
                return Err(NdpError::UnspecifiedSourceDestination(
                    solicitation.destination,
                ));
            }
            if solicitation.source_mac.is_some() {
                return Err(NdpError::UnspecifiedSourceMac);
            }
        }
        Ok(solicitation)
    }

    /// Writes the packet, from the IPv6 header on, to the start of `octets` and returns its length.
    pub(super) fn write(&self, octets: &mut [u8]) -> usize {
        let (ip, message) = octets.split_at_mut(IPV6_HEADER);
        let mut packet = fits(MutableNeighborSolicitPacket::new(message));
        packet.set_icmpv6_type(Icmpv6Types::NeighborSolicit);
        packet.set_target_addr(self.target);
        let header = Header {
            source: self.source,
            destination: self.destination,
            hop_limit: HOP_LIMIT,
        };
        finish(
            &header,
            NdpOptionTypes::SourceLLAddr.0,
            self.source_mac,
            ip,
            message,
        )
    }
}

impl Advertisement {
    fn parse(header: &Header, octets: &[u8]) -> Result<Self, NdpError> {
        let packet = fits_fixed(NeighborAdvertPacket::new(octets), octets)?;
        let has = |flag| packet.get_flags() & flag != 0;
        let advertisement = Self {
            source: header.source,
            destination: header.destination,
            target: unicast(packet.get_target_addr())?,
            router: has(NeighborAdvertFlags::Router),
            solicited: has(NeighborAdvertFlags::Solicited),
            overrides: has(NeighborAdvertFlags::Override),
            target_mac: mac_option(NdpOptionTypes::TargetLLAddr.0, octets)?,
        };
        if advertisement.solicited && advertisement.destination.is_multicast() {
            return Err(NdpError::SolicitedMulticast(advertisement.destination));
        }
        Ok(advertisement)
    }

    /// Writes the packet, from the IPv6 header on, to the start of `octets` and returns its length.
    pub(super) fn write(&self, octets: &mut [u8]) -> usize {
        let (ip, message) = octets.split_at_mut(IPV6_HEADER);
        let mut packet = fits(MutableNeighborAdvertPacket::new(message));
        let flag = |set, flag| if set { flag } else { 0 };
        packet.set_icmpv6_type(Icmpv6Types::NeighborAdvert);
        packet.set_flags(
            flag(self.router, NeighborAdvertFlags::Router)
                | flag(self.solicited, NeighborAdvertFlags::Solicited)
                | flag(self.overrides, NeighborAdvertFlags::Override),
        );
        packet.set_target_addr(self.target);
        let header = Header {
            source: self.source,
            destination: self.destination,
            hop_limit: HOP_LIMIT,
        };
        finish(
            &header,
            NdpOptionTypes::TargetLLAddr.0,
            self.target_mac,
            ip,
            message,
        )
    }
}

/// Adds the option, if there is a MAC address to say, the checksum and the IPv6 header to a message
/// whose fixed part is written. Returns the length of all.
fn finish(
    header: &Header,
    option_type: u8,
    mac: Option<MacAddr>,
    ip: &mut [u8],
    message: &mut [u8],
) -> usize {
    let mut length = FIXED;
    if let Some(MacAddr(mac)) = mac {
        let option = &mut message[FIXED..FIXED + OPTION];
        option[0] = option_type;
        option[1] = 1;
        option[2..].copy_from_slice(&mac);
        length += OPTION;
    }
    let message = &mut message[..length];
    let sum = checksum(
        &fits(Icmpv6Packet::new(message)),
        &header.source,
        &header.destination,
    );
    fits(MutableIcmpv6Packet::new(message)).set_checksum(sum);
    header.write(length, ip);
    IPV6_HEADER + length
}

/// The MAC address in the first option of `option_type`, if there is one. Looks at all options,
/// because one without a length makes the whole packet invalid.
fn mac_option(option_type: u8, message: &[u8]) -> Result<Option<MacAddr>, NdpError> {
    let mut found = None;
    let mut options = message.get(FIXED..).unwrap_or_default();
    while let [kind, units, ..] = *options {
        if units == 0 {
            return Err(NdpError::EmptyOption);
        }
        let (option, rest) = options
            .split_at_checked(OPTION * usize::from(units))
            .ok_or(NdpError::Short {
                length: options.len(),
                needed: OPTION * usize::from(units),
            })?;
        if kind == option_type
            && found.is_none()
            && let Some(&mac) = option[2..].first_chunk()
        {
            found = Some(MacAddr(mac));
        }
        options = rest;
    }
    if options.is_empty() {
        Ok(found)
    } else {
        Err(NdpError::Short {
            length: options.len(),
            needed: OPTION,
        })
    }
}

fn fits_fixed<T>(view: Option<T>, octets: &[u8]) -> Result<T, NdpError> {
    view.ok_or(NdpError::Short {
        length: octets.len(),
        needed: FIXED,
    })
}

fn unicast(target: Ipv6Addr) -> Result<Ipv6Addr, NdpError> {
    if target.is_multicast() {
        Err(NdpError::MulticastTarget(target))
    } else {
        Ok(target)
    }
}

fn is_solicited_node(group: Ipv6Addr) -> bool {
    group == solicited_node(group)
}

#[cfg(test)]
mod tests;
