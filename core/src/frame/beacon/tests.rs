use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::keyring::{Keyring, KeyringError, Rejected};
use super::wire::{self, BeaconError, MOST_HEARD};
use super::*;

const SECRET: &[u8] = b"thirty-two octets, drawn at will";

fn ring(keys: &[u16], signing: u16) -> Keyring {
    let secrets = keys.iter().map(|&key| (key, secret(key)));
    Keyring::new("cluster-a", secrets.collect(), signing).expect("a ring")
}

/// Beacons with memory of their own.
impl Keyring {
    fn sealed(&self, beacon: &Beacon) -> Vec<u8> {
        let mut octets = Vec::new();
        self.seal(beacon, &mut octets);
        octets
    }

    fn sealed_datagram(&self, beacon: &Beacon) -> Vec<u8> {
        let mut octets = Vec::new();
        self.seal_datagram(beacon, &mut octets);
        octets
    }

    fn opened(&self, octets: &[u8]) -> Result<Beacon, Rejected> {
        self.open(octets, &mut Spares::default())
    }

    fn opened_datagram(&self, octets: &[u8]) -> Result<Beacon, Rejected> {
        self.open_datagram(octets, &mut Spares::default())
    }
}

fn encoded(beacon: &Beacon) -> Vec<u8> {
    let mut octets = Vec::new();
    wire::encode(beacon, 1, &mut octets);
    octets
}

fn secret(key: u16) -> Vec<u8> {
    [SECRET, &key.to_be_bytes()].concat()
}

fn entry() -> impl Strategy<Value = Entry> {
    let address = prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u8; 16]>().prop_map(IpAddr::from),
    ];
    let standing = prop_oneof![
        Just(Standing::Own),
        Just(Standing::Released),
        any::<u64>().prop_map(|to| Standing::Offer { to: Session(to) }),
        any::<(u64, u64)>().prop_map(|(holder, weight)| Standing::Relayed {
            holder: Session(holder),
            weight,
        }),
    ];
    (address, any::<u64>(), standing).prop_map(|(address, term, standing)| Entry {
        address,
        term: Term(term),
        standing,
    })
}

