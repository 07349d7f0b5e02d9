//! What to answer to a frame.
//!
//! [`respond`] is a pure function from a frame, the link that it came in on, and the addresses that
//! are announced there, to a [`Verdict`]. It holds no state. The caller asks it and sends what it
//! says in one go, with nothing in between that could change who announces the address (A9).
//!
//! The rules by which it decides:
//!
//! | rule | what it says |
//! |---|---|
//! | A1 | answer a well-formed request for an address that is announced on the link ([`crate::frame::arp`]) |
//! | A2 | answer to the asker alone, from the MAC address of the link |
//! | A3 | answer a probe, whose asker has no address yet |
//! | A4 | do not answer an asker that cannot exist, nor one that uses the address itself |
//! | A5 | answer only what is for this node or for all, and never itself |
//! | A6 | answer a request that is sent to this node alone: it asks whether it is still there |
//! | A7 | answer from the link that the request came in on ([`crate::link::Links::announcing`] picks one per network) |
//! | A8 | answer a priority tag without a tag, and no other VLAN: the kernel takes a tag out and says of what belongs to a VLAN that it is for another station ([`Delivery::Other`]); a tag that it has left in is looked at |
//! | N1 | answer no solicitation that RFC 4861 section 7.1.1 tells to discard ([`crate::frame::ndp`]) |
//! | N2 | say that the answer overrides, and to which MAC address; tell all when the asker has no address |
//! | N3 | answer also when the asker leaves its MAC address out |
//! | N10 | answer IPv6 only from a link-local address |

use std::net::{IpAddr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use crate::frame::arp::{Arp, Operation};
use crate::frame::ethernet::VlanId;
use crate::frame::ndp::{self, ALL_NODES, Advertisement, Solicitation};
use crate::frame::{Frame, FrameError, Packet};
use crate::link::{Link, Links};
use crate::mac::MacAddr;

/// A frame as the kernel hands it over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Received<'a> {
    /// The frame, from the destination address on.
    pub octets: &'a [u8],
    /// Whom the kernel takes it to be for.
    pub delivery: Delivery,
}

/// Whom a frame is for: the packet type of packet(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Delivery {
    /// For this node.
    Host,
    /// For all.
    Broadcast,
    /// For a group.
    Multicast,
    /// For another station: seen because the link is promiscuous, or belongs to a VLAN that this
    /// node does not have.
    Other,
    /// Sent by this node.
    Outgoing,
}

/// What to do about a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Send this at once.
    Answer(Frame),
    /// Another station says that an address is its own that is announced here.
    Foreign(ForeignClaim),
    /// Nothing.
    Ignore(Ignored),
}

/// Another station uses an address that is announced here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ForeignClaim {
    /// The address.
    pub address: IpAddr,
    /// The station.
    pub mac: MacAddr,
}

/// Why nothing is done about a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ignored {
    /// Not for this node, or from it.
    #[error("it is not for this node")]
    NotForUs,
    /// In a VLAN of its own.
    #[error("it belongs to VLAN {0:?}")]
    Vlan(VlanId),
    /// Neither ARP nor NDP, or not as their specifications demand.
    #[error(transparent)]
    Malformed(#[from] FrameError),
    /// Its sender cannot exist.
    #[error("no station can have sent it")]
    Sender,
    /// It asks for nothing.
    #[error("it is no question")]
    NoQuestion,
    /// It asks for an address that is not announced on the link.
    #[error("it asks for an address that is not announced here")]
    NotAnnounced,
    /// It asks for an IPv6 address on a link that has no address to answer from.
    #[error("the link has no usable link-local address")]
    NoLinkLocal,
}

/// What to do about a frame that came in on `link`, one of the node's `links`.
///
/// `announces` tells whether an address is announced on `link`.
pub fn respond(
    received: &Received<'_>,
    link: &Link,
    links: &Links,
    announces: impl Fn(IpAddr) -> bool,
) -> Verdict {
    let station = Station {
        link,
        links,
        announces,
    };
    station.decide(received).unwrap_or_else(Verdict::Ignore)
}

/// This node as it appears on the link.
struct Station<'a, A> {
    link: &'a Link,
    links: &'a Links,
    announces: A,
}

