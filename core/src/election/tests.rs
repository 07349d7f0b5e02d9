//! One speaker's part, rule by rule: what it is told, and what it does. How several do together is
//! simulated elsewhere.

use super::*;
use crate::frame::beacon::{Beacon, Digest, Entry, Flags, Heard, Part, Standing};
use crate::link::{Link, LinkIndex};
use crate::membership::Channel;
use crate::placement::{Candidate, Interfaces};

mod balance;
mod carrier;
mod conflict;
mod deaf;
mod filtered;
mod gap;
mod lateness;
mod moves;
mod recordings;
mod relink;
mod replaced;
mod traced;
mod world;

use world::{World, entry, link, own, vouch_for_b};

const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 10));
const GATEWAY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const LINK: LinkIndex = LinkIndex(1);
const A: Channel = Channel::Link(LINK);
const ME: Session = Session(1);
const INTERVAL: u64 = 50;

#[test]
fn r3_an_address_that_nobody_claims_is_taken_after_listening_and_asking() {
    let mut world = World::new(&["a"]);
    // T and two intervals, then three questions 100 ms apart and 200 ms for the last answer.
    world.pass(740, None);
    assert!(!world.owns());
    world.pass(20, None);
    assert_eq!(world.decisions(), ["own 1 Unclaimed"]);
}

#[test]
fn r2_an_address_that_a_worse_candidate_owns_is_left_to_it() {
    let mut world = World::new(&["a", "b"]);
    world.pass(60_000, Some(&[own(3)]));
    assert_eq!(world.decisions(), Vec::<String>::new());
}

#[test]
fn r5_the_address_of_an_owner_is_taken_when_it_was_silent_for_t() {
    let mut world = World::new(&["a", "b"]);
    world.pass(2_000, Some(&[own(3)]));
    // Without a station that answers, the silence of all is believed after three times as long.
    world.pass(740, None);
    assert!(!world.owns());
    world.pass(20, None);
    assert_eq!(world.decisions(), ["own 4 OwnerSilent"]);
}

#[test]
fn r9_an_owner_that_answers_for_its_address_is_not_down() {
    let mut world = World::new(&["a", "b"]);
    world.pass(2_000, Some(&[own(3)]));
    for _ in 0..200 {
        world.pass(50, None);
        world.tell(Input::Seen {
            link: LINK,
            address: ADDRESS,
            mac: MacAddr([2, 0, 0, 0, 0, 2]),
        });
    }
    assert_eq!(world.decisions(), Vec::<String>::new());
}

#[test]
fn r9_of_a_crowd_that_falls_silent_all_are_asked_for_in_one_beacon() {
    let mut world = World::new(&["a", "b"]);
    // Twenty peers, one each millisecond.
    for _ in 0..2_000 {
        world.pass(1, None);
        let number = world.now % INTERVAL;
        if number < 20 {
            let mut beacon = world.beacon(&[]);
            beacon.sender = NodeName::from(&format!("peer-{number}"));
            beacon.session = Session(100 + number);
            world.read_beacon(A, beacon);
        }
    }
    world.outputs.clear();
    world.pass(250, None);
    let beacons = world.outputs.iter().filter_map(|output| match output {
        Output::Beacon { channel: A, beacon } => Some(beacon.heard.len()),
        _ => None,
    });
    let beacons: Vec<usize> = beacons.collect();
    // Five or six regular ones, and between them those that ask.
    assert!((8..=12).contains(&beacons.len()), "{beacons:?}");
    assert_eq!(beacons.last(), Some(&20), "{beacons:?}");
}

#[test]
fn an_address_that_somebody_else_has_waits_for_nothing() {
    let mut world = World::new(&["a", "b"]);
    world.pass(400, None);
    let waits = |world: &World| world.election.contests[&ADDRESS].look_at.is_some();
    assert!(waits(&world), "to be taken");
    world.pass(1_000, Some(&[own(3)]));
    assert!(!waits(&world));
}

#[test]
fn r12_who_is_alone_with_a_gateway_keeps_what_it_owns_while_the_gateway_answers() {
    let mut world = World::new(&["a", "b"]);
    world.link(BTreeSet::from([GATEWAY]));
    // Alone from the start, and alone after another speaker has gone for good.
    for peer in [None, Some(2000)] {
        if let Some(there_for) = peer {
            world.pass(there_for, Some(&[]));
        }
        world.pass_alone(60_000, true);
        assert!(world.owns());
        let decisions = world.decisions();
        let released = decisions.iter().any(|said| said.starts_with("release"));
        assert!(!released, "{decisions:?}");
    }
    // It is asked now and then: the first answer that fails to come is noticed at the next question.
    world.pass_alone(10_000 + 500, false);
    assert!(world.decisions().contains(&"release Deaf".to_owned()));
}

