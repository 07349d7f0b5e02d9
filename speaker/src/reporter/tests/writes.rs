//! How often the API server is written to, and what comes of writes that fail.

use proptest::prelude::*;

use super::*;

#[test]
fn at_a_restart_nothing_is_written() {
    let mut before = World::at_rest();
    before.tell(own(ADDRESS, 3));
    before.settle();
    before.now += 60_000;

    let mut after = World::new();
    after.now = before.now;
    after.set_speaker(before.speaker.clone().expect("a Speaker"));
    after.set(ADDRESS, before.status(ADDRESS).clone());
    after.tell(own(ADDRESS, 3));
    assert_eq!(after.pass(Duration::from_hours(1)), 0);
}

#[test]
fn a_write_that_is_refused_is_tried_again_later_and_later() {
    let mut world = World::at_rest();
    world.error = Some(CallError::Forbidden("no".into()));
    world.tell(own(ADDRESS, 3));
    let tries = world.pass(Duration::from_mins(10));
    assert!((20..30).contains(&tries), "{tries}");
    world.error = None;
    assert_eq!(world.pass(Duration::from_secs(31)), 1);
    assert_eq!(world.status(ADDRESS).node.as_deref(), Some("a"));
    assert_eq!(world.pass(Duration::from_hours(1)), 0);
}

/// Within 5 s of its return the API server has to tell the truth.
#[test]
fn while_the_api_server_is_away_one_write_is_tried_each_second_and_all_soon_after() {
    let mut world = World::at_rest();
    world.error = Some(CallError::Unavailable("away".into()));
    for address in [ADDRESS, OTHER, ADDRESS6] {
        world.tell(own(address, 3));
    }
    let tries = world.pass(Duration::from_mins(10));
    assert!((590..=610).contains(&tries), "{tries}");
    world.error = None;
    assert_eq!(world.pass(Duration::from_secs(1)), 3);
    for address in [ADDRESS, OTHER, ADDRESS6] {
        assert_eq!(world.status(address).node.as_deref(), Some("a"));
    }
    assert_eq!(world.pass(Duration::from_hours(1)), 0);
}

#[test]
fn one_write_of_a_status_is_under_way_at_a_time_and_the_next_says_the_latest() {
    let mut world = World::at_rest();
    world.tell(own(ADDRESS, 3));
    let first = world.next().expect("a write");
    let mut slow = link("eth0");
    for octet in 1..10 {
        slow.mac = MacAddr([2, 0, 0, 0, 1, octet]);
        world.tell(links([slow.clone()]));
    }
    let others = std::iter::from_fn(|| world.next()).collect::<Vec<_>>();
    let expected = |write: &Write| write.target() == Target::Speaker;
    assert!(others.iter().all(expected), "{others:?}");
    world.answer(&first);
    world.pass(Duration::from_secs(2));
    assert_eq!(world.status(ADDRESS).interfaces[0].mac, "02:00:00:00:01:09");
}

#[test]
fn a_link_that_flaps_makes_one_write_a_second() {
    let mut world = World::at_rest();
    world.tell(own(ADDRESS, 3));
    world.settle();
    let mut writes = 0;
    for round in 0..100 {
        let flapping = Link {
            carrier: round % 2 == 0,
            ..link("eth0")
        };
        world.tell(links([flapping]));
        writes += world.pass(Duration::from_millis(100));
    }
    // Of the Speaker and of the Announcement.
    assert!(writes <= 22, "{writes}");
}

#[test]
fn after_dropped_reports_what_is_left_is_taken_over() {
    let mut world = World::at_rest();
    world.tell(own(ADDRESS, 3));
    world.settle();
    world.tell(Input::Report(Report::All {
        paths: None,
        owned: vec![owned(OTHER, 1)],
        closed: BTreeMap::new(),
    }));
    world.pass(Duration::from_secs(10));
    assert_eq!(world.status(ADDRESS).node, None);
    assert_eq!(world.status(OTHER).node.as_deref(), Some("a"));
}

fn input() -> impl Strategy<Value = Input> {
    let address = prop_oneof![Just(ADDRESS), Just(OTHER), Just(ADDRESS6)];
    let some_links = any::<(bool, bool, u8)>().prop_map(|(carrier, link_local, mac)| {
        let mut link = link("eth0");
        link.carrier = carrier;
        link.mac = MacAddr([2, 0, 0, 0, 1, mac % 2]);
        link.link_local = link.link_local.filter(|_| link_local);
        links([link])
    });
    prop_oneof![
        some_links,
        (address.clone(), 1..4u64).prop_map(|(address, term)| own(address, term)),
        (address, any::<bool>()).prop_map(|(address, first)| release(
            address,
            if first {
                ReleaseReason::NoCandidate
            } else {
                ReleaseReason::Outclaimed
            }
        )),
        Just(foreign(STRANGER)),
    ]
}

proptest! {
    /// Whatever happens: in the end the status names this node where it owns the address and can
    /// announce it, and nowhere else; and then nothing more is written.
    #[test]
    fn what_is_said_comes_to_be_true_and_then_rests(
        inputs in proptest::collection::vec((input(), 0..3000u64), 1..40),
        theirs in proptest::option::of(1..4i64),
    ) {
        let mut world = World::new();
        if let Some(term) = theirs {
            world.set(OTHER, by("b", term));
        }
        for (input, pause) in inputs {
            world.tell(input);
            world.pass(Duration::from_millis(pause));
        }
        world.pass(Duration::from_mins(2));
        prop_assert_eq!(world.pass(Duration::from_hours(2)), 0);
        for address in [ADDRESS, ADDRESS6] {
            let claim = world.reporter.claims.get(address);
            let link = world.reporter.surroundings.links.get(LinkIndex(1)).expect("eth0");
            let can = link.carrier && (address.is_ipv4() || link.link_local.is_some());
            let named = world.status(address).node.is_some();
            prop_assert_eq!(named, claim.is_some() && can, "{}", address);
        }
    }
}
