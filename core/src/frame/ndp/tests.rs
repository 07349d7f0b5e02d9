use super::*;
use crate::frame::{Frame, FrameError};

const OURS: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0x0a]);
const CLIENT: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0xc1]);
const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x0a);
const CLIENT_IP: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xc1);
const VIP: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0x12, 0x3456);

fn solicitation() -> Solicitation {
    Solicitation {
        source: CLIENT_IP,
        destination: solicited_node(VIP),
        target: VIP,
        source_mac: Some(CLIENT),
    }
}

fn advertisement() -> Advertisement {
    Advertisement {
        source: LINK_LOCAL,
        destination: CLIENT_IP,
        target: VIP,
        router: false,
        solicited: true,
        overrides: true,
        target_mac: Some(OURS),
    }
}

/// The IPv6 packet of `packet`, without the Ethernet header.
fn octets(packet: Packet) -> Vec<u8> {
    let frame = Frame {
        destination: OURS,
        source: CLIENT,
        vlan: None,
        packet,
    };
    frame.encode().as_octets()[14..].to_vec()
}

/// `octets` with what `change` does to the ICMPv6 message, and lengths and checksum put right.
fn mended(octets: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let (ip, message) = octets.split_at(40);
    let (mut ip, mut message) = (ip.to_vec(), message.to_vec());
    change(&mut message);
    ip[4..6].copy_from_slice(&u16::try_from(message.len()).expect("small").to_be_bytes());
    let header = Ipv6Packet::new(&ip).expect("a header");
    let sum = checksum(
        &Icmpv6Packet::new(&message).expect("a message"),
        &header.get_source(),
        &header.get_destination(),
    );
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    [ip, message].concat()
}

#[test]
fn groups_are_computed_as_rfc_4291_and_2464_say() {
    assert_eq!(
        solicited_node(VIP),
        "ff02::1:ff12:3456".parse::<Ipv6Addr>().expect("an address")
    );
    assert_eq!(
        multicast_mac(solicited_node(VIP)),
        MacAddr([0x33, 0x33, 0xff, 0x12, 0x34, 0x56])
    );
    assert_eq!(multicast_mac(ALL_NODES), MacAddr([0x33, 0x33, 0, 0, 0, 1]));
}

/// N2, N4: the whole frame, with a checksum that another implementation computed.
#[test]
fn golden_advertisement() {
    let frame = Frame {
        destination: CLIENT,
        source: OURS,
        vlan: None,
        packet: Packet::Advertisement(advertisement()),
    };
    let expected = [
        &[0x02, 0, 0, 0, 0, 0xc1, 0x02, 0, 0, 0, 0, 0x0a, 0x86, 0xdd][..],
        &[0x60, 0, 0, 0, 0, 32, 58, 255],
        &LINK_LOCAL.octets(),
        &CLIENT_IP.octets(),
        &[
            136,
            0,
            GOLDEN_CHECKSUM[0],
            GOLDEN_CHECKSUM[1],
            0x60,
            0,
            0,
            0,
        ],
        &VIP.octets(),
        &[2, 1, 0x02, 0, 0, 0, 0, 0x0a],
    ]
    .concat();
    assert_eq!(frame.encode().as_octets(), expected);
}

#[test]
fn golden_solicitation() {
    let expected = [
        &[0x60, 0, 0, 0, 0, 32, 58, 255][..],
        &CLIENT_IP.octets(),
        &solicited_node(VIP).octets(),
        &[135, 0, GOLDEN_CHECKSUM[2], GOLDEN_CHECKSUM[3], 0, 0, 0, 0],
        &VIP.octets(),
        &[1, 1, 0x02, 0, 0, 0, 0, 0xc1],
    ]
    .concat();
    assert_eq!(octets(Packet::Solicitation(solicitation())), expected);
}

const GOLDEN_CHECKSUM: [u8; 4] = [0xb3, 0xab, 0xe1, 0x12];

#[test]
fn a_solicitation_without_options_is_read() {
    let bare = Solicitation {
        source_mac: None,
        ..solicitation()
    };
    let octets = octets(Packet::Solicitation(bare));
    assert_eq!(parse(&octets), Ok(Packet::Solicitation(bare)));
}

#[test]
fn options_of_other_kinds_are_stepped_over() {
    let octets = mended(&octets(Packet::Solicitation(solicitation())), |message| {
        let nonce = [14, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14];
        message.splice(24..24, nonce);
    });
    assert_eq!(parse(&octets), Ok(Packet::Solicitation(solicitation())));
}

