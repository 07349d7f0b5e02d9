use std::collections::BTreeSet;

use super::*;
use crate::frame::ethernet::LEAST_LENGTH;

const OURS: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0x0a]);
const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x0a);
const VIP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
const VIP6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10);

fn link(gateways: &[IpAddr]) -> Link {
    Link {
        name: "eth0".into(),
        mac: OURS,
        carrier: true,
        addresses: BTreeSet::new(),
        networks: BTreeSet::new(),
        link_local: Some(LINK_LOCAL),
        router: false,
        gateways: gateways.iter().copied().collect(),
        ports: BTreeSet::new(),
    }
}

fn frames(address: impl Into<IpAddr>, link: &Link, occasion: Occasion) -> Vec<Frame> {
    let address = address.into();
    (0..)
        .map_while(|index| frame(address, link, occasion, index))
        .collect()
}

/// G1, G5: the two frames of an announcement, octet by octet.
#[test]
fn g1_an_announcement_is_a_request_and_a_reply_to_all() {
    let frames = frames(VIP, &link(&[]), Occasion::Refresh);
    let header = [
        &[0xff; 6][..],
        &[0x02, 0, 0, 0, 0, 0x0a],
        &[0x08, 0x06],
        &[0, 1, 8, 0, 6, 4],
    ]
    .concat();
    let request = [
        &header[..],
        &[0, 1],
        &[0x02, 0, 0, 0, 0, 0x0a, 192, 0, 2, 10],
        &[0, 0, 0, 0, 0, 0, 192, 0, 2, 10],
        &[0; 18],
    ]
    .concat();
    let reply = [
        &header[..],
        &[0, 2],
        &[0x02, 0, 0, 0, 0, 0x0a, 192, 0, 2, 10],
        &[0x02, 0, 0, 0, 0, 0x0a, 192, 0, 2, 10],
        &[0; 18],
    ]
    .concat();
    let octets: Vec<_> = frames
        .iter()
        .map(|frame| frame.encode().as_octets().to_vec())
        .collect();
    assert_eq!(octets, [request, reply]);
}

#[test]
fn g5_no_announcement_is_shorter_than_ethernet_allows() {
    for frame in frames(VIP, &link(&[]), Occasion::First) {
        assert_eq!(frame.encode().as_octets().len(), LEAST_LENGTH);
    }
}

/// G3: with the gateway's own address as target, its entry moves in every state.
#[test]
fn g3_each_gateway_is_asked_in_the_name_of_the_address() {
    let (first, second) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2));
    let link = link(&[first.into(), LINK_LOCAL.into(), second.into()]);
    let targets = |occasion| -> Vec<_> {
        frames(VIP, &link, occasion)
            .into_iter()
            .skip(2)
            .map(|frame| match frame.packet {
                Packet::Arp(arp) => {
                    assert_eq!(
                        (arp.operation, arp.sender_ip, arp.sender_mac),
                        (Operation::Request, VIP, OURS)
                    );
                    arp.target_ip
                }
                other => panic!("not ARP: {other:?}"),
            })
            .collect()
    };
    assert_eq!(targets(Occasion::First), [first, second]);
    assert_eq!(targets(Occasion::Repeat), [first, second]);
    assert_eq!(targets(Occasion::Refresh), [] as [Ipv4Addr; 0]);
}

/// N4: the whole frame, with a checksum that another implementation computed.
#[test]
fn n4_an_announcement_is_an_advertisement_to_all_nodes() {
    let frames = frames(VIP6, &link(&[]), Occasion::Refresh);
    let expected = [
        &[0x33, 0x33, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 0x0a, 0x86, 0xdd][..],
        &[0x60, 0, 0, 0, 0, 32, 58, 255],
        &LINK_LOCAL.octets(),
        &ALL_NODES.octets(),
        &[
            136,
            0,
            GOLDEN_CHECKSUM[0],
            GOLDEN_CHECKSUM[1],
            0x20,
            0,
            0,
            0,
        ],
        &VIP6.octets(),
        &[2, 1, 0x02, 0, 0, 0, 0, 0x0a],
    ]
    .concat();
    assert_eq!(frames.len(), 1);
    assert_eq!(frames[0].encode().as_octets(), expected);
}

const GOLDEN_CHECKSUM: [u8; 2] = [0x28, 0x42];

#[test]
fn n4_a_node_that_forwards_says_so() {
    let router = Link {
        router: true,
        ..link(&[])
    };
    let frames = frames(VIP6, &router, Occasion::Refresh);
    assert!(matches!(frames[0].packet, Packet::Advertisement(told) if told.router));
}

/// N6: the first announcement goes to routers too, and each gateway is asked on the series.
#[test]
fn n6_routers_and_gateways_are_told() {
    let gateway = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0x12, 0x3456);
    let link = link(&[Ipv4Addr::new(192, 0, 2, 1).into(), gateway.into()]);
    let first = frames(VIP6, &link, Occasion::First);
    assert_eq!(first.len(), 3);
    assert_eq!(first[1].destination, MacAddr([0x33, 0x33, 0, 0, 0, 2]));
    assert!(
        matches!(first[1].packet, Packet::Advertisement(told) if told.destination == ALL_ROUTERS)
    );
    let asked = Frame {
        destination: MacAddr([0x33, 0x33, 0xff, 0x12, 0x34, 0x56]),
        source: OURS,
        vlan: None,
        packet: Packet::Solicitation(Solicitation {
            source: VIP6,
            destination: ndp::solicited_node(gateway),
            target: gateway,
            source_mac: Some(OURS),
        }),
    };
    assert_eq!(first[2], asked);
    let repeat = frames(VIP6, &link, Occasion::Repeat);
    assert_eq!(repeat, [first[0], asked]);
    assert_eq!(frames(VIP6, &link, Occasion::Refresh), [first[0]]);
}

#[test]
fn n5_every_advertisement_overrides() {
    for frame in frames(VIP6, &link(&[]), Occasion::First) {
        assert!(matches!(frame.packet, Packet::Advertisement(told) if told.overrides));
    }
}

#[test]
fn n10_without_a_link_local_address_ipv4_alone_is_announced() {
    let bare = Link {
        link_local: None,
        ..link(&[LINK_LOCAL.into()])
    };
    assert_eq!(frames(VIP6, &bare, Occasion::First), []);
    assert_eq!(frames(VIP, &bare, Occasion::First).len(), 2);
}
