use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;
use crate::link::LinkIndex;

const OURS: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0x0a]);
const OURS_TOO: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0x0b]);
const CLIENT: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0xc1]);
const STRANGER: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0xee]);
const ZERO: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
const CLIENT_IP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const VIP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x0a);
const CLIENT_IP6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xc1);
const VIP6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10);

fn link(mac: MacAddr) -> Link {
    Link {
        name: "eth0".into(),
        mac,
        carrier: true,
        addresses: BTreeSet::new(),
        networks: BTreeSet::new(),
        link_local: Some(LINK_LOCAL),
        router: false,
        gateways: BTreeSet::new(),
        ports: BTreeSet::new(),
    }
}

/// What is done on a link that announces `VIP` and `VIP6`; the node has another link beside it.
fn on(link: &Link, octets: &[u8], delivery: Delivery) -> Verdict {
    let links = Links::from_iter([
        (LinkIndex(1), link.clone()),
        (LinkIndex(2), self::link(OURS_TOO)),
    ]);
    let received = Received { octets, delivery };
    respond(&received, link, &links, |address| {
        address == IpAddr::from(VIP) || address == IpAddr::from(VIP6)
    })
}

fn to_all(frame: Frame) -> Verdict {
    on(&link(OURS), frame.encode().as_octets(), Delivery::Broadcast)
}

fn answer(frame: Frame) -> Frame {
    match to_all(frame) {
        Verdict::Answer(answer) => answer,
        other => panic!("not answered: {other:?}"),
    }
}

fn request(sender_mac: MacAddr, sender_ip: Ipv4Addr, target_ip: Ipv4Addr) -> Frame {
    Frame {
        destination: MacAddr::BROADCAST,
        source: sender_mac,
        vlan: None,
        packet: Packet::Arp(Arp {
            operation: Operation::Request,
            sender_mac,
            sender_ip,
            target_mac: MacAddr::ZERO,
            target_ip,
        }),
    }
}

fn reply(sender_mac: MacAddr, sender_ip: Ipv4Addr) -> Frame {
    let mut frame = request(sender_mac, sender_ip, sender_ip);
    if let Packet::Arp(arp) = &mut frame.packet {
        arp.operation = Operation::Reply;
    }
    frame
}

fn solicitation(source: Ipv6Addr, source_mac: Option<MacAddr>, target: Ipv6Addr) -> Frame {
    let destination = ndp::solicited_node(target);
    Frame {
        destination: ndp::multicast_mac(destination),
        source: CLIENT,
        vlan: None,
        packet: Packet::Solicitation(Solicitation {
            source,
            destination,
            target,
            source_mac,
        }),
    }
}

fn advertisement(source: MacAddr, target: Ipv6Addr, target_mac: Option<MacAddr>) -> Frame {
    Frame {
        destination: ndp::multicast_mac(ALL_NODES),
        source,
        vlan: None,
        packet: Packet::Advertisement(Advertisement {
            source: CLIENT_IP6,
            destination: ALL_NODES,
            target,
            router: false,
            solicited: false,
            overrides: true,
            target_mac,
        }),
    }
}

fn foreign_claim(address: impl Into<IpAddr>, mac: MacAddr) -> Verdict {
    foreign(address.into(), mac)
}

#[test]
fn a1_a_request_for_an_announced_address_is_answered_and_no_other() {
    assert!(matches!(
        to_all(request(CLIENT, CLIENT_IP, VIP)),
        Verdict::Answer(_)
    ));
    assert_eq!(
        to_all(request(CLIENT, CLIENT_IP, Ipv4Addr::new(192, 0, 2, 11))),
        Verdict::Ignore(Ignored::NotAnnounced)
    );
    assert_eq!(
        to_all(reply(CLIENT, CLIENT_IP)),
        Verdict::Ignore(Ignored::NoQuestion)
    );
}

