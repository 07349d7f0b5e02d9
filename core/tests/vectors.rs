//! The test vectors of `docs/protocol.md`: a second implementation is right if it makes the same octets,
//! and this one says there what it makes.

#![expect(clippy::expect_used, reason = "a test that cannot go on shall panic")]

use std::collections::BTreeMap;
use std::time::Duration;

use bellwether_core::election::Term;
use bellwether_core::frame::beacon::keyring::Keyring;
use bellwether_core::frame::beacon::{
    Beacon, Digest, Entry, Flags, Heard, Part, Pulse, Session, Spares, Standing,
};
use bellwether_core::mac::MacAddr;
use bellwether_core::name::NodeName;

const PROTOCOL: &str = include_str!("../../docs/protocol.md");

/// The octets that the text gives under that name: in one block, over as many lines as it takes.
fn octets(name: &str) -> Vec<u8> {
    let (_, rest) = PROTOCOL
        .split_once(&format!("\n{name}:\n"))
        .expect("a vector of that name");
    let (block, _) = rest.split_once("```").expect("the end of its block");
    let digits: Vec<u8> = block
        .chars()
        .take_while(|&c| c != ':')
        .filter_map(|c| c.to_digit(16))
        .map(|digit| u8::try_from(digit).expect("a digit"))
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

/// What the vectors are made of, in the words of the text.
fn ring_and_beacon() -> (Keyring, Beacon) {
    let secret: Vec<u8> = (0..32).collect();
    let cluster = "f4a9ac3d-9d2c-4f0b-8f3e-5c1f0e6a7b21";
    let keys = Keyring::new(cluster, BTreeMap::from([(3, secret)]), 3).expect("a good key");
    let own = Entry {
        address: [192, 0, 2, 10].into(),
        term: Term(7),
        standing: Standing::Own,
    };
    let offer = Entry {
        address: "2001:db8::10".parse().expect("an address"),
        term: Term(2),
        standing: Standing::Offer {
            to: Session(0x1112_1314_1516_1718),
        },
    };
    let mut digest = Digest::default();
    digest.add(&own);
    digest.add(&offer);
    let beacon = Beacon {
        sender: NodeName::from("node-a"),
        session: Session(0x0102_0304_0506_0708),
        sequence: 9,
        mac: Some(MacAddr([2, 0, 0, 0, 0, 10])),
        pulse: Pulse {
            interval: Duration::from_millis(50),
            misses: 5,
            lateness: Duration::from_micros(1500),
        },
        flags: Flags {
            young: true,
            ..Flags::default()
        },
        heard: vec![Heard {
            session: Session(0x1112_1314_1516_1718),
            age: Duration::from_millis(21),
            synced: true,
        }],
        part: Part {
            digest,
            range: Some(Part::EVERYTHING),
            entries: vec![own, offer],
        },
    };
    (keys, beacon)
}

fn hex(octets: &[u8]) -> String {
    let lines = octets.chunks(32).map(|line| {
        let digits = line.iter().map(|octet| format!("{octet:02x}"));
        digits.collect::<String>()
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_signed_beacon_has_the_octets_that_the_text_gives() {
    let (keys, beacon) = ring_and_beacon();
    let mut sealed = Vec::new();
    keys.seal(&beacon, &mut sealed);
    assert_eq!(hex(&sealed), hex(&octets("On a link")));
    let opened = keys.open(&octets("On a link"), &mut Spares::default());
    assert_eq!(opened, Ok(beacon));
}

#[test]
fn an_encrypted_beacon_has_the_octets_that_the_text_gives() {
    let (keys, beacon) = ring_and_beacon();
    let beacon = Beacon {
        mac: None,
        ..beacon
    };
    let mut sealed = Vec::new();
    keys.seal_datagram(&beacon, &mut sealed);
    assert_eq!(hex(&sealed), hex(&octets("As a datagram")));
    let opened = keys.open_datagram(&octets("As a datagram"), &mut Spares::default());
    assert_eq!(opened, Ok(beacon));
}
