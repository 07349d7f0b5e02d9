//! What is recorded, and sent again, silences nobody and revives nobody.

use super::*;

impl World {
    /// A beacon of `b` that names nobody as heard.
    fn hears_nobody(&mut self, entries: &[Entry]) -> Beacon {
        let mut beacon = self.beacon(entries);
        beacon.heard.clear();
        beacon
    }

    /// A recording of an earlier start of `b`.
    fn of_an_earlier_start(&mut self, entries: &[Entry]) -> Beacon {
        let mut beacon = self.hears_nobody(entries);
        beacon.session = Session(9);
        beacon.sequence += 1_000;
        beacon
    }

    fn session_of_b(&self) -> Option<Session> {
        let peer = self.election.membership.peer(&"b".into());
        peer.map(|peer| peer.session)
    }
}

#[test]
fn a_recording_changes_nothing() {
    let mut world = World::new(&["a", "b"]);
    let old = world.beacon(&[own(7)]);
    world.pass(2_000, Some(&[]));
    assert_eq!(world.receive(old), Err(Ignored::Replayed));
    assert!(world.owns());
}

#[test]
fn a_recording_does_not_silence_who_has_not_heard_this_start_yet() {
    let mut world = World::new(&["a", "b"]);
    let beacon = world.hears_nobody(&[own(3)]);
    assert_eq!(world.receive(beacon), Ok(()));
    let recorded = world.of_an_earlier_start(&[own(7)]);
    assert_eq!(world.receive(recorded), Ok(()));
    assert_eq!(world.session_of_b(), Some(Session(2)));
    let beacon = world.beacon(&[own(3)]);
    assert_eq!(world.receive(beacon), Ok(()));
    assert_eq!(world.session_of_b(), Some(Session(2)));
    world.pass(10_000, Some(&[own(3)]));
    assert_eq!(world.decisions(), Vec::<String>::new());
}

/// The link carries frames from `b` to this node, and none back: `b` can show nothing.
#[test]
fn who_cannot_hear_this_node_counts_when_the_recording_before_it_is_silent() {
    let mut world = World::new(&["a", "b"]);
    let recorded = world.of_an_earlier_start(&[]);
    assert_eq!(world.receive(recorded), Ok(()));
    for _ in 0..200 {
        let beacon = world.hears_nobody(&[own(3)]);
        assert_eq!(world.receive(beacon), Ok(()));
        world.pass(INTERVAL, None);
    }
    assert_eq!(world.session_of_b(), Some(Session(2)));
    assert_eq!(world.decisions(), Vec::<String>::new());
}

/// While it was silent for a moment a recording of the start before was taken for it.
#[test]
fn who_was_taken_for_gone_is_heard_again_after_a_recording() {
    let mut world = World::new(&["a", "b"]);
    let beacon = world.hears_nobody(&[own(3)]);
    assert_eq!(world.receive(beacon), Ok(()));
    world.pass(300, None);
    let recorded = world.of_an_earlier_start(&[]);
    assert_eq!(world.receive(recorded), Ok(()));
    assert_eq!(world.session_of_b(), Some(Session(9)));
    let beacon = world.beacon(&[own(3)]);
    assert_eq!(world.receive(beacon), Ok(()));
    assert_eq!(world.session_of_b(), Some(Session(2)));
}

#[test]
fn a_recording_is_no_sign_of_life_after_the_link_was_away() {
    let mut world = World::new(&["a", "b"]);
    let old = world.beacon(&[own(7)]);
    world.pass(2_000, Some(&[]));
    world.tell(Input::Links(Links::default()));
    world.link(BTreeSet::new());
    assert_eq!(world.receive(old), Err(Ignored::Replayed));
    let next = world.beacon(&[]);
    assert_eq!(world.receive(next), Ok(()));
}
