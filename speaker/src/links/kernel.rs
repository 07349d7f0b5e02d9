//! Netlink messages, turned into the types of [`super::table`].
//!
//! The only file that knows the message types of `netlink-packet-route`, which change with each of
//! its releases.

use std::net::IpAddr;

use bellwether_core::link::LinkIndex;
use bellwether_core::mac::MacAddr;
use bellwether_core::name::LinkName;
use ipnet::IpNet;
use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use rtnetlink::packet_route::link::{
    AfSpecInet6, AfSpecUnspec, InfoBond, InfoData, InfoKind, InfoPortKind, LinkAttribute,
    LinkFlags, LinkInfo, LinkLayerType, LinkMessage,
};
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute, RouteMessage};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};

use super::table::{Change, KernelAddress, KernelLink};

/// What `message` says has changed, if it concerns us.
pub(super) fn change(message: &RouteNetlinkMessage) -> Option<Change> {
    match message {
        RouteNetlinkMessage::NewLink(message) => link(message).map(Change::Link),
        RouteNetlinkMessage::DelLink(message) => {
            // A port that leaves its bridge is told of like this too, in the bridge's family.
            let gone = message.header.interface_family == AddressFamily::Unspec;
            gone.then_some(Change::LinkGone(LinkIndex(message.header.index)))
        }
        RouteNetlinkMessage::NewAddress(message) => address(message).map(Change::Address),
        RouteNetlinkMessage::DelAddress(message) => address(message).map(Change::AddressGone),
        _ => None,
    }
}

/// A link. None for messages that describe one in part: those of a bridge about its ports, and
/// events of Wi-Fi.
pub(super) fn link(message: &LinkMessage) -> Option<KernelLink> {
    let header = &message.header;
    if header.interface_family != AddressFamily::Unspec {
        return None;
    }
    let has = |flags| header.flags.contains(flags);
    let mut name: Option<LinkName> = None;
    let mut mac = None;
    let mut master = None;
    let mut router = None;
    let mut info: &[LinkInfo] = &[];
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(text) => name = Some(text.into()),
            LinkAttribute::Address(octets) => mac = octets.as_slice().try_into().ok().map(MacAddr),
            LinkAttribute::Controller(index) => master = Some(LinkIndex(*index)),
            LinkAttribute::AfSpecUnspec(families) => router = forwards_ipv6(families),
            LinkAttribute::LinkInfo(attributes) => info = attributes,
            LinkAttribute::Wireless(_) => return None,
            _ => {}
        }
    }
    let info = Info::of(info);
    Some(KernelLink {
        index: LinkIndex(header.index),
        name: name?,
        mac: mac.filter(|_| header.link_layer_type == LinkLayerType::Ether),
        up: has(LinkFlags::Up),
        // The kernel's own summary, IFF_RUNNING, can come a second later. A dormant link waits for
        // a key or a login (Wi-Fi, 802.1X) and lets nothing through yet.
        carrier: has(LinkFlags::Up | LinkFlags::LowerUp) && !has(LinkFlags::Dormant),
        can_broadcast: has(LinkFlags::Broadcast)
            && !header
                .flags
                .intersects(LinkFlags::Loopback | LinkFlags::Pointopoint | LinkFlags::Noarp),
        port_of: master.filter(|_| !info.in_vrf),
        leads_to_guest: info.is_tap,
        active_port: info.active_port,
        router,
    })
}

/// What the nested attributes of a link's kind say.
#[derive(Default)]
struct Info {
    in_vrf: bool,
    is_tap: bool,
    active_port: Option<LinkIndex>,
}

impl Info {
    fn of(attributes: &[LinkInfo]) -> Self {
        let mut info = Self::default();
        for attribute in attributes {
            match attribute {
                LinkInfo::PortKind(InfoPortKind::Vrf) => info.in_vrf = true,
                LinkInfo::Kind(InfoKind::Tun) => info.is_tap = true,
                LinkInfo::Data(InfoData::Bond(settings)) => {
                    info.active_port = settings.iter().find_map(|setting| match setting {
                        InfoBond::ActivePort(index) if *index != 0 => Some(LinkIndex(*index)),
                        _ => None,
                    });
                }
                _ => {}
            }
        }
        info
    }
}

fn forwards_ipv6(families: &[AfSpecUnspec]) -> Option<bool> {
    families
        .iter()
        .filter_map(|family| match family {
            AfSpecUnspec::Inet6(attributes) => Some(attributes),
            _ => None,
        })
        .flatten()
        .find_map(|attribute| match attribute {
            AfSpecInet6::DevConf(settings) => Some(settings.forwarding != 0),
            _ => None,
        })
}

/// An address.
pub(super) fn address(message: &AddressMessage) -> Option<KernelAddress> {
    let header = &message.header;
    let mut peer_or_own = None;
    let mut own = None;
    let mut flags = AddressFlags::from_bits_retain(header.flags.bits().into());
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Address(address) => peer_or_own = Some(*address),
            AddressAttribute::Local(address) => own = Some(*address),
            AddressAttribute::Flags(all) => flags = *all,
            _ => {}
        }
    }
    // RFC 4429: an optimistic address may be used while it is being checked.
    let unchecked =
        flags.contains(AddressFlags::Tentative) && !flags.contains(AddressFlags::Optimistic);
    Some(KernelAddress {
        link: LinkIndex(header.index),
        address: IpNet::new(own.or(peer_or_own)?, header.prefix_len).ok()?,
        usable: !unchecked && !flags.contains(AddressFlags::Dadfailed),
    })
}

/// The next hops of `message`, if it is a default route.
pub(super) fn gateways(message: &RouteMessage) -> Vec<(LinkIndex, IpAddr)> {
    if message.header.destination_prefix_length != 0 {
        return Vec::new();
    }
    let mut link = None;
    let mut gateway = None;
    let mut found = Vec::new();
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Oif(index) => link = Some(LinkIndex(*index)),
            RouteAttribute::Gateway(address) => gateway = ip(address),
            RouteAttribute::MultiPath(hops) => {
                for hop in hops {
                    let addresses = hop
                        .attributes
                        .iter()
                        .filter_map(|attribute| match attribute {
                            RouteAttribute::Gateway(address) => ip(address),
                            _ => None,
                        });
                    found
                        .extend(addresses.map(|address| (LinkIndex(hop.interface_index), address)));
                }
            }
            _ => {}
        }
    }
    found.extend(link.zip(gateway));
    found
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some((*address).into()),
        RouteAddress::Inet6(address) => Some((*address).into()),
        _ => None,
    }
}
