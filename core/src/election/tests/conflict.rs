//! What is said of a stranger that uses an address, and for how long.

use super::*;

const STRANGER: MacAddr = MacAddr([2, 9, 9, 9, 9, 9]);

impl World {
    fn see_stranger(&mut self) {
        self.tell(Input::Seen {
            link: LINK,
            address: ADDRESS,
            mac: STRANGER,
        });
    }

    fn conflict(&self) -> Option<MacAddr> {
        self.election.snapshot().addresses[0].conflict
    }
}

#[test]
fn a_stranger_is_told_of_until_a_minute_after_it_was_seen_last() {
    let mut world = World::new(&["a"]);
    world.pass(1_000, None);
    assert_eq!((world.owns(), world.conflict()), (true, None));
    for _ in 0..2 {
        world.see_stranger();
        world.pass(59_900, None);
        assert_eq!(world.conflict(), Some(STRANGER));
    }
    world.pass(200, None);
    assert_eq!(world.conflict(), None);
}

#[test]
fn who_gives_an_address_up_tells_of_no_stranger_that_uses_it() {
    let mut world = World::new(&["a", "b"]);
    world.pass(1_000, None);
    world.see_stranger();
    assert_eq!(world.conflict(), Some(STRANGER));
    world.hear(&[own(2)]);
    assert_eq!((world.owns(), world.conflict()), (false, None));
}
