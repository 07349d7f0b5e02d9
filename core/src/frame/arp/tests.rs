use std::net::Ipv4Addr;

use super::*;
use crate::frame::{Frame, Packet};

const OURS: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0x0a]);
const CLIENT: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0xc1]);
const VIP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);

/// As RFC 826 draws a request, here from 192.0.2.1 for 192.0.2.10.
const REQUEST: [u8; 28] = [
    0, 1, // hardware: Ethernet
    8, 0, // protocol: IPv4
    6, 4, // lengths
    0, 1, // request
    0x02, 0, 0, 0, 0, 0xc1, 192, 0, 2, 1, // sender
    0, 0, 0, 0, 0, 0, 192, 0, 2, 10, // target
];

fn with(at: usize, octets: &[u8]) -> [u8; 28] {
    let mut packet = REQUEST;
    packet[at..at + octets.len()].copy_from_slice(octets);
    packet
}

#[test]
fn a_request_is_read() {
    assert_eq!(
        Arp::parse(&REQUEST),
        Ok(Arp {
            operation: Operation::Request,
            sender_mac: CLIENT,
            sender_ip: Ipv4Addr::new(192, 0, 2, 1),
            target_mac: MacAddr::ZERO,
            target_ip: VIP,
        })
    );
}

#[test]
fn ieee_802_is_taken_for_ethernet() {
    assert_eq!(Arp::parse(&with(0, &[0, 6])), Arp::parse(&REQUEST));
}

#[test]
fn a_wrong_field_is_named() {
    for (octets, error) in [
        (with(0, &[0, 7]), ArpError::HardwareType(7)),
        (with(2, &[0x86, 0xdd]), ArpError::ProtocolType(0x86dd)),
        (
            with(4, &[8]),
            ArpError::AddressLengths {
                hardware: 8,
                protocol: 4,
            },
        ),
        (
            with(5, &[16]),
            ArpError::AddressLengths {
                hardware: 6,
                protocol: 16,
            },
        ),
        (with(6, &[0, 3]), ArpError::Operation(3)),
    ] {
        assert_eq!(Arp::parse(&octets), Err(error));
    }
}

#[test]
fn a_packet_cut_short_is_refused() {
    for length in 0..28 {
        assert_eq!(Arp::parse(&REQUEST[..length]), Err(ArpError::Short(length)));
    }
}

/// The whole frame of an answer, octet by octet, padding included.
#[test]
fn golden_reply() {
    let frame = Frame {
        destination: CLIENT,
        source: OURS,
        vlan: None,
        packet: Packet::Arp(Arp {
            operation: Operation::Reply,
            sender_mac: OURS,
            sender_ip: VIP,
            target_mac: CLIENT,
            target_ip: Ipv4Addr::new(192, 0, 2, 1),
        }),
    };
    let expected = [
        &[0x02, 0, 0, 0, 0, 0xc1][..],
        &[0x02, 0, 0, 0, 0, 0x0a],
        &[0x08, 0x06],
        &[0, 1, 8, 0, 6, 4, 0, 2],
        &[0x02, 0, 0, 0, 0, 0x0a, 192, 0, 2, 10],
        &[0x02, 0, 0, 0, 0, 0xc1, 192, 0, 2, 1],
        &[0; 18],
    ]
    .concat();
    assert_eq!(expected.len(), 60);
    assert_eq!(frame.encode().as_octets(), expected);
}
