//! R5 to R7: a loop that was away or late.

use super::*;

#[test]
fn r6_who_has_not_sent_a_beacon_lately_may_not_answer_and_listens_before_it_does() {
    let mut world = World::new(&["a"]);
    world.pass(1_000, None);
    let may = |world: &World, at: u64| world.election.may_answer(LINK, Moment::from_millis(at));
    assert!(may(&world, world.now + 150));
    assert!(!may(&world, world.now + 260));
    world.now += 300;
    world.pass(1, None);
    assert!(!may(&world, world.now), "it listens (R7)");
    world.pass(101, None);
    assert!(may(&world, world.now));
}

#[test]
fn r7_who_was_late_a_moment_ago_listens_as_its_peers_have_not_heard_of_it_by_each_beacon() {
    let mut world = World::new(&["a"]);
    // So few wake-ups that one that is late counts (R5).
    world.pass(700, None);
    world.now += 113;
    // With this wake-up it learns that it is late at times; the beacon after it says so.
    world.pass(1, None);
    let beacons = |world: &World| {
        let is_beacon = |output: &&Output| matches!(output, Output::Beacon { channel: A, .. });
        world.outputs.iter().filter(is_beacon).count()
    };
    let before = beacons(&world);
    while beacons(&world) < before + 3 {
        world.pass(1, None);
    }
    // Of its last five beacons one allows 250 ms, and who has heard only that one has taken over.
    world.now += 300;
    // What wakes it up is no deadline: the beacon that leaves now pushes that one out.
    world.tell(Input::Links(world.election.links.clone()));
    let now = Moment::from_millis(world.now);
    assert!(!world.election.may_answer(LINK, now));
}

#[test]
fn r7_who_was_away_takes_nothing_before_it_has_read_what_it_missed() {
    let mut world = World::new(&["a", "b"]);
    world.pass(2_000, Some(&[own(3)]));
    world.now += 2_000;
    // It was released, and somebody else has taken it since: that is still to be read.
    world.hear(&[entry(3, Standing::Released)]);
    world.pass(1, None);
    world.hear(&[own(4)]);
    world.pass(2_000, Some(&[own(4)]));
    assert_eq!(world.decisions(), Vec::<String>::new());
}

#[test]
fn r5_a_loop_that_was_late_says_so_though_a_beacon_came_in_meanwhile() {
    let mut world = World::new(&["a", "b"]);
    world.pass(2_000, Some(&[]));
    for _ in 0..20 {
        // The loop does not run; when it does, what came in is handed over first.
        world.now += 120;
        world.hear(&[]);
        world.pass(300, Some(&[]));
    }
    let said = world.outputs.iter().rev().find_map(|output| match output {
        Output::Beacon { beacon, .. } => Some(beacon.pulse.lateness),
        _ => None,
    });
    assert!(said >= Some(Duration::from_millis(60)), "{said:?}");
}

#[test]
fn r5_nothing_is_taken_before_all_that_has_come_in_is_read() {
    let mut world = World::new(&["a", "b"]);
    world.pass(2_000, Some(&[own(3)]));
    // It is released, and claimed again; the loop reads both in one turn.
    world.read(&[]);
    world.read(&[own(5)]);
    world.pass_no_time();
    assert_eq!(world.decisions(), [""; 0]);
    world.hear(&[]);
    assert_eq!(world.decisions(), ["own 6 OwnerReleased"]);
}
