//! R9, R13, R15: what is known of a speaker whose beacons are dropped on the way, by its datagrams and its
//! other frames.

use super::*;

const B: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

/// What the network does with the beacons of `b`.
#[derive(Clone, Copy, PartialEq)]
enum Beacons {
    /// They arrived in the first second.
    Cease,
    /// None ever arrived.
    Never,
}

/// After two seconds in which `c` owned the address, or nobody, on a network with a gateway. `b` claims
/// nothing.
fn world(beacons: Beacons, owned_by_c: bool) -> World {
    let mut world = World::new(&["a", "b"]);
    world.link(BTreeSet::from([GATEWAY]));
    let macs = BTreeSet::from([B]);
    world.tell(Input::Speakers(BTreeMap::from([("b".into(), macs)])));
    for turn in 0..40 {
        if owned_by_c {
            world.read_c(own(3));
        }
        if beacons == Beacons::Cease && turn < 20 {
            world.hear(&[]);
        }
        world.pass_filtered(INTERVAL, &[], false);
    }
    assert_eq!(world.owns(), !owned_by_c);
    world.decisions();
    world
}

impl World {
    /// Time passes in which the gateway answers, `b` says `entries` by datagram, and answers what is
    /// asked for its address if it is on this network. How often it was asked.
    fn pass_filtered(&mut self, milliseconds: u64, entries: &[Entry], is_here: bool) -> usize {
        self.pass_beside_b(milliseconds, Some(entries), is_here)
    }

    /// The same, or without datagrams of `b`.
    fn pass_beside_b(
        &mut self,
        milliseconds: u64,
        entries: Option<&[Entry]>,
        is_here: bool,
    ) -> usize {
        let mut questions = 0;
        for _ in 0..milliseconds {
            let before = self.outputs.len();
            if let Some(entries) = entries
                && self.now.is_multiple_of(4 * INTERVAL)
            {
                self.hear_by_datagram(entries);
            }
            self.pass_alone(1, true);
            let asked = |output: &&Output| matches!(output, Output::Probe { address, .. } if *address == ADDRESS);
            let asked = self.outputs[before..].iter().filter(asked).count();
            questions += asked;
            if asked > 0 && is_here {
                self.see_b();
            }
        }
        questions
    }

    fn hear_by_datagram(&mut self, entries: &[Entry]) {
        let beacon = self.datagram(entries);
        self.read_beacon(Channel::Unicast, beacon);
        self.pass_no_time();
    }

    fn datagram(&mut self, entries: &[Entry]) -> Beacon {
        let mut beacon = self.beacon(entries);
        beacon.mac = None;
        beacon.pulse.interval *= 4;
        beacon
    }

    /// `b` announces the address, or answers for it.
    fn see_b(&mut self) {
        self.tell(Input::Seen {
            link: LINK,
            address: ADDRESS,
            mac: B,
        });
        self.pass_no_time();
    }

    /// `c` is heard, and there may be more to read.
    fn read_c(&mut self, entry: Entry) {
        let beacon = self.beacon_of_c(&[entry]);
        self.read_beacon(A, beacon);
    }
}

#[test]
fn r9_what_is_claimed_by_datagram_and_answered_for_on_the_wire_is_not_taken() {
    for beacons in [Beacons::Cease, Beacons::Never] {
        let mut world = world(beacons, true);
        world.read_c(entry(3, Standing::Released));
        let questions = world.pass_filtered(10_000, &[own(4)], true);
        assert_eq!(world.decisions(), Vec::<String>::new());
        assert!(questions > 5, "{questions}");
    }
}

#[test]
fn r9_what_is_claimed_by_datagram_and_not_answered_for_on_the_wire_is_taken_after_t() {
    for beacons in [Beacons::Cease, Beacons::Never] {
        let mut world = world(beacons, true);
        // The owner is gone, and `b` takes over where it is: behind a cable that is cut, for all that is
        // known here.
        world.read_c(entry(3, Standing::Released));
        let questions = world.pass_filtered(240, &[own(4)], false);
        assert!(questions > 0 && !world.owns());
        world.pass_filtered(150, &[own(4)], false);
        assert!(world.owns());
    }
}

#[test]
fn r15_an_owner_finds_another_one_that_is_only_heard_by_datagram() {
    for beacons in [Beacons::Cease, Beacons::Never] {
        let mut world = world(beacons, false);
        world.pass_filtered(1_100, &[own(9)], true);
        assert_eq!(world.decisions(), ["release Outclaimed"]);
    }
}

#[test]
fn r13_a_higher_claim_by_datagram_is_yielded_to_when_its_owner_speaks_on_the_wire() {
    for beacons in [Beacons::Cease, Beacons::Never] {
        let mut world = world(beacons, false);
        // A network that is split has an announcer on either side.
        world.pass_filtered(2_000, &[own(9)], false);
        assert_eq!(world.decisions(), Vec::<String>::new());
        world.see_b();
        assert_eq!(world.decisions(), ["release Outclaimed"]);
    }
}

