//! Questions in nobody's name: who has this address?
//!
//! An ARP probe (RFC 5227 section 2.1.1) and a solicitation for duplicate address detection (RFC
//! 4862 section 5.4.2) carry no address of the asker, so that no cache learns anything from them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::arp::{Arp, Operation};
use super::ndp::{self, Solicitation};
use super::{Frame, Packet};
use crate::mac::MacAddr;

/// The question for `address`, from the station `source`.
#[must_use]
pub fn probe(address: IpAddr, source: MacAddr) -> Frame {
    let (destination, packet) = match address {
        IpAddr::V4(address) => (
            MacAddr::BROADCAST,
            Packet::Arp(Arp {
                operation: Operation::Request,
                sender_mac: source,
                sender_ip: Ipv4Addr::UNSPECIFIED,
                target_mac: MacAddr([0; 6]),
                target_ip: address,
            }),
        ),
        IpAddr::V6(address) => {
            let group = ndp::solicited_node(address);
            (
                ndp::multicast_mac(group),
                Packet::Solicitation(Solicitation {
                    source: Ipv6Addr::UNSPECIFIED,
                    destination: group,
                    target: address,
                    source_mac: None,
                }),
            )
        }
    };
    Frame {
        destination,
        source,
        vlan: None,
        packet,
    }
}

impl Frame {
    /// The address that the sender says it has, and its MAC address; none, if it only asks in
    /// nobody's name.
    #[must_use]
    pub fn claim(&self) -> Option<(IpAddr, MacAddr)> {
        match &self.packet {
            Packet::Arp(arp) if arp.sender_ip.is_unspecified() => None,
            Packet::Arp(arp) => Some((arp.sender_ip.into(), arp.sender_mac)),
            Packet::Solicitation(asked) if asked.source.is_unspecified() => None,
            Packet::Solicitation(asked) => {
                Some((asked.source.into(), asked.source_mac.unwrap_or(self.source)))
            }
            Packet::Advertisement(told) => {
                Some((told.target.into(), told.target_mac.unwrap_or(self.source)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

    #[test]
    fn a_probe_claims_nothing_and_is_read_as_it_was_written() {
        for address in ["192.0.2.10", "2001:db8::10"] {
            let frame = probe(address.parse().expect("an address"), MAC);
            assert_eq!(frame.claim(), None);
            assert_eq!(Frame::parse(frame.encode().as_octets()), Ok(frame));
        }
    }

    #[test]
    fn an_announcement_claims_its_sender() {
        let frame = probe("192.0.2.10".parse().expect("an address"), MAC);
        let Packet::Arp(arp) = frame.packet else {
            panic!("ARP");
        };
        let sender_ip = Ipv4Addr::new(192, 0, 2, 7);
        let packet = Packet::Arp(Arp { sender_ip, ..arp });
        let frame = Frame { packet, ..frame };
        assert_eq!(frame.claim(), Some((sender_ip.into(), MAC)));
    }
}