#[test]
fn a1_frames_of_all_lengths_are_answered_and_cut_ones_are_not() {
    let mut octets = request(CLIENT, CLIENT_IP, VIP)
        .encode()
        .as_octets()
        .to_vec();
    for length in [42, 60, 1514] {
        octets.resize(length, 0);
        let verdict = on(&link(OURS), &octets, Delivery::Broadcast);
        assert!(matches!(verdict, Verdict::Answer(_)), "{length} octets");
    }
    for length in 0..42 {
        let verdict = on(&link(OURS), &octets[..length], Delivery::Broadcast);
        assert!(
            matches!(verdict, Verdict::Ignore(Ignored::Malformed(_))),
            "{length} octets"
        );
    }
}

#[test]
fn a1_a_request_with_a_wrong_field_is_not_answered() {
    let good = request(CLIENT, CLIENT_IP, VIP);
    for (field, at) in [
        ("hardware type", 15),
        ("protocol type", 16),
        ("hardware address length", 18),
        ("protocol address length", 19),
        ("operation", 21),
    ] {
        let mut octets = good.encode().as_octets().to_vec();
        octets[at] = 0x55;
        let verdict = on(&link(OURS), &octets, Delivery::Broadcast);
        assert!(
            matches!(verdict, Verdict::Ignore(Ignored::Malformed(_))),
            "{field}"
        );
    }
}

#[test]
fn a2_the_answer_goes_to_the_asker_alone_from_the_mac_address_of_the_link() {
    assert_eq!(
        answer(request(CLIENT, CLIENT_IP, VIP)),
        Frame {
            destination: CLIENT,
            source: OURS,
            vlan: None,
            packet: Packet::Arp(Arp {
                operation: Operation::Reply,
                sender_mac: OURS,
                sender_ip: VIP,
                target_mac: CLIENT,
                target_ip: CLIENT_IP,
            }),
        }
    );
}

#[test]
fn a3_a_probe_is_answered() {
    let Packet::Arp(arp) = answer(request(CLIENT, ZERO, VIP)).packet else {
        panic!("not ARP");
    };
    assert_eq!((arp.sender_ip, arp.target_ip), (VIP, ZERO));
}

#[test]
fn a4_an_asker_that_cannot_exist_is_not_answered() {
    let from = |mac| Frame {
        source: CLIENT,
        ..request(mac, CLIENT_IP, VIP)
    };
    let at = |ip| request(CLIENT, ip, VIP);
    for (what, frame) in [
        ("the MAC address of all", from(MacAddr::BROADCAST)),
        ("that of a group", from(MacAddr([0x01, 0, 0x5e, 0, 0, 1]))),
        ("none", from(MacAddr::ZERO)),
        ("that of this link", from(OURS)),
        ("that of another link of this node", from(OURS_TOO)),
        ("a group as IP address", at(Ipv4Addr::new(224, 0, 0, 1))),
        ("a loopback address", at(Ipv4Addr::LOCALHOST)),
        ("the address of all", at(Ipv4Addr::BROADCAST)),
    ] {
        assert_eq!(to_all(frame), Verdict::Ignore(Ignored::Sender), "{what}");
    }
}

#[test]
fn a4_an_asker_that_uses_the_address_itself_is_reported() {
    for frame in [
        request(STRANGER, VIP, CLIENT_IP),
        request(STRANGER, VIP, VIP),
        reply(STRANGER, VIP),
    ] {
        assert_eq!(to_all(frame), foreign_claim(VIP, STRANGER));
    }
    // Of an address that this node does not announce, nothing is said.
    assert_eq!(
        to_all(request(STRANGER, CLIENT_IP, CLIENT_IP)),
        Verdict::Ignore(Ignored::NotAnnounced)
    );
}

