//! The Ethernet II header (IEEE 802.3 section 3.1.1), with at most one 802.1Q tag.
//!
//! What the header carries is in [`super::arp`] and [`super::ndp`].

use std::fmt;

use pnet::packet::ethernet::{EtherTypes, EthernetPacket, MutableEthernetPacket};
use pnet::packet::vlan::{MutableVlanPacket, VlanPacket};
use serde::{Deserialize, Serialize};

use super::Frame;
use crate::mac::MacAddr;

/// The least length of a frame in octets, without the frame check sequence. Some virtual switches
/// drop shorter ones (G5).
pub const LEAST_LENGTH: usize = 60;

const UNTAGGED_HEADER: usize = EthernetPacket::minimum_packet_size();
const TAG: usize = VlanPacket::minimum_packet_size();

/// What protocol the payload of a frame belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EtherType(pub u16);

impl EtherType {
    /// ARP.
    pub const ARP: Self = Self(EtherTypes::Arp.0);
    /// IPv6, which carries NDP.
    pub const IPV6: Self = Self(EtherTypes::Ipv6.0);
    /// An 802.1Q tag, with the payload's type behind it.
    const VLAN: Self = Self(EtherTypes::Vlan.0);
}

impl fmt::Display for EtherType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:04x}", self.0)
    }
}

/// The VLAN that an 802.1Q tag names, from 0 to 4095.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VlanId(u16);

impl VlanId {
    /// No VLAN: the tag is there for its priority alone (802.1Q section 9.6).
    pub const PRIORITY: Self = Self(0);

    /// The VLAN in the low 12 bits of a tag's control information; the rest is priority.
    #[must_use]
    pub const fn from_tag(control_information: u16) -> Self {
        Self(control_information & 0x0fff)
    }
}

/// A frame as its header describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ethernet<'a> {
    /// The station or group that it is for.
    pub destination: MacAddr,
    /// The station that sent it.
    pub source: MacAddr,
    /// The VLAN of its tag, if it has one.
    pub vlan: Option<VlanId>,
    /// What the payload is.
    pub ether_type: EtherType,
    /// What follows the header, padding included.
    pub payload: &'a [u8],
}

/// Octets that do not hold an Ethernet header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the frame ends within its Ethernet header, after {length} octets")]
pub struct EthernetError {
    /// How many octets there are.
    pub length: usize,
}

impl<'a> Ethernet<'a> {
    /// Reads the header at the start of `octets`.
    pub fn parse(octets: &'a [u8]) -> Result<Self, EthernetError> {
        let error = EthernetError {
            length: octets.len(),
        };
        let header = EthernetPacket::new(octets).ok_or(error)?;
        let mut ether_type = EtherType(header.get_ethertype().0);
        let mut vlan = None;
        let mut payload = &octets[UNTAGGED_HEADER..];
        if ether_type == EtherType::VLAN {
            let tag = VlanPacket::new(payload).ok_or(error)?;
            vlan = Some(VlanId::from_tag(tag.get_vlan_identifier()));
            ether_type = EtherType(tag.get_ethertype().0);
            payload = &payload[TAG..];
        }
        Ok(Self {
            destination: header.get_destination().into(),
            source: header.get_source().into(),
            vlan,
            ether_type,
            payload,
        })
    }
}

/// Writes the header of `frame` to the start of `octets` and returns its length.
///
/// # Panics
/// If it does not fit into `octets`.
pub(super) fn write_header(frame: &Frame, ether_type: EtherType, octets: &mut [u8]) -> usize {
    let outer = if frame.vlan.is_some() {
        EtherType::VLAN
    } else {
        ether_type
    };
    let mut header = fits(MutableEthernetPacket::new(octets));
    header.set_destination(frame.destination.into());
    header.set_source(frame.source.into());
    header.set_ethertype(pnet::packet::ethernet::EtherType(outer.0));
    let Some(VlanId(vlan)) = frame.vlan else {
        return UNTAGGED_HEADER;
    };
    let mut tag = fits(MutableVlanPacket::new(&mut octets[UNTAGGED_HEADER..]));
    tag.set_vlan_identifier(vlan);
    tag.set_ethertype(pnet::packet::ethernet::EtherType(ether_type.0));
    UNTAGGED_HEADER + TAG
}

/// A view that a codec gives of a buffer, or none if the buffer is too short.
#[expect(
    clippy::expect_used,
    reason = "`Frame::encode` hands out a buffer that holds the longest frame there is"
)]
pub(super) fn fits<T>(view: Option<T>) -> T {
    view.expect("the buffer of an encoded frame holds every packet")
}

impl From<pnet::util::MacAddr> for MacAddr {
    fn from(address: pnet::util::MacAddr) -> Self {
        Self(address.octets())
    }
}

impl From<MacAddr> for pnet::util::MacAddr {
    fn from(address: MacAddr) -> Self {
        address.0.into()
    }
}