#[test]
fn r13_a_lower_claim_by_datagram_is_answered_when_its_owner_speaks_on_the_wire() {
    for beacons in [Beacons::Cease, Beacons::Never] {
        let mut world = world(beacons, false);
        world.pass_filtered(2_000, &[own(0)], false);
        assert_eq!(world.decisions(), Vec::<String>::new());
        world.see_b();
        assert_eq!(world.decisions(), ["announce"]);
    }
}

/// `b`, which is met by datagrams, owns the address.
fn beside_owner_met_by_datagrams() -> World {
    let mut world = world(Beacons::Never, false);
    world.pass_filtered(1_100, &[own(9)], true);
    assert_eq!(world.decisions(), ["release Outclaimed"]);
    world
}

#[test]
fn r9_who_is_met_by_datagrams_is_asked_for_when_they_cease() {
    let mut world = beside_owner_met_by_datagrams();
    world.pass_beside_b(10_000, None, true);
    assert_eq!(world.decisions(), Vec::<String>::new());
    world.pass_beside_b(2_000, None, false);
    assert_eq!(world.decisions(), ["own 10 OwnerSilent"]);
}

/// Its answers are lost too.
#[test]
fn r10_others_vouch_by_datagram_for_who_is_met_by_datagrams() {
    for vouches in [true, false] {
        let mut world = beside_owner_met_by_datagrams();
        for _ in 0..40 {
            let mut beacon = world.beacon_of_c(&[]);
            beacon.mac = None;
            if vouches {
                vouch_for_b(&mut beacon);
            }
            world.read_beacon(Channel::Unicast, beacon);
            world.pass_beside_b(INTERVAL, None, false);
        }
        let taken = Vec::from_iter((!vouches).then_some("own 10 OwnerSilent"));
        assert_eq!(world.decisions(), taken);
    }
}

/// Its link is mute, and its datagrams come by another network.
#[test]
fn r15_what_is_owned_by_who_is_not_seen_any_more_is_taken() {
    let mut world = beside_owner_met_by_datagrams();
    let questions = world.pass_filtered(1_900, &[own(9)], false);
    assert_eq!(world.decisions(), Vec::<String>::new());
    assert!(questions > 10, "{questions}");
    world.pass_filtered(2_000, &[own(9)], false);
    assert_eq!(world.decisions(), ["own 10 OwnerReleased"]);
}

/// There is no address of it to ask for where it is only seen.
#[test]
fn r15_who_answers_on_one_link_is_not_asked_more_because_it_is_seen_on_another() {
    let mut world = beside_owner_met_by_datagrams();
    world.add_link();
    let mut questions = 0;
    for _ in 0..5 {
        world.tell(Input::Seen {
            link: OTHER,
            address: IpAddr::from([198, 51, 100, 7]),
            mac: B,
        });
        questions += world.pass_filtered(1_000, &[own(9)], true);
    }
    assert_eq!(world.decisions(), Vec::<String>::new());
    assert!((4..=6).contains(&questions), "{questions}");
}

/// The cable has a carrier, and nothing came over it.
#[test]
fn r15_who_is_met_by_datagrams_is_asked_for_at_once_when_the_link_is_heard_again() {
    for silent in (3_100..5_000).step_by(100) {
        let mut world = beside_owner_met_by_datagrams();
        for _ in 0..silent {
            if world.now.is_multiple_of(4 * INTERVAL) {
                world.hear_by_datagram(&[own(9)]);
            }
            world.pass_alone(1, false);
        }
        world.pass_filtered(2_000, &[own(9)], true);
        assert_eq!(world.decisions(), Vec::<String>::new(), "{silent} ms");
    }
}

#[test]
fn r12_who_was_deaf_when_its_beacons_were_last_heard_says_by_datagram_that_it_hears_again() {
    for deaf in [false, true] {
        let mut world = world(Beacons::Never, false);
        let mut beacon = world.beacon(&[]);
        beacon.flags.deaf = true;
        world.read_beacon(A, beacon);
        world.pass_filtered(1_000, &[], false);
        world.decisions();
        let mut beacon = world.datagram(&[own(9)]);
        beacon.flags.deaf = deaf;
        world.read_beacon(Channel::Unicast, beacon);
        world.see_b();
        let expected = if deaf {
            "announce"
        } else {
            "release Outclaimed"
        };
        assert_eq!(world.decisions(), [expected], "deaf: {deaf}");
    }
}

const OTHER: LinkIndex = LinkIndex(2);