prop_compose! {
    fn beacon()(
        (session, sequence, digest) in any::<(u64, u64, u64)>(),
        mac in proptest::option::of(any::<[u8; 6]>()),
        (interval, misses, lateness) in (1u32.., 1u8.., any::<u32>()),
        (leaving, deaf, young) in any::<(bool, bool, bool)>(),
        heard in vec((any::<u64>(), any::<u16>(), any::<bool>()), 0..8),
        entries in vec(entry(), 0..20),
        everything in any::<bool>(),
    ) -> Beacon {
        Beacon {
            sender: "node-a.example".into(),
            session: Session(session),
            sequence,
            mac: mac.map(MacAddr),
            pulse: Pulse {
                interval: Duration::from_micros(interval.into()),
                misses,
                lateness: Duration::from_micros(lateness.into()),
            },
            flags: Flags { leaving, deaf, young },
            heard: heard
                .into_iter()
                .map(|(session, age, synced)| Heard {
                    session: Session(session),
                    age: Duration::from_millis(age.into()),
                    synced,
                })
                .collect(),
            part: Part {
                digest: Digest(digest),
                range: everything.then_some(Part::EVERYTHING),
                entries,
            },
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(beacon in beacon()) {
        let ring = ring(&[1], 1);
        prop_assert_eq!(ring.opened(&ring.sealed(&beacon)), Ok(beacon.clone()));
        prop_assert_eq!(ring.opened_datagram(&ring.sealed_datagram(&beacon)), Ok(beacon));
    }

    #[test]
    fn padding_changes_nothing(beacon in beacon(), padding in 0usize..60) {
        let ring = ring(&[1], 1);
        let mut octets = ring.sealed(&beacon);
        octets.resize(octets.len() + padding, 0);
        prop_assert_eq!(ring.opened(&octets), Ok(beacon));
    }

    #[test]
    fn one_bit_makes_a_beacon_a_forgery(beacon in beacon(), at in any::<prop::sample::Index>()) {
        let ring = ring(&[1], 1);
        for (mut octets, datagram) in
            [(ring.sealed(&beacon), false), (ring.sealed_datagram(&beacon), true)]
        {
            let bit = at.index(octets.len() * 8);
            octets[bit / 8] ^= 1 << (bit % 8);
            let opened = if datagram {
                ring.opened_datagram(&octets)
            } else {
                ring.opened(&octets)
            };
            prop_assert!(opened.is_err(), "bit {bit}");
        }
    }

    #[test]
    fn every_beginning_of_a_beacon_is_refused(beacon in beacon(), at in any::<prop::sample::Index>()) {
        let ring = ring(&[1], 1);
        let octets = ring.sealed(&beacon);
        let cut = &octets[..at.index(octets.len())];
        prop_assert!(ring.opened(cut).is_err());
        prop_assert!(ring.opened_datagram(cut).is_err());
    }

    #[test]
    fn no_octets_make_it_panic(octets in vec(any::<u8>(), 0..200), genuine in any::<bool>()) {
        let mut octets = octets;
        if genuine {
            octets.splice(0..0, *b"BWLB\x01\x01\x00\x01");
        }
        let ring = ring(&[1], 1);
        prop_assert!(ring.opened(&octets).is_err());
        prop_assert!(ring.opened_datagram(&octets).is_err());
        let _either = wire::decode(&octets, &mut Spares::default());
    }
}

fn plain() -> Beacon {
    Beacon {
        sender: "a".into(),
        session: Session(1),
        sequence: 1,
        mac: None,
        pulse: Pulse {
            interval: Duration::from_millis(50),
            misses: 5,
            lateness: Duration::ZERO,
        },
        flags: Flags::default(),
        heard: Vec::new(),
        part: Part {
            digest: Digest::default(),
            range: None,
            entries: Vec::new(),
        },
    }
}

#[test]
fn a_beacon_of_another_cluster_or_key_is_refused() {
    let octets = ring(&[1], 1).sealed(&plain());
    let secrets = BTreeMap::from([(1, secret(1))]);
    let other = Keyring::new("cluster-b", secrets, 1).expect("a ring");
    assert_eq!(other.opened(&octets), Err(Rejected::Forged));
    assert_eq!(ring(&[2], 2).opened(&octets), Err(Rejected::UnknownKey(1)));
    let datagram = ring(&[1], 1).sealed_datagram(&plain());
    assert_eq!(other.opened_datagram(&datagram), Err(Rejected::Forged));
}

#[test]
fn a_key_is_exchanged_in_three_sweeps_without_a_beacon_that_is_refused() {
    let sweeps = [
        ring(&[1], 1),
        ring(&[1, 2], 1),
        ring(&[1, 2], 2),
        ring(&[2], 2),
    ];
    for pair in sweeps.windows(2) {
        for (from, to) in [(&pair[0], &pair[1]), (&pair[1], &pair[0])] {
            assert_eq!(to.opened(&from.sealed(&plain())), Ok(plain()));
        }
    }
    assert!(sweeps[3].opened(&sweeps[0].sealed(&plain())).is_err());
}

#[test]
fn a_datagram_shows_nothing_of_what_it_says() {
    let beacon = Beacon {
        sender: "a-node-with-a-name".into(),
        ..plain()
    };
    let ring = ring(&[1], 1);
    let shows = |octets: &[u8]| octets.windows(18).any(|part| part == b"a-node-with-a-name");
    assert!(shows(&ring.sealed(&beacon)) && !shows(&ring.sealed_datagram(&beacon)));
}

#[test]
fn fields_of_later_versions_are_skipped_and_those_that_need_one_are_refused() {
    let mut octets = encoded(&plain());
    let end = octets.len() - 3;
    octets.splice(end..end, [99, 0, 2, 7, 7]);
    assert_eq!(wire::decode(&octets, &mut Spares::default()), Ok(plain()));
    octets[4] = 2;
    assert_eq!(
        wire::decode(&octets, &mut Spares::default()),
        Err(BeaconError::Version { least: 2 })
    );
}

#[test]
fn rings_that_make_no_sense_are_refused() {
    let secrets = BTreeMap::from([(1, secret(1))]);
    assert_eq!(
        Keyring::new("c", secrets, 2).expect_err("no such key"),
        KeyringError::NoSuchKey(2)
    );
    let secrets = BTreeMap::from([(1, b"short".to_vec())]);
    let weak = KeyringError::Weak { key: 1, octets: 5 };
    assert_eq!(Keyring::new("c", secrets, 1).expect_err("weak"), weak);
}

#[test]
fn the_longest_beacon_fits_into_a_frame() {
    let long = "n".repeat(253);
    let heard = Heard {
        session: Session(u64::MAX),
        age: Duration::from_secs(99),
        synced: true,
    };
    let entry = Entry {
        address: IpAddr::from([0xff; 16]),
        term: Term(u64::MAX),
        standing: Standing::Relayed {
            holder: Session(1),
            weight: 1,
        },
    };
    let beacon = Beacon {
        sender: long.as_str().into(),
        mac: Some(MacAddr([2; 6])),
        heard: vec![heard; MOST_HEARD + 9],
        part: Part {
            digest: Digest(1),
            range: Some(Part::EVERYTHING),
            entries: vec![entry; 99],
        },
        ..plain()
    };
    let octets = ring(&[1], 1).sealed(&beacon);
    let (ipv6, udp, least_mtu) = (40, 8, 1280);
    assert!(octets.len() + ipv6 + udp <= least_mtu && octets.len() > 1180);
    let read = ring(&[1], 1).opened(&octets).expect("genuine");
    assert_eq!(read.heard.len(), MOST_HEARD);
    assert!(read.part.entries.len() >= 4);
}

#[test]
fn ten_thousand_addresses_fit_into_some_hundred_beacons() {
    let entry = Entry {
        address: IpAddr::from([192, 0, 2, 1]),
        term: Term(1),
        standing: Standing::Own,
    };
    let room = wire::room_for_entries(&"node-a".into(), 0);
    let per_beacon = room / wire::entry_length(&entry);
    assert!(
        10_000usize.div_ceil(per_beacon) <= 154,
        "{per_beacon} in a beacon"
    );
}

/// A later version may know better what a link carries.
#[test]
fn a_beacon_as_long_as_a_frame_is_read() {
    let ring = ring(&[1], 1);
    let (end, tag) = (3, 16);
    for (length, is_read) in [(1500, true), (1501, false)] {
        let mut octets = encoded(&plain());
        octets.truncate(octets.len() - end);
        let unknown = length - tag - end - octets.len() - end;
        octets.push(200);
        octets.extend(u16::try_from(unknown).expect("short").to_be_bytes());
        octets.extend(vec![0; unknown + end]);
        ring.sign(&mut octets, 0, plain().session);
        assert_eq!(octets.len(), length);
        let read = ring.opened(&octets);
        let expected = if is_read {
            Ok(plain())
        } else {
            Err(Rejected::Oversized(length))
        };
        assert_eq!(read, expected);
    }
}