#[test]
fn octets_behind_the_packet_are_padding() {
    let mut octets = octets(Packet::Solicitation(solicitation()));
    octets.extend([0xff; 20]);
    assert_eq!(parse(&octets), Ok(Packet::Solicitation(solicitation())));
}

/// N1, clause by clause: RFC 4861 sections 7.1.1 and 7.1.2.
#[test]
fn what_the_rfc_tells_to_discard_is_refused() {
    let good = octets(Packet::Solicitation(solicitation()));
    let changed = |at: usize, octet: u8| {
        let mut octets = good.clone();
        octets[at] = octet;
        octets
    };
    let rows = [
        ("another IP version", changed(0, 0x40), NdpError::Version(4)),
        ("another protocol", changed(6, 17), NdpError::NextHeader(17)),
        (
            "forwarded by a router",
            changed(7, 254),
            NdpError::HopLimit(254),
        ),
        ("a flipped bit", changed(71, 7), NdpError::Checksum),
        (
            "another code",
            mended(&good, |message| message[1] = 1),
            NdpError::Code(1),
        ),
        (
            "another ICMPv6 type",
            mended(&good, |message| message[0] = 128),
            NdpError::Type(128),
        ),
        (
            "fewer than 24 octets",
            mended(&good, |message| message.truncate(23)),
            NdpError::Short {
                length: 23,
                needed: 24,
            },
        ),
    ];
    for (what, octets, error) in rows {
        assert_eq!(parse(&octets), Err(error), "{what}");
    }
}

/// N1, the rest: what the addresses and options may be.
#[test]
fn addresses_and_options_that_the_rfc_forbids_are_refused() {
    let good = octets(Packet::Solicitation(solicitation()));
    let told = octets(Packet::Advertisement(advertisement()));
    let probe = |destination, source_mac| {
        octets(Packet::Solicitation(Solicitation {
            source: Ipv6Addr::UNSPECIFIED,
            destination,
            source_mac,
            ..solicitation()
        }))
    };
    let rows = [
        (
            "a multicast target",
            mended(&good, |message| message[8] = 0xff),
            NdpError::MulticastTarget("ff01:db8::12:3456".parse().expect("an address")),
        ),
        (
            "an option without a length",
            mended(&good, |message| message[25] = 0),
            NdpError::EmptyOption,
        ),
        (
            "an option longer than the packet",
            mended(&good, |message| message[25] = 33),
            NdpError::Short {
                length: 8,
                needed: 264,
            },
        ),
        (
            "half an option at the end",
            mended(&good, |message| message.push(1)),
            NdpError::Short {
                length: 1,
                needed: 8,
            },
        ),
        (
            "no source, sent to a node",
            probe(VIP, None),
            NdpError::UnspecifiedSourceDestination(VIP),
        ),
        (
            "no source, and a MAC address of it",
            probe(solicited_node(VIP), Some(CLIENT)),
            NdpError::UnspecifiedSourceMac,
        ),
        (
            "a group as source",
            octets(Packet::Solicitation(Solicitation {
                source: ALL_NODES,
                ..solicitation()
            })),
            NdpError::MulticastSource(ALL_NODES),
        ),
        (
            "a solicited advertisement to a group",
            octets(Packet::Advertisement(Advertisement {
                destination: ALL_NODES,
                ..advertisement()
            })),
            NdpError::SolicitedMulticast(ALL_NODES),
        ),
        (
            "an advertisement of a group",
            mended(&told, |message| message[8] = 0xff),
            NdpError::MulticastTarget("ff01:db8::12:3456".parse().expect("an address")),
        ),
    ];
    for (what, octets, error) in rows {
        assert_eq!(parse(&octets), Err(error), "{what}");
    }
}

#[test]
fn a_packet_cut_short_anywhere_is_refused() {
    let octets = octets(Packet::Solicitation(solicitation()));
    for length in 0..octets.len() {
        assert!(
            matches!(parse(&octets[..length]), Err(NdpError::Short { .. })),
            "{length} octets"
        );
    }
}

#[test]
fn the_errors_reach_the_caller_of_frame_parse() {
    let mut octets = Frame {
        destination: OURS,
        source: CLIENT,
        vlan: None,
        packet: Packet::Solicitation(solicitation()),
    }
    .encode()
    .as_octets()
    .to_vec();
    octets[21] = 64;
    assert_eq!(
        Frame::parse(&octets),
        Err(FrameError::Ndp(NdpError::HopLimit(64)))
    );
}
