//! What an announcement is made of.
//!
//! | | IPv4 | IPv6 |
//! |---|---|---|
//! | always | an ARP request and an ARP reply to all (G1) | an advertisement to all nodes (N4) |
//! | the first | | an advertisement to all routers (RFC 9131, N6) |
//! | before refreshes | an ARP request to each gateway (G3) | a solicitation to each gateway (N6) |
//!
//! Stations take the sender of a request to themselves into their cache whatever state it is in,
//! which no announcement to all achieves. So each gateway is asked for its own address, in the name
//! of the announced one; its answer comes to nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::frame::arp::{Arp, Operation};
use crate::frame::ndp::{self, ALL_NODES, ALL_ROUTERS, Advertisement, Solicitation};
use crate::frame::{Frame, Packet};
use crate::link::Link;
use crate::mac::MacAddr;

/// Why an announcement goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occasion {
    /// The address has come to this node or this link.
    First,
    /// To be sure that the first one arrived.
    Repeat,
    /// To keep switches and caches from forgetting.
    Refresh,
}

/// Frame number `index` (from 0 on) of an announcement of `address` on `link`; none past the last.
///
/// IPv6 on a link without a link-local address has no frames at all (N10).
pub(super) fn frame(
    address: IpAddr,
    link: &Link,
    occasion: Occasion,
    index: usize,
) -> Option<Frame> {
    let fixed = match address {
        IpAddr::V4(address) => match index {
            0 => return Some(arp_request(address, address, link)),
            1 => return Some(arp_reply(address, link)),
            _ => 2,
        },
        IpAddr::V6(address) => {
            let source = link.link_local?;
            match (index, occasion) {
                (0, _) => return Some(advertisement(address, source, ALL_NODES, link)),
                (1, Occasion::First) => {
                    return Some(advertisement(address, source, ALL_ROUTERS, link));
                }
                (_, Occasion::First) => 2,
                _ => 1,
            }
        }
    };
    if occasion == Occasion::Refresh {
        return None;
    }
    let mut same_family = link
        .gateways
        .iter()
        .filter(|gateway| gateway.is_ipv4() == address.is_ipv4());
    match (address, *same_family.nth(index - fixed)?) {
        (IpAddr::V4(address), IpAddr::V4(gateway)) => Some(arp_request(address, gateway, link)),
        (IpAddr::V6(address), IpAddr::V6(gateway)) => Some(solicitation(address, gateway, link)),
        _ => None,
    }
}

/// RFC 5227 section 3: an announcement is a request. RFC 826 lets everyone update by it.
fn arp_request(address: Ipv4Addr, target: Ipv4Addr, link: &Link) -> Frame {
    to_all(
        link,
        Arp {
            operation: Operation::Request,
            sender_mac: link.mac,
            sender_ip: address,
            target_mac: MacAddr::ZERO,
            target_ip: target,
        },
    )
}

/// RFC 5944 section 4.6: in an announcement that is a reply, target and sender are the same. With
/// another target Linux ignores it while its entry is fresh.
fn arp_reply(address: Ipv4Addr, link: &Link) -> Frame {
    to_all(
        link,
        Arp {
            operation: Operation::Reply,
            sender_mac: link.mac,
            sender_ip: address,
            target_mac: link.mac,
            target_ip: address,
        },
    )
}

fn to_all(link: &Link, arp: Arp) -> Frame {
    Frame {
        destination: MacAddr::BROADCAST,
        source: link.mac,
        vlan: None,
        packet: Packet::Arp(arp),
    }
}

/// N5: it overrides, and is sent without a delay; the rules for anycast (RFC 4861 section 7.2.7)
/// would defeat failover.
fn advertisement(address: Ipv6Addr, source: Ipv6Addr, group: Ipv6Addr, link: &Link) -> Frame {
    Frame {
        destination: ndp::multicast_mac(group),
        source: link.mac,
        vlan: None,
        packet: Packet::Advertisement(Advertisement {
            source,
            destination: group,
            target: address,
            router: link.router,
            solicited: false,
            overrides: true,
            target_mac: Some(link.mac),
        }),
    }
}

fn solicitation(address: Ipv6Addr, gateway: Ipv6Addr, link: &Link) -> Frame {
    let destination = ndp::solicited_node(gateway);
    Frame {
        destination: ndp::multicast_mac(destination),
        source: link.mac,
        vlan: None,
        packet: Packet::Solicitation(Solicitation {
            source: address,
            destination,
            target: gateway,
            source_mac: Some(link.mac),
        }),
    }
}

#[cfg(test)]
mod tests;