#[test]
fn a5_only_what_is_for_this_node_or_for_all_is_answered() {
    let good = request(CLIENT, CLIENT_IP, VIP);
    let octets = |frame: Frame| frame.encode();
    for delivery in [Delivery::Other, Delivery::Outgoing] {
        let verdict = on(&link(OURS), octets(good).as_octets(), delivery);
        assert_eq!(verdict, Verdict::Ignore(Ignored::NotForUs), "{delivery:?}");
    }
    for destination in [STRANGER, MacAddr([0x01, 0, 0x5e, 0, 0, 1])] {
        let frame = Frame {
            destination,
            ..good
        };
        assert_eq!(
            to_all(frame),
            Verdict::Ignore(Ignored::NotForUs),
            "{destination}"
        );
    }
}

#[test]
fn a5_what_this_node_sent_itself_is_not_answered() {
    for source in [OURS, OURS_TOO] {
        let frame = Frame {
            source,
            ..request(CLIENT, CLIENT_IP, VIP)
        };
        assert_eq!(to_all(frame), Verdict::Ignore(Ignored::NotForUs));
    }
    assert_eq!(
        to_all(advertisement(OURS_TOO, VIP6, Some(OURS_TOO))),
        Verdict::Ignore(Ignored::NotForUs)
    );
}

#[test]
fn a6_a_request_to_this_node_alone_is_answered() {
    let frame = Frame {
        destination: OURS,
        ..request(CLIENT, CLIENT_IP, VIP)
    };
    let octets = frame.encode();
    let verdict = on(&link(OURS), octets.as_octets(), Delivery::Host);
    assert!(matches!(verdict, Verdict::Answer(_)), "{verdict:?}");
}

#[test]
fn a7_each_link_answers_with_its_own_mac_address() {
    let octets = request(CLIENT, CLIENT_IP, VIP).encode();
    let Verdict::Answer(frame) = on(&link(STRANGER), octets.as_octets(), Delivery::Broadcast)
    else {
        panic!("not answered");
    };
    assert_eq!(frame.source, STRANGER);
    assert!(matches!(frame.packet, Packet::Arp(arp) if arp.sender_mac == STRANGER));
}

#[test]
fn a8_a_priority_tag_is_answered_untagged_and_a_vlan_is_not() {
    let bare = request(CLIENT, CLIENT_IP, VIP);
    let tagged = |vlan| Frame {
        vlan: Some(vlan),
        ..bare
    };
    let seven = VlanId::from_tag(7);
    let verdict = to_all(tagged(VlanId::PRIORITY));
    assert!(matches!(verdict, Verdict::Answer(frame) if frame.vlan.is_none()));
    assert_eq!(to_all(tagged(seven)), Verdict::Ignore(Ignored::Vlan(seven)));
}

/// N1 itself is tested clause by clause with the parser.
#[test]
fn n1_a_solicitation_from_another_link_is_not_answered() {
    let mut octets = solicitation(CLIENT_IP6, Some(CLIENT), VIP6)
        .encode()
        .as_octets()
        .to_vec();
    octets[21] = 64;
    let verdict = on(&link(OURS), &octets, Delivery::Multicast);
    assert!(matches!(verdict, Verdict::Ignore(Ignored::Malformed(_))));
}

#[test]
fn n2_the_answer_overrides_and_names_the_mac_address() {
    assert_eq!(
        answer(solicitation(CLIENT_IP6, Some(CLIENT), VIP6)),
        Frame {
            destination: CLIENT,
            source: OURS,
            vlan: None,
            packet: Packet::Advertisement(Advertisement {
                source: LINK_LOCAL,
                destination: CLIENT_IP6,
                target: VIP6,
                router: false,
                solicited: true,
                overrides: true,
                target_mac: Some(OURS),
            }),
        }
    );
}

#[test]
fn n2_a_search_for_duplicates_is_answered_to_all() {
    let answer = answer(solicitation(Ipv6Addr::UNSPECIFIED, None, VIP6));
    assert_eq!(answer.destination, MacAddr([0x33, 0x33, 0, 0, 0, 1]));
    let Packet::Advertisement(told) = answer.packet else {
        panic!("not NDP");
    };
    assert_eq!(told.destination, ALL_NODES);
    assert!(!told.solicited && told.overrides);
}