impl World {
    /// This node has a second link, in a network of its own.
    fn add_link(&mut self) {
        let first = Link {
            gateways: BTreeSet::from([GATEWAY]),
            ..link("eth0", "192.0.2.0/24")
        };
        let second = Link {
            mac: MacAddr([2, 0, 0, 0, 1, 1]),
            ..link("eth1", "198.51.100.0/24")
        };
        let links = [(LINK, first), (OTHER, second)];
        self.tell(Input::Links(links.into_iter().collect()));
    }

    /// `b` is heard on the second link, and by datagram, and claims the address.
    fn pass_on_other_link(&mut self, milliseconds: u64, entries: &[Entry]) {
        for _ in 0..milliseconds / INTERVAL {
            let beacon = self.beacon(entries);
            self.read_beacon(Channel::Link(OTHER), beacon);
            self.hear_by_datagram(entries);
            self.pass_alone(INTERVAL, true);
        }
    }

    fn asked_for_address_on(&self, on: LinkIndex) -> usize {
        let asked = self.outputs.iter().filter(|output| {
            matches!(output, Output::Probe { link, address } if *link == on && *address == ADDRESS)
        });
        asked.count()
    }
}

#[test]
fn r15_what_is_seen_on_one_link_says_nothing_of_another() {
    let mut world = world(Beacons::Never, false);
    world.add_link();
    world.pass_filtered(1_000, &[own(9)], false);
    world.decisions();
    world.tell(Input::Seen {
        link: OTHER,
        address: IpAddr::from([198, 51, 100, 7]),
        mac: B,
    });
    world.pass_filtered(1_000, &[own(9)], false);
    assert_eq!(world.decisions(), Vec::<String>::new());
    world.see_b();
    assert_eq!(world.decisions(), ["release Outclaimed"]);
}

#[test]
fn r15_who_is_heard_on_one_link_is_asked_for_on_the_one_where_it_is_not() {
    let mut world = world(Beacons::Never, false);
    world.add_link();
    world.outputs.clear();
    world.pass_on_other_link(3_000, &[own(9)]);
    let asked = world.asked_for_address_on(LINK);
    assert!(asked >= 3, "{asked}");
    assert_eq!(world.asked_for_address_on(OTHER), 0);
}

#[test]
fn r9_a_silent_owner_is_asked_only_where_the_address_is_announced() {
    let other = IpAddr::from([198, 51, 100, 7]);
    let mut world = world(Beacons::Never, false);
    world.add_link();
    let assignment = world.election.contests[&ADDRESS].assignment.clone();
    world.tell(Input::Assign {
        address: other,
        assignment,
    });
    let on_other = Entry {
        address: other,
        ..own(9)
    };
    world.pass_on_other_link(3_000, &[own(9), on_other]);
    world.outputs.clear();
    world.pass_alone(250, true);
    let asked: BTreeSet<_> = world
        .outputs
        .iter()
        .filter_map(|output| match output {
            Output::Probe {
                link: OTHER,
                address,
            } => Some(*address),
            _ => None,
        })
        .collect();
    assert_eq!(asked, BTreeSet::from([other]));
}

#[test]
fn r15_who_is_met_by_datagrams_is_asked_for_at_once_when_the_link_is_back() {
    let mut world = world(Beacons::Never, false);
    world.pass_filtered(1_500, &[own(9)], true);
    assert_eq!(world.decisions(), ["release Outclaimed"]);
    for away in [100, 700, 4_000] {
        world.unplug();
        world.pass_filtered(away, &[own(9)], false);
        world.link(BTreeSet::from([GATEWAY]));
        world.pass_filtered(2_300, &[own(9)], true);
        assert_eq!(world.decisions(), Vec::<String>::new(), "{away} ms");
    }
}

/// Failover among those who are met by datagrams takes as long as among others.
#[test]
fn r15_datagrams_are_as_many_as_beacons_while_somebody_is_met_by_them_on_one_link() {
    for is_seen in [false, true] {
        let mut world = world(Beacons::Never, false);
        world.add_link();
        world.pass_on_other_link(1_000, &[]);
        if is_seen {
            world.see_b();
        }
        world.outputs.clear();
        world.pass_on_other_link(1_000, &[]);
        let datagrams = world.outputs.iter().filter_map(|output| match output {
            Output::Beacon {
                channel: Channel::Unicast,
                beacon,
            } => Some(beacon.pulse.interval.as_millis()),
            _ => None,
        });
        let intervals: Vec<_> = datagrams.collect();
        let (most, interval) = if is_seen { (25, 50) } else { (6, 200) };
        let is_so = intervals.iter().all(|said| *said == interval);
        assert!(is_so && intervals.len() <= most, "{intervals:?}");
        assert!(intervals.len() * 3 > most * 2, "{intervals:?}");
    }
}
