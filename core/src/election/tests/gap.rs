//! How long an address was without an owner, as its next one says.

use super::*;

impl World {
    /// The reason of the only claim since it was asked last what it decided, and the gap before it in
    /// milliseconds.
    fn claimed(&mut self) -> (OwnReason, Option<u128>) {
        let outputs = std::mem::take(&mut self.outputs).into_iter();
        let mut owned = outputs.filter_map(|output| match output {
            Output::Own(owned) => Some((owned.reason, owned.takeover)),
            _ => None,
        });
        let (reason, takeover) = owned.next().expect("a claim");
        assert_eq!(owned.next(), None);
        (reason, takeover.map(|takeover| takeover.as_millis()))
    }

    /// `c`, which is a better candidate, would take the address; so `a` waits.
    fn pass_beside_c(&mut self, milliseconds: u64) {
        for _ in 0..milliseconds {
            if self.now.is_multiple_of(INTERVAL) {
                let beacon = self.beacon_of_c(&[]);
                self.read_beacon(A, beacon);
            }
            self.pass(1, None);
        }
    }
}

#[test]
fn of_an_owner_that_is_silent_it_is_known_when_it_lived_last() {
    let mut world = World::new(&["a", "b"]);
    world.pass(2_000, Some(&[own(3)]));
    world.pass(760, None);
    assert_eq!(world.claimed(), (OwnReason::OwnerSilent, Some(751)));
}

#[test]
fn of_an_owner_that_has_released_it_is_known_when() {
    let mut world = World::new(&["c", "a", "b"]);
    world.hear(&[own(3)]);
    for _ in 0..20 {
        world.hear(&[own(3)]);
        world.pass_beside_c(INTERVAL);
    }
    world.hear(&[entry(3, Standing::Released)]);
    world.pass_beside_c(10);
    // It says so several times.
    world.hear(&[entry(3, Standing::Released)]);
    world.pass_beside_c(190);
    assert_eq!(world.claimed(), (OwnReason::OwnerReleased, Some(100)));
}

#[test]
fn of_an_owner_that_is_deaf_it_is_known_when_it_said_so() {
    let mut world = World::new(&["a", "b"]);
    world.pass(2_000, Some(&[own(3)]));
    for _ in 0..4 {
        let mut beacon = world.beacon(&[own(3)]);
        beacon.flags.deaf = true;
        world.read_beacon(A, beacon);
        world.pass(INTERVAL, None);
    }
    assert_eq!(world.claimed(), (OwnReason::OwnerDeaf, Some(100)));
}

#[test]
fn of_an_owner_that_has_started_anew_it_is_not_known_when_it_ended() {
    let mut world = World::new(&["a", "b"]);
    world.pass(2_000, Some(&[own(3)]));
    world.pass(200, None);
    let mut beacon = world.beacon(&[]);
    (beacon.session, beacon.sequence) = (Session(9), 1);
    world.read_beacon(A, beacon);
    world.pass(10, None);
    assert_eq!(world.claimed(), (OwnReason::OwnerReleased, None));
}

/// A Service without endpoints, over night.
#[test]
fn an_address_that_nobody_may_have_is_missed_by_nobody() {
    for is_owner in [false, true] {
        let mut world = World::new(&["a", "b"]);
        let of_b = [own(3)];
        world.pass(2_000, (!is_owner).then_some(&of_b));
        assert_eq!(world.owns(), is_owner);
        world.outputs.clear();
        world.assign(&[]);
        world.hear(&[entry(3, Standing::Released)]);
        world.pass(60_000, Some(&[]));
        world.assign(&["a", "b"]);
        world.pass(1_000, Some(&[]));
        let (_, takeover) = world.claimed();
        assert_eq!(takeover, None, "owned by this node: {is_owner}");
    }
}
