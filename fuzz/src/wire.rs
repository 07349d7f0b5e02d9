//! Decoders of what comes from the network or is written by users as text: they need `core` alone.

use std::collections::BTreeMap;

use bellwether_core::frame::arp::Arp;
use bellwether_core::frame::beacon::keyring::Keyring;
use bellwether_core::frame::beacon::{Beacon, Spares, wire};
use bellwether_core::frame::ethernet::{EtherType, Ethernet};
use bellwether_core::frame::{Frame, Packet, ndp};
use bellwether_core::mac::MacAddr;
use bellwether_core::range::AddressRange;

/// An ARP packet, the payload of a frame.
pub fn arp(octets: &[u8]) {
    if let Ok(arp) = Arp::parse(octets) {
        comes_back(Packet::Arp(arp));
    }
}

/// An IPv6 packet with a Neighbor Solicitation or Advertisement, the payload of a frame.
pub fn ndp(octets: &[u8]) {
    if let Ok(packet) = ndp::parse(octets) {
        comes_back(packet);
    }
}

/// A whole frame, with or without a VLAN tag.
pub fn ethernet(octets: &[u8]) {
    if let Ok(header) = Ethernet::parse(octets) {
        assert!(header.payload.len() < octets.len(), "a header takes room");
        if header.ether_type == EtherType::ARP {
            arp(header.payload);
        }
    }
    if let Ok(frame) = Frame::parse(octets) {
        assert_eq!(Frame::parse(frame.encode().as_octets()), Ok(frame));
    }
}

fn comes_back(packet: Packet) {
    let frame = Frame {
        destination: MacAddr::BROADCAST,
        source: MacAddr([2, 0, 0, 0, 0, 1]),
        vlan: None,
        packet,
    };
    assert_eq!(Frame::parse(frame.encode().as_octets()), Ok(frame));
}

/// A beacon, before and after its tag is checked: signed, and as a datagram.
pub fn beacon(octets: &[u8]) {
    let secrets = BTreeMap::from([(1, b"nobody who writes inputs knows it".to_vec())]);
    if let Ok(ring) = Keyring::new("cluster", secrets, 1) {
        let spares = &mut Spares::default();
        assert!(
            ring.open(octets, spares).is_err(),
            "a forged beacon is taken"
        );
        assert!(
            ring.open_datagram(octets, spares).is_err(),
            "a forged datagram is taken"
        );
        // What is longer is not even looked at before its tag is.
        let fits = octets.len() <= wire::LONGEST;
        if let Ok(beacon) = wire::decode(octets, spares)
            && fits
        {
            let write = |beacon: &Beacon| written(|octets| wire::encode(beacon, 1, octets));
            // One that nobody of ours would write may say more than there is room for.
            let written_down = wire::decode(&write(&beacon), spares);
            if let Ok(beacon) = written_down {
                let again = wire::decode(&write(&beacon), spares);
                assert_eq!(again, Ok(beacon.clone()));
                let signed = written(|octets| ring.seal(&beacon, octets));
                assert_eq!(ring.open(&signed, spares), Ok(beacon.clone()));
                let datagram = written(|octets| ring.seal_datagram(&beacon, octets));
                assert_eq!(ring.open_datagram(&datagram, spares), Ok(beacon));
            } else {
                panic!("{beacon:?} was written as {written_down:?}");
            }
        }
    }
}

/// A range or network of a pool.
pub fn range(octets: &[u8]) {
    let text = String::from_utf8_lossy(octets);
    if let Ok(range) = text.parse::<AddressRange>() {
        assert_eq!(range.to_string().parse(), Ok(range));
        assert!(range.contains(range.first()) && range.contains(range.last()));
        assert!(range.first() <= range.last());
    }
}

fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut octets = Vec::new();
    write(&mut octets);
    octets
}
