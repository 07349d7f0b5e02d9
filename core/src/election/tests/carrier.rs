//! A link loses its carrier and has it again: what was known of those on it still means something.

use super::*;

impl World {
    fn flap(&mut self, milliseconds: u64, has_gateway: bool) {
        self.unplug();
        self.pass(milliseconds, None);
        self.link(if has_gateway {
            BTreeSet::from([GATEWAY])
        } else {
            BTreeSet::new()
        });
    }
}

/// As a switch does it that looks for loops first: for half a minute the port forwards nothing.
#[test]
fn r8_nothing_is_taken_while_the_port_of_a_cable_that_is_back_forwards_nothing() {
    for away in [100, 5_000, 300_000] {
        let mut world = World::beside_owner(true);
        world.flap(away, true);
        world.pass(30_000, None);
        world.pass(2_000, Some(&[own(3)]));
        assert_eq!(world.decisions(), Vec::<String>::new(), "{away} ms");
    }
}

#[test]
fn r8_without_a_gateway_the_silence_of_all_is_believed_after_three_times_as_long() {
    for away in [100, 300_000] {
        let mut world = World::beside_owner(false);
        world.flap(away, false);
        world.pass(745, None);
        assert!(!world.owns(), "{away} ms");
        world.pass(300, None);
        assert!(world.owns(), "{away} ms");
    }
}

#[test]
fn r12_who_was_deaf_before_is_deaf_after() {
    let mut world = World::beside_owner(true);
    world.pass(1_000, None);
    for _ in 0..3 {
        world.flap(90_000, true);
        world.pass(90_000, None);
    }
    assert_eq!(world.decisions(), Vec::<String>::new());
}

#[test]
fn r13_who_is_heard_when_a_link_is_back_may_not_have_heard_what_was_announced() {
    let mut world = World::new(&["a", "b"]);
    world.pass(2_000, Some(&[]));
    let second = LinkIndex(2);
    let links = |carrier| {
        let eth1 = Link {
            carrier,
            mac: MacAddr([2, 0, 0, 0, 1, 1]),
            ..link("eth1", "198.51.100.0/24")
        };
        [(LINK, link("eth0", "192.0.2.0/24")), (second, eth1)]
    };
    for carrier in [true, false, true] {
        world.tell(Input::Links(links(carrier).into_iter().collect()));
        world.pass(100, Some(&[]));
        world.decisions();
        if carrier {
            let beacon = world.beacon(&[]);
            world.read_beacon(Channel::Link(second), beacon);
            assert_eq!(world.decisions(), ["announce"]);
        }
        world.pass(200, Some(&[]));
    }
}
