//! What is said of a stranger that uses an address.

use super::*;

/// C1: before the first claim nobody announces it, and each candidate finds out why.
#[test]
fn who_uses_an_address_that_nobody_announces_is_named_until_somebody_does() {
    let mut world = World::at_rest();
    let mut writes = 0;
    for _ in 0..30 {
        world.tell(foreign(STRANGER));
        writes += world.pass(Duration::from_secs(1));
    }
    assert_eq!(writes, 1);
    let (status, _, message) = world.condition(ADDRESS, "Conflict").expect("a condition");
    assert_eq!(status, "True");
    assert!(message.contains(&STRANGER.to_string()), "{message}");
    world.tell(own(ADDRESS, 1));
    world.pass(Duration::from_secs(2));
    assert_eq!(world.condition(ADDRESS, "Conflict"), None);
    assert_eq!(world.status(ADDRESS).node.as_deref(), Some("a"));
    // Of what another node announces it says nothing.
    world.set(OTHER, by("b", 4));
    let claim = ForeignClaim {
        address: OTHER,
        mac: STRANGER,
    };
    world.set(OTHER, by("b", 4));
    world.tell(Input::Report(Report::Foreign(claim)));
    assert_eq!(world.pass(Duration::from_mins(2)), 0);
}

/// Another candidate, which asks too, has heard another station last.
#[test]
fn of_two_strangers_the_one_is_named_that_was_heard_last() {
    let mut world = World::at_rest();
    world.tell(foreign(STRANGER));
    assert_eq!(world.pass(Duration::from_secs(2)), 1);
    let other = MacAddr([2, 0, 0, 0, 0, 0xef]);
    let theirs =
        super::status::used_by_stranger(other, &AnnouncementStatus::default(), world.now().time);
    world.set(ADDRESS, theirs.clone());
    assert_eq!(world.pass(Duration::from_mins(10)), 0);
    world.tell(foreign(STRANGER));
    assert_eq!(world.pass(Duration::from_secs(2)), 1);
    world.set(ADDRESS, theirs);
    assert_eq!(world.pass(Duration::from_mins(10)), 0);
    // A status that names none does not make what was heard old.
    world.set(ADDRESS, AnnouncementStatus::default());
    assert_eq!(world.pass(Duration::from_secs(2)), 1);
}

#[test]
fn a_conflict_is_named_until_it_is_over() {
    let mut world = World::at_rest();
    world.tell(own(ADDRESS, 3));
    world.settle();
    let mut writes = 0;
    for _ in 0..30 {
        world.tell(foreign(STRANGER));
        writes += world.pass(Duration::from_secs(1));
    }
    assert_eq!(writes, 1);
    assert_eq!(
        world.condition(ADDRESS, "Conflict"),
        Some((
            "True",
            "ForeignStation",
            "the station 02:00:00:00:00:ee uses this address too: take it off that station, or \
             exclude it from the pool"
        ))
    );
    assert_eq!(world.pass(Duration::from_secs(58)), 0);
    assert_eq!(world.pass(Duration::from_secs(2)), 1);
    assert_eq!(world.condition(ADDRESS, "Conflict"), None);
    assert_eq!(world.pass(Duration::from_hours(1)), 0);
}