#[test]
fn n3_an_asker_that_leaves_its_mac_address_out_is_answered() {
    assert_eq!(
        answer(solicitation(CLIENT_IP6, None, VIP6)),
        answer(solicitation(CLIENT_IP6, Some(CLIENT), VIP6))
    );
}

/// RFC 4861 section 7.3.1: to see whether a neighbour is still there, it is asked directly.
#[test]
fn n3_a_solicitation_to_the_address_itself_is_answered() {
    for source_mac in [None, Some(CLIENT)] {
        let mut frame = solicitation(CLIENT_IP6, source_mac, VIP6);
        frame.destination = OURS;
        if let Packet::Solicitation(asked) = &mut frame.packet {
            asked.destination = VIP6;
        }
        assert_eq!(answer(frame).destination, CLIENT);
    }
}

#[test]
fn n4_a_node_that_forwards_says_so() {
    let router = Link {
        router: true,
        ..link(OURS)
    };
    let octets = solicitation(CLIENT_IP6, None, VIP6).encode();
    let verdict = on(&router, octets.as_octets(), Delivery::Multicast);
    assert!(matches!(
        verdict,
        Verdict::Answer(Frame { packet: Packet::Advertisement(told), .. }) if told.router
    ));
}

#[test]
fn n10_without_a_link_local_address_ipv4_alone_is_answered() {
    let bare = Link {
        link_local: None,
        ..link(OURS)
    };
    let on = |frame: Frame| {
        let octets = frame.encode();
        on(&bare, octets.as_octets(), Delivery::Broadcast)
    };
    assert_eq!(
        on(solicitation(CLIENT_IP6, None, VIP6)),
        Verdict::Ignore(Ignored::NoLinkLocal)
    );
    assert!(matches!(
        on(request(CLIENT, CLIENT_IP, VIP)),
        Verdict::Answer(_)
    ));
}

#[test]
fn a_solicitation_for_another_address_or_station_is_not_answered() {
    let other = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x11);
    assert_eq!(
        to_all(solicitation(CLIENT_IP6, None, other)),
        Verdict::Ignore(Ignored::NotAnnounced)
    );
    for destination in [STRANGER, ndp::multicast_mac(ALL_NODES), MacAddr::BROADCAST] {
        let frame = Frame {
            destination,
            ..solicitation(CLIENT_IP6, None, VIP6)
        };
        assert_eq!(to_all(frame), Verdict::Ignore(Ignored::NotForUs));
    }
}

#[test]
fn a_station_that_uses_an_announced_ipv6_address_is_reported() {
    for frame in [
        advertisement(STRANGER, VIP6, Some(STRANGER)),
        advertisement(STRANGER, VIP6, None),
        advertisement(CLIENT, VIP6, Some(STRANGER)),
        solicitation(VIP6, Some(STRANGER), CLIENT_IP6),
    ] {
        assert_eq!(to_all(frame), foreign_claim(VIP6, STRANGER));
    }
    assert_eq!(
        to_all(advertisement(STRANGER, CLIENT_IP6, Some(STRANGER))),
        Verdict::Ignore(Ignored::NoQuestion)
    );
}

proptest! {
    /// I8: whatever arrives, nothing is said about an address that is not announced.
    #[test]
    fn answers_are_about_announced_addresses_only(
        sender in any::<([u8; 6], u32)>(),
        target in any::<u32>(),
        to_us in any::<bool>(),
    ) {
        let mut frame = request(MacAddr(sender.0), sender.1.into(), target.into());
        if to_us {
            frame.destination = OURS;
        }
        if let Verdict::Answer(answer) = to_all(frame) {
            let named = matches!(answer.packet, Packet::Arp(arp) if arp.sender_ip == VIP);
            prop_assert!(named);
        }
    }
}
