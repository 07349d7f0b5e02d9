//! R12: who hears nothing gives up, and takes nothing meanwhile. Else it would do both in turn, in
//! one turn of its loop, without end.

use super::*;

impl World {
    /// `b` says that it is late at times: it is not silent yet when `a` is deaf.
    fn hear_late(&mut self, channel: Channel, entry: Entry, deaf: bool) {
        let mut beacon = self.beacon(&[entry]);
        beacon.pulse.lateness = Duration::from_millis(500);
        beacon.flags.deaf = deaf;
        self.read_beacon(channel, beacon);
    }

    /// Nothing arrives any more on the link, until that is noticed.
    fn fall_deaf(&mut self) {
        self.pass(400, None);
        let hearing = self.election.membership.hearing(A);
        assert!(hearing.is_some_and(|hearing| hearing.deaf));
    }
}

#[test]
fn who_is_deaf_does_not_take_what_it_is_offered_by_datagram() {
    let mut world = World::beside_owner(true);
    world.hear_late(A, own(3), false);
    world.fall_deaf();
    world.hear_late(
        Channel::Unicast,
        entry(3, Standing::Offer { to: ME }),
        false,
    );
    world.pass(10, None);
    assert_eq!(world.decisions(), Vec::<String>::new());
}

#[test]
fn who_has_fallen_deaf_does_not_take_again_what_it_was_offered_before() {
    let mut world = World::beside_owner(true);
    world.hear_late(A, entry(3, Standing::Offer { to: ME }), false);
    // That the owner before has given it up is not heard any more.
    world.fall_deaf();
    assert_eq!(world.decisions(), ["own 4 HandedOver", "release Deaf"]);
}

#[test]
fn who_is_deaf_takes_nothing_from_a_deaf_owner_after_its_loop_was_away() {
    let mut world = World::beside_owner(true);
    world.hear_late(A, own(3), true);
    world.fall_deaf();
    let before = ["announce", "own 4 OwnerDeaf", "release Deaf"];
    assert_eq!(world.decisions(), before);
    // What came in meanwhile may have been lost, so that the silence counts from its end.
    world.now += 160;
    world.pass(149, None);
    assert_eq!(world.decisions(), Vec::<String>::new());
}

#[test]
fn r12_who_is_deaf_takes_nothing_however_long_that_lasts() {
    let mut world = World::beside_owner(true);
    world.fall_deaf();
    world.pass(180_000, None);
    assert_eq!(world.decisions(), Vec::<String>::new());
    // Somebody is heard again, and nobody has it.
    world.pass_alone(2_000, true);
    world.see_gateway();
    world.pass_alone(2_000, true);
    assert_eq!(world.decisions(), ["own 4 OwnerSilent"]);
}

#[test]
fn r10_a_deaf_claim_does_not_free_what_somebody_else_claimed_later_whom_others_hear() {
    let mut world = World::beside_owner(true);
    let pass = |world: &mut World, vouches: bool| {
        for _ in 0..40 {
            let mut deaf = world.beacon_of_c(&[own(2)]);
            deaf.flags.deaf = true;
            world.read_beacon(A, deaf);
            let mut witness = world.beacon(&[]);
            witness.sender = "d".into();
            witness.session = Session(4);
            if vouches {
                vouch_for_b(&mut witness);
            }
            world.read_beacon(A, witness);
            world.pass(INTERVAL, None);
        }
    };
    pass(&mut world, true);
    assert_eq!(world.decisions(), Vec::<String>::new());
    pass(&mut world, false);
    let taken = "own 4 OwnerSilent".to_owned();
    assert!(world.decisions().contains(&taken));
}

#[test]
fn r9_who_hears_again_asks_first_for_the_owner_that_fell_silent_meanwhile() {
    let mut world = World::beside_owner(true);
    world.fall_deaf();
    world.pass(1_000, None);
    world.outputs.clear();
    world.see_gateway();
    let asked = Output::Probe {
        link: LINK,
        address: ADDRESS,
    };
    assert!(world.outputs.contains(&asked), "{:?}", world.outputs);
}

#[test]
fn r12_datagrams_say_so_of_who_hears_nothing_on_any_link() {
    let mut world = World::beside_owner(true);
    let says_so = |world: &World| {
        let mut sent = world.outputs.iter().rev();
        sent.find_map(|output| match output {
            Output::Beacon { channel, beacon } if *channel == Channel::Unicast => {
                Some(beacon.flags.deaf)
            }
            _ => None,
        })
    };
    world.pass(400, Some(&[own(3)]));
    assert_eq!(says_so(&world), Some(false));
    world.fall_deaf();
    world.pass(400, None);
    assert_eq!(says_so(&world), Some(true));
}
