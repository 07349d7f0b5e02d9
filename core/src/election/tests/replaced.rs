//! Nodes that are replaced, and addresses that are given to others: what is remembered of those before.

use super::*;

const TEN_MINUTES: u64 = 600_000;

impl World {
    fn speakers(&mut self, names: &[&str]) {
        let speakers = names.iter().map(|&name| (name.into(), BTreeSet::new()));
        self.tell(Input::Speakers(speakers.collect()));
    }

    fn knows_b(&self) -> bool {
        self.election.membership.peer(&"b".into()).is_some()
    }

    /// `b` was heard, and what it claimed, and is silent for as long as that.
    fn silent_for(milliseconds: u64) -> Self {
        let mut world = Self::new(&["a", "b"]);
        world.pass(1_000, Some(&[own(3)]));
        world.pass(milliseconds, None);
        world
    }
}

#[test]
fn a_node_that_was_replaced_is_forgotten() {
    let mut world = World::silent_for(TEN_MINUTES);
    world.speakers(&["a", "c"]);
    assert!(!world.knows_b());
    assert_eq!(world.election.membership.claimants(ADDRESS).count(), 0);
}

#[test]
fn a_node_that_was_replaced_is_forgotten_when_another_one_comes() {
    let mut world = World::silent_for(0);
    world.speakers(&["a", "c"]);
    assert!(world.knows_b(), "it was heard just now");
    world.pass(TEN_MINUTES, None);
    let beacon = world.beacon_of_c(&[]);
    world.read_beacon(A, beacon);
    assert!(!world.knows_b());
}

#[test]
fn who_is_among_the_speakers_is_not_forgotten_however_long_it_is_silent() {
    let mut world = World::silent_for(2 * TEN_MINUTES);
    world.speakers(&["a", "b"]);
    assert!(world.knows_b());
}

#[test]
fn nobody_is_forgotten_before_it_is_known_who_the_speakers_are() {
    let mut world = World::silent_for(2 * TEN_MINUTES);
    let beacon = world.beacon_of_c(&[]);
    world.read_beacon(A, beacon);
    assert!(world.knows_b());
}

#[test]
fn recordings_of_a_node_that_is_forgotten_are_told_as_such() {
    let mut world = World::new(&["a", "b"]);
    let mut start = world.beacon(&[own(3)]);
    start.session = Session(7);
    world.read_beacon(A, start.clone());
    let recorded = world.beacon(&[own(3)]);
    world.pass(1_000, Some(&[own(3)]));
    world.pass(TEN_MINUTES, None);
    world.speakers(&["a", "c"]);
    start.sequence = 1_000_000;
    for beacon in [recorded, start] {
        let session = beacon.session;
        let received = world.receive(beacon);
        assert_eq!(received, Err(Ignored::Replayed), "{session:?}");
    }
    // It was cut off, and has not ended.
    world.hear(&[own(3)]);
    assert!(world.knows_b());
}

/// It was cut off for long, and has been started anew before it returned.
#[test]
fn a_recording_of_a_node_that_was_forgotten_does_not_silence_it_when_it_is_back() {
    let mut world = World::new(&["a", "b"]);
    let mut recorded = world.beacon(&[]);
    recorded.session = Session(7);
    let mut before = world.beacon(&[own(3)]);
    before.session = Session(7);
    world.read_beacon(A, recorded.clone());
    world.read_beacon(A, before);
    world.pass(TEN_MINUTES, None);
    world.speakers(&["a", "c"]);
    assert!(!world.knows_b());
    world.decisions();
    world.sequence = 0;
    world.pass(2_000, Some(&[own(9)]));
    assert!(!world.owns());
    world.decisions();
    assert_eq!(world.receive(recorded), Err(Ignored::Replayed));
    world.pass(2_000, Some(&[own(9)]));
    assert_eq!(world.decisions(), Vec::<String>::new());
}

#[test]
fn a_node_whose_link_is_gone_is_not_forgotten_before_its_time() {
    let mut world = World::silent_for(0);
    world.tell(Input::Links(Links::default()));
    world.speakers(&["a", "c"]);
    assert!(world.knows_b());
    world.pass(TEN_MINUTES, None);
    world.speakers(&["a"]);
    assert!(!world.knows_b());
}

/// This speaker has started, and the API has told it late what is announced.
#[test]
fn r10_what_the_owner_that_the_api_names_has_claimed_is_not_forgotten() {
    let mut world = World::silent_for(0);
    let mut assignment = world.election.contests[&ADDRESS].assignment.clone();
    assignment.recorded = Some(Recorded {
        node: Some("b".into()),
        term: Term(3),
        stands: true,
    });
    world.tell(Input::Unassign { address: ADDRESS });
    world.pass(300, None);
    world.tell(Input::Assign {
        address: ADDRESS,
        assignment,
    });
    world.pass(1_000, None);
    assert_eq!(world.decisions(), ["own 4 OwnerSilent"]);
}

/// Whoever the address is given to next has nothing to do with the owner before.
#[test]
fn c1_what_a_dead_node_claimed_is_asked_for_when_it_is_given_to_another_service() {
    let mut world = World::silent_for(0);
    world.tell(Input::Unassign { address: ADDRESS });
    world.pass(10_000, None);
    world.outputs.clear();
    world.assign(&["a"]);
    world.pass(1_000, None);
    let asked = |output: &&Output| matches!(output, Output::Probe { .. });
    assert_eq!(world.outputs.iter().filter(asked).count(), 3);
    assert_eq!(world.decisions(), ["own 4 Unclaimed"]);
}