#[test]
fn r13_a_higher_claim_is_yielded_to_and_a_lower_one_is_answered() {
    let mut world = World::new(&["a", "b"]);
    world.pass(1_000, None);
    assert_eq!(world.decisions(), ["own 1 Unclaimed"]);
    world.hear(&[own(0)]);
    assert_eq!(world.decisions(), ["announce"]);
    world.hear(&[own(2)]);
    assert_eq!(world.decisions(), ["release Outclaimed"]);
}

#[test]
fn r13_after_each_that_gives_in_the_owner_has_the_last_word() {
    let mut world = World::new(&["a", "b"]);
    world.pass(1_000, Some(&[]));
    world.decisions();
    let release = entry(0, Standing::Released);
    world.hear(&[release]);
    world.pass(200, Some(&[]));
    // Each release is said several times.
    world.hear(&[release]);
    world.pass(200, Some(&[]));
    assert_eq!(world.decisions(), ["announce"]);
    // Another had claimed with the same term.
    let mut beacon = world.beacon(&[release]);
    beacon.sender = "c".into();
    beacon.session = Session(3);
    let at = Moment::from_millis(world.now);
    world.tell(Input::Beacon {
        channel: A,
        beacon,
        at,
    });
    assert_eq!(world.decisions(), ["announce"]);
}

/// The start before may have been cut off, have claimed the address and announced it, and have ended.
#[test]
fn r13_who_has_started_anew_without_a_word_may_have_announced_the_address() {
    for (leaving, expected) in [(false, vec!["announce"]), (true, vec![])] {
        let mut world = World::new(&["a", "b", "c"]);
        world.pass(1_000, Some(&[]));
        let starts = [(Session(3), 1), (Session(4), 1), (Session(4), 2)];
        for (session, sequence) in starts {
            let mut beacon = world.beacon_of_c(&[]);
            (beacon.session, beacon.sequence) = (session, sequence);
            beacon.flags.leaving = leaving && session == Session(3);
            world.read_beacon(A, beacon);
            if session == Session(3) {
                world.decisions();
            }
            world.pass(600, Some(&[]));
        }
        assert_eq!(world.decisions(), expected, "leaving: {leaving}");
    }
}

#[test]
fn r13_a_takeover_is_one_move_though_the_silent_owner_claims_the_address_still() {
    let mut world = World::new(&["a", "b"]);
    let mut term = 1;
    // Three moves in 15 s: no flapping, so its owner never gets more time.
    for _ in 0..5 {
        world.pass(6_000, Some(&[own(term)]));
        assert!(!world.owns());
        world.pass(760, None);
        assert!(world.owns(), "{} s", world.now / 1000);
        world.pass(5_240, None);
        term += 2;
    }
}

#[test]
fn r13_a_claim_of_who_fell_silent_means_nothing_when_somebody_has_owned_the_address_since() {
    let mut world = World::new(&["a", "b", "c"]);
    let pass_with_c = |world: &mut World, entries: &[Entry]| {
        for _ in 0..20 {
            let beacon = world.beacon_of_c(entries);
            world.read_beacon(A, beacon);
            world.pass(INTERVAL, None);
        }
    };
    world.hear(&[own(3)]);
    pass_with_c(&mut world, &[own(4)]);
    let beacon = world.beacon_of_c(&[entry(4, Standing::Released)]);
    world.read_beacon(A, beacon);
    pass_with_c(&mut world, &[]);
    assert_eq!(world.decisions(), ["own 5 OwnerReleased"]);
}

#[test]
fn c1_an_address_that_a_stranger_uses_is_left_alone_for_a_minute() {
    let stranger = MacAddr([2, 9, 9, 9, 9, 9]);
    let mut world = World::new(&["a"]);
    world.pass(400, None);
    world.tell(Input::Seen {
        link: LINK,
        address: ADDRESS,
        mac: stranger,
    });
    assert_eq!(world.decisions(), [format!("conflict {stranger}")]);
    world.pass(59_000, None);
    assert!(!world.owns());
    world.pass(2_000, None);
    assert_eq!(world.decisions(), ["own 1 Unclaimed"]);
}

#[test]
fn r8_nothing_is_asked_for_while_what_a_peer_claims_is_not_known() {
    let asked = |knows_all: bool| {
        let mut world = World::new(&["a", "b"]);
        for _ in 0..11 {
            world.pass(50, None);
            let mut beacon = world.beacon(&[]);
            if !knows_all {
                beacon.part.digest.add(&own(1));
            }
            world.read_beacon(A, beacon);
        }
        let probes = world.outputs.iter();
        probes
            .filter(|output| matches!(output, Output::Probe { .. }))
            .count()
    };
    assert_eq!((asked(true), asked(false)), (3, 0));
}

#[test]
fn c3_a_stranger_is_answered_once_in_ten_seconds() {
    let mut world = World::new(&["a"]);
    world.pass(1_000, None);
    world.decisions();
    for _ in 0..25 {
        world.tell(Input::Seen {
            link: LINK,
            address: ADDRESS,
            mac: MacAddr([2, 9, 9, 9, 9, 9]),
        });
        world.pass(1_000, None);
    }
    assert_eq!(world.decisions(), ["defend"; 3]);
    assert!(world.owns());
}