impl<A: Fn(IpAddr) -> bool> Station<'_, A> {
    fn decide(&self, received: &Received<'_>) -> Result<Verdict, Ignored> {
        if matches!(received.delivery, Delivery::Other | Delivery::Outgoing) {
            return Err(Ignored::NotForUs);
        }
        let frame = Frame::parse(received.octets)?;
        if let Some(vlan) = frame.vlan
            && vlan != VlanId::PRIORITY
        {
            return Err(Ignored::Vlan(vlan));
        }
        if self.links.send_from(frame.source) {
            return Err(Ignored::NotForUs);
        }
        match frame.packet {
            Packet::Arp(arp) => self.arp(frame.destination, &arp),
            Packet::Solicitation(asked) => self.solicitation(&frame, &asked),
            Packet::Advertisement(told) => self.advertisement(&frame, &told),
        }
    }

    fn arp(&self, destination: MacAddr, arp: &Arp) -> Result<Verdict, Ignored> {
        if destination != MacAddr::BROADCAST && destination != self.link.mac {
            return Err(Ignored::NotForUs);
        }
        self.check_sender(arp.sender_mac)?;
        if (self.announces)(arp.sender_ip.into()) {
            return Ok(foreign(arp.sender_ip.into(), arp.sender_mac));
        }
        if arp.sender_ip.is_multicast()
            || arp.sender_ip.is_loopback()
            || arp.sender_ip.is_broadcast()
        {
            return Err(Ignored::Sender);
        }
        if arp.operation != Operation::Request {
            return Err(Ignored::NoQuestion);
        }
        if !(self.announces)(arp.target_ip.into()) {
            return Err(Ignored::NotAnnounced);
        }
        let answer = Packet::Arp(Arp {
            operation: Operation::Reply,
            sender_mac: self.link.mac,
            sender_ip: arp.target_ip,
            target_mac: arp.sender_mac,
            target_ip: arp.sender_ip,
        });
        Ok(self.answer(arp.sender_mac, answer))
    }

    fn solicitation(&self, frame: &Frame, asked: &Solicitation) -> Result<Verdict, Ignored> {
        self.check_destination(frame.destination, asked.destination)?;
        // N3: without the option the Ethernet header tells where the asker is.
        let neighbour = asked.source_mac.unwrap_or(frame.source);
        self.check_sender(neighbour)?;
        if (self.announces)(asked.source.into()) {
            return Ok(foreign(asked.source.into(), neighbour));
        }
        if !(self.announces)(asked.target.into()) {
            return Err(Ignored::NotAnnounced);
        }
        let source = self.link.link_local.ok_or(Ignored::NoLinkLocal)?;
        let probe = asked.source.is_unspecified();
        let (mac, destination) = if probe {
            (ndp::multicast_mac(ALL_NODES), ALL_NODES)
        } else {
            (neighbour, asked.source)
        };
        let answer = Packet::Advertisement(Advertisement {
            source,
            destination,
            target: asked.target,
            router: self.link.router,
            solicited: !probe,
            overrides: true,
            target_mac: Some(self.link.mac),
        });
        Ok(self.answer(mac, answer))
    }

    fn advertisement(&self, frame: &Frame, told: &Advertisement) -> Result<Verdict, Ignored> {
        self.check_destination(frame.destination, told.destination)?;
        let mac = told.target_mac.unwrap_or(frame.source);
        self.check_sender(mac)?;
        if (self.announces)(told.target.into()) {
            return Ok(foreign(told.target.into(), mac));
        }
        Err(Ignored::NoQuestion)
    }

    /// An IPv6 packet arrives at the MAC address of the link, or at that of its group.
    fn check_destination(&self, mac: MacAddr, destination: Ipv6Addr) -> Result<(), Ignored> {
        let to_its_group = destination.is_multicast() && mac == ndp::multicast_mac(destination);
        if mac == self.link.mac || to_its_group {
            Ok(())
        } else {
            Err(Ignored::NotForUs)
        }
    }

    /// A4: the sender is one station, and not this node.
    fn check_sender(&self, mac: MacAddr) -> Result<(), Ignored> {
        if mac.is_unicast() && !self.links.send_from(mac) {
            Ok(())
        } else {
            Err(Ignored::Sender)
        }
    }

    fn answer(&self, destination: MacAddr, packet: Packet) -> Verdict {
        Verdict::Answer(Frame {
            destination,
            source: self.link.mac,
            vlan: None,
            packet,
        })
    }
}

fn foreign(address: IpAddr, mac: MacAddr) -> Verdict {
    Verdict::Foreign(ForeignClaim { address, mac })
}

#[cfg(test)]
mod tests;
