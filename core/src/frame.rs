//! Frames on the wire, as typed values.
//!
//! [`Frame::parse`] turns octets from a link into a [`Frame`] or says what is wrong with them;
//! [`Frame::encode`] turns a frame into octets. Both are total: no input makes them panic, and none
//! makes them allocate. What to do about a frame is not decided here: see [`crate::responder`].
//!
//! [`ethernet`] has the header that all share, [`arp`] and [`ndp`] what is inside, [`probe`] the
//! questions of this node; [`beacon`] is what
//! speakers say to each other, and has a codec of its own. The codecs of
//! `pnet` are used within these modules and appear in no signature, so that they can be replaced.
//! Only their fixed fields are: the accessors of NDP options compute lengths that overflow on
//! hostile input.

use serde::{Deserialize, Serialize};

use crate::mac::MacAddr;

pub mod arp;
pub mod beacon;
pub mod ethernet;
pub mod ndp;
pub mod probe;

use arp::{Arp, ArpError};
use ethernet::{EtherType, Ethernet, EthernetError, VlanId};
use ndp::{Advertisement, NdpError, Solicitation};

/// An ARP or NDP frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// The station or group that it is for.
    pub destination: MacAddr,
    /// The station that sent it. Switches learn from it where that station is.
    pub source: MacAddr,
    /// The VLAN of its 802.1Q tag, if it has one.
    pub vlan: Option<VlanId>,
    /// What it says.
    pub packet: Packet,
}

/// What a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Packet {
    /// ARP for IPv4 over Ethernet (RFC 826).
    Arp(Arp),
    /// An NDP Neighbor Solicitation (RFC 4861 section 4.3).
    Solicitation(Solicitation),
    /// An NDP Neighbor Advertisement (RFC 4861 section 4.4).
    Advertisement(Advertisement),
}

/// Why octets are not a [`Frame`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The header.
    #[error(transparent)]
    Ethernet(#[from] EthernetError),
    /// Neither ARP nor IPv6.
    #[error("EtherType {0} carries neither ARP nor IPv6")]
    EtherType(EtherType),
    /// An ARP packet that RFC 826 does not allow.
    #[error(transparent)]
    Arp(#[from] ArpError),
    /// An NDP packet that RFC 4861 tells to discard silently, or an IPv6 packet of another kind.
    #[error(transparent)]
    Ndp(#[from] NdpError),
}

impl Frame {
    /// Reads the frame at the start of `octets`. What follows it, such as padding, is ignored.
    pub fn parse(octets: &[u8]) -> Result<Self, FrameError> {
        let ethernet = Ethernet::parse(octets)?;
        let packet = match ethernet.ether_type {
            EtherType::ARP => Packet::Arp(Arp::parse(ethernet.payload)?),
            EtherType::IPV6 => ndp::parse(ethernet.payload)?,
            other => return Err(FrameError::EtherType(other)),
        };
        Ok(Self {
            destination: ethernet.destination,
            source: ethernet.source,
            vlan: ethernet.vlan,
            packet,
        })
    }

    /// The octets to send, padded with zeros to the least length that Ethernet allows (G5).
    #[must_use]
    pub fn encode(&self) -> Encoded {
        let mut octets = [0; Encoded::CAPACITY];
        let ether_type = match self.packet {
            Packet::Arp(_) => EtherType::ARP,
            Packet::Solicitation(_) | Packet::Advertisement(_) => EtherType::IPV6,
        };
        let header = ethernet::write_header(self, ether_type, &mut octets);
        let payload = &mut octets[header..];
        let length = header
            + match &self.packet {
                Packet::Arp(arp) => arp.write(payload),
                Packet::Solicitation(solicitation) => solicitation.write(payload),
                Packet::Advertisement(advertisement) => advertisement.write(payload),
            };
        Encoded {
            octets,
            length: length.max(ethernet::LEAST_LENGTH),
        }
    }
}

/// The octets of a [`Frame`], held without an allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoded {
    octets: [u8; Self::CAPACITY],
    length: usize,
}

impl Encoded {
    /// More than any frame needs: a tagged header (18), IPv6 (40), and a Neighbor Advertisement
    /// with one option (32).
    const CAPACITY: usize = 96;

    /// The octets, from the destination address on, without the frame check sequence.
    #[must_use]
    pub fn as_octets(&self) -> &[u8] {
        &self.octets[..self.length]
    }
}

#[cfg(test)]
mod tests;
