use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;
use crate::frame::arp::Operation;

fn mac() -> impl Strategy<Value = MacAddr> {
    any::<[u8; 6]>().prop_map(MacAddr)
}

fn arp() -> impl Strategy<Value = Packet> {
    let operation = prop_oneof![Just(Operation::Request), Just(Operation::Reply)];
    let side = || (mac(), any::<Ipv4Addr>());
    (operation, side(), side()).prop_map(|(operation, sender, target)| {
        Packet::Arp(Arp {
            operation,
            sender_mac: sender.0,
            sender_ip: sender.1,
            target_mac: target.0,
            target_ip: target.1,
        })
    })
}

fn unicast() -> impl Strategy<Value = Ipv6Addr> {
    any::<u128>().prop_map(|bits| Ipv6Addr::from((bits | 1) & !(0xff << 120) | (0x20 << 120)))
}

fn solicitation() -> impl Strategy<Value = Packet> {
    (
        unicast(),
        any::<Ipv6Addr>(),
        unicast(),
        proptest::option::of(mac()),
    )
        .prop_map(|(source, destination, target, source_mac)| {
            Packet::Solicitation(Solicitation {
                source,
                destination,
                target,
                source_mac,
            })
        })
}

fn duplicate_probe() -> impl Strategy<Value = Packet> {
    unicast().prop_map(|target| {
        Packet::Solicitation(Solicitation {
            source: Ipv6Addr::UNSPECIFIED,
            destination: ndp::solicited_node(target),
            target,
            source_mac: None,
        })
    })
}

fn advertisement() -> impl Strategy<Value = Packet> {
    let flags = any::<(bool, bool, bool)>();
    (
        (unicast(), any::<Ipv6Addr>(), unicast()),
        flags,
        proptest::option::of(mac()),
    )
        .prop_map(
            |((source, destination, target), (router, solicited, overrides), target_mac)| {
                Packet::Advertisement(Advertisement {
                    source,
                    destination,
                    target,
                    router,
                    solicited: solicited && !destination.is_multicast(),
                    overrides,
                    target_mac,
                })
            },
        )
}

fn frame() -> impl Strategy<Value = Frame> {
    let vlan = proptest::option::of(any::<u16>().prop_map(VlanId::from_tag));
    let packet = prop_oneof![arp(), solicitation(), duplicate_probe(), advertisement()];
    (mac(), mac(), vlan, packet).prop_map(|(destination, source, vlan, packet)| Frame {
        destination,
        source,
        vlan,
        packet,
    })
}

proptest! {
    #[test]
    fn what_is_encoded_can_be_parsed(frame in frame()) {
        prop_assert_eq!(Frame::parse(frame.encode().as_octets()), Ok(frame));
    }

    #[test]
    fn no_octets_make_the_parser_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Frame::parse(&octets);
    }

    /// Nearly right frames reach further into the parser than random octets do.
    #[test]
    fn no_damage_makes_the_parser_panic(
        frame in frame(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        kept in any::<prop::sample::Index>(),
    ) {
        let mut octets = frame.encode().as_octets().to_vec();
        for (at, octet) in damage {
            let at = at.index(octets.len());
            octets[at] = octet;
        }
        let _ = Frame::parse(&octets);
        octets.truncate(kept.index(octets.len()));
        let _ = Frame::parse(&octets);
    }

    #[test]
    fn no_frame_is_shorter_than_ethernet_allows(frame in frame()) {
        prop_assert!(frame.encode().as_octets().len() >= 60);
    }
}

#[test]
fn a_priority_tag_is_read_and_written() {
    let octets = [
        &[0xff; 6][..],
        &[0x02, 0, 0, 0, 0, 1],
        &[0x81, 0x00, 0xe0, 0x00, 0x08, 0x06],
        &[0, 1, 8, 0, 6, 4, 0, 1],
        &[0x02, 0, 0, 0, 0, 1, 192, 0, 2, 1],
        &[0, 0, 0, 0, 0, 0, 192, 0, 2, 10],
    ]
    .concat();
    let frame = Frame::parse(&octets).expect("a frame");
    assert_eq!(frame.vlan, Some(VlanId::PRIORITY));
    let mut expected = octets;
    // The priority itself (the highest three bits) is not kept.
    expected[14] = 0;
    expected.resize(60, 0);
    assert_eq!(frame.encode().as_octets(), expected);
}

#[test]
fn other_payloads_are_refused_by_name() {
    let octets = [&[0; 12][..], &[0x08, 0x00], &[0; 46]].concat();
    let error = Frame::parse(&octets).expect_err("IPv4 is neither");
    assert_eq!(
        error.to_string(),
        "EtherType 0x0800 carries neither ARP nor IPv6"
    );
}

#[test]
fn a_header_cut_short_is_refused() {
    for length in 0..14 {
        let error = Frame::parse(&[0; 14][..length]).expect_err("too short");
        assert_eq!(error, FrameError::Ethernet(EthernetError { length }));
    }
    let tagged = [&[0; 12][..], &[0x81, 0x00, 0x00]].concat();
    assert_eq!(
        Frame::parse(&tagged),
        Err(FrameError::Ethernet(EthernetError { length: 15 }))
    );
}
