//! The network that the tests are made on: a node, a client, and a cable between them.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use bellwether_core::frame::arp::{Arp, Operation};
use bellwether_core::frame::ndp::{self, Advertisement, Solicitation};
use bellwether_core::frame::{Frame, Packet};
use bellwether_core::mac::MacAddr;

use crate::namespace::Namespace;
use crate::tap::Tap;

pub const NODE_MAC: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0x0a]);
pub const CLIENT_MAC: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0xc1]);
/// A station that is on the link in name only.
pub const STRANGER_MAC: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0xee]);
pub const CLIENT_IP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub const STRANGER_IP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 99);
pub const VIP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
/// Announced too, so that an answer for it shows that what was asked before has been dealt with.
pub const WITNESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 12);
pub const VIP6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10);
pub const WITNESS6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x12);
pub const CLIENT_IP6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xc1);
pub const NODE_IP6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x0a);

/// A node and a client on one cable.
pub struct Lan {
    /// Has `eth0` with 192.0.2.5, `2001:db8::5` and [`NODE_IP6`].
    pub node: Namespace,
    /// Has `eth0` with 192.0.2.1, `2001:db8::1` and [`CLIENT_IP6`].
    pub client: Namespace,
    /// On the client's end.
    pub tap: Tap,
}

impl Lan {
    pub fn new() -> Self {
        let (node, client) = (Namespace::new(), Namespace::new());
        node.connect("eth0", &client, "eth0");
        configure(&node, "eth0", NODE_MAC, 5, Some(NODE_IP6));
        configure(&client, "eth0", CLIENT_MAC, 1, Some(CLIENT_IP6));
        let tap = Tap::on(&client, "eth0");
        Self { node, client, tap }
    }
}

/// Gives a link its MAC address and addresses that end in `host`.
pub fn configure(
    host: &Namespace,
    link: &str,
    mac: MacAddr,
    number: u8,
    link_local: Option<Ipv6Addr>,
) {
    host.ip(&format!("link set {link} addrgenmode none"));
    host.ip(&format!("-6 addr flush dev {link}"));
    host.ip(&format!("link set {link} address {mac}"));
    host.ip(&format!("addr add 192.0.2.{number}/24 dev {link}"));
    host.ip(&format!("addr add 2001:db8::{number}/64 dev {link} nodad"));
    if let Some(link_local) = link_local {
        host.ip(&format!("addr add {link_local}/64 dev {link} nodad"));
    }
}

/// An ARP request for `target`, to all.
pub fn request(mac: MacAddr, ip: Ipv4Addr, target: Ipv4Addr) -> Frame {
    Frame {
        destination: MacAddr::BROADCAST,
        source: mac,
        vlan: None,
        packet: Packet::Arp(Arp {
            operation: Operation::Request,
            sender_mac: mac,
            sender_ip: ip,
            target_mac: MacAddr::ZERO,
            target_ip: target,
        }),
    }
}

/// A Neighbor Solicitation for `target`, to its group.
pub fn solicitation(source: Ipv6Addr, source_mac: Option<MacAddr>, target: Ipv6Addr) -> Frame {
    let destination = ndp::solicited_node(target);
    Frame {
        destination: ndp::multicast_mac(destination),
        source: CLIENT_MAC,
        vlan: None,
        packet: Packet::Solicitation(Solicitation {
            source,
            destination,
            target,
            source_mac,
        }),
    }
}

/// The ARP reply in a frame, if it is one that answers a question.
pub fn reply(frame: &Frame) -> Option<(MacAddr, Arp)> {
    match frame.packet {
        Packet::Arp(arp)
            if arp.operation == Operation::Reply && frame.destination != MacAddr::BROADCAST =>
        {
            Some((frame.destination, arp))
        }
        _ => None,
    }
}

/// The announcement of an IPv4 address in a frame: a request by an address for itself.
pub fn announcement(frame: &Frame) -> Option<Arp> {
    match frame.packet {
        Packet::Arp(arp)
            if arp.operation == Operation::Request && arp.sender_ip == arp.target_ip =>
        {
            Some(arp)
        }
        _ => None,
    }
}

/// The Neighbor Advertisement in a frame.
pub fn advertisement(frame: &Frame) -> Option<Advertisement> {
    match frame.packet {
        Packet::Advertisement(told) => Some(told),
        _ => None,
    }
}

/// The Neighbor Advertisement in a frame, if nobody asked for it.
pub fn unsolicited(frame: &Frame) -> Option<Advertisement> {
    advertisement(frame).filter(|told| !told.solicited)
}

/// Waits until a condition holds.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_mins(1);
    while !condition() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
