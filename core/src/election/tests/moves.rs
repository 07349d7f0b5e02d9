//! 3.7: planned moves, and who answers while one is under way.

use super::*;

#[test]
fn what_is_offered_is_taken_at_once() {
    let mut world = World::new(&["a", "b"]);
    world.pass(2_000, Some(&[own(3)]));
    world.hear(&[entry(3, Standing::Offer { to: Session(9) })]);
    assert!(!world.owns(), "offered to somebody else");
    world.hear(&[entry(3, Standing::Offer { to: ME })]);
    assert_eq!(world.decisions(), ["own 4 HandedOver"]);
}

#[test]
fn what_is_offered_in_the_highest_term_is_taken_only_by_a_claim_that_holds_against_the_offer() {
    let weight = |node: &str| crate::placement::rendezvous_weight(&node.into(), ADDRESS);
    let mut world = World::new(&["a", "b"]);
    world.pass(2_000, Some(&[own(3)]));
    let offer = entry(u64::MAX, Standing::Offer { to: ME });
    world.hear(&[offer]);
    world.pass(200, Some(&[offer]));
    let decisions = world.decisions();
    let taken = format!("own {} HandedOver", u64::MAX);
    let expected = if weight("a") > weight("b") {
        vec![taken]
    } else {
        Vec::new()
    };
    assert_eq!(decisions, expected);
}

#[test]
fn who_leaves_offers_first_and_releases_when_it_is_taken() {
    let mut world = World::new(&["a", "b"]);
    world.pass(1_000, Some(&[]));
    assert_eq!(world.decisions(), ["own 1 Unclaimed"]);
    world.tell(Input::Leave);
    let offer = entry(1, Standing::Offer { to: Session(2) });
    let offered = world.said().any(|said| said == offer);
    assert!(offered && world.owns());
    world.hear(&[own(2)]);
    world.pass(20, None);
    assert_eq!(world.decisions(), ["release HandedOver", "left"]);
}

#[test]
fn a_question_is_its_to_answer_who_owned_the_address_when_it_was_asked() {
    let at = Moment::from_millis;
    // The successor leaves to the owner before what was asked before it claimed.
    let mut world = World::new(&["a", "b"]);
    world.pass(2_000, Some(&[own(3)]));
    world.hear(&[entry(3, Standing::Offer { to: ME })]);
    let now = world.now;
    assert!(world.election.was_others(ADDRESS, at(now - 1)));
    assert!(!world.election.was_others(ADDRESS, at(now)));
    assert!(!world.election.was_owner(ADDRESS, LINK, at(now - 1)));

    // The owner wakes up late: the claim is the first that it reads, but not the first that came.
    let mut world = World::new(&["a", "b"]);
    world.pass(1_000, Some(&[]));
    world.tell(Input::Leave);
    let claim = world.beacon(&[own(2)]);
    let claimed_at = at(world.now + 3);
    world.now += 20;
    world.tell(Input::Beacon {
        channel: A,
        beacon: claim,
        at: claimed_at,
    });
    assert!(!world.owns());
    let was_owner = |world: &World, asked_at| world.election.was_owner(ADDRESS, LINK, asked_at);
    assert!(was_owner(&world, claimed_at - Duration::from_millis(1)));
    assert!(!was_owner(&world, claimed_at));
    assert!(
        !world
            .election
            .was_owner(ADDRESS, LinkIndex(2), at(world.now - 18))
    );
    // Not for ever, whatever a clock says.
    world.pass(300, Some(&[own(2)]));
    assert!(!was_owner(&world, at(0)));
}

#[test]
fn who_has_yielded_to_a_claim_that_it_did_not_offer_answers_no_more() {
    let mut world = World::new(&["a", "b"]);
    world.pass(1_000, Some(&[]));
    world.hear(&[own(2)]);
    assert!(!world.owns());
    assert!(
        !world
            .election
            .was_owner(ADDRESS, LINK, Moment::from_millis(world.now - 1))
    );
}

#[test]
fn who_leaves_and_finds_nobody_releases() {
    let mut world = World::new(&["a", "b"]);
    world.pass(1_000, None);
    world.tell(Input::Leave);
    world.pass(20, None);
    assert_eq!(
        world.decisions(),
        ["own 1 Unclaimed", "release Stopping", "left"]
    );
}

/// Two claim an address for a moment while it is handed over. They hear each other.
#[test]
fn r13_a_claim_is_relayed_only_when_two_have_been_heard_for_long() {
    let mut world = World::new(&["b", "c", "a"]);
    world.pass(1_000, Some(&[own(1)]));
    for term in 2..6 {
        let beacon = world.beacon_of_c(&[own(term)]);
        world.read_beacon(A, beacon);
        world.pass(2, None);
        world.hear(&[]);
        world.pass(200, Some(&[]));
        world.hear(&[own(term)]);
        let relays = |entry: Entry| matches!(entry.standing, Standing::Relayed { .. });
        assert!(!world.said().any(relays), "in term {term}");
    }
}

/// Others may know that it is a recording; this node may have started after the node was gone.
#[test]
fn r13_the_claim_of_who_may_be_a_recording_is_not_relayed() {
    for is_proven in [true, false] {
        let mut world = World::new(&["b", "c", "a"]);
        for _ in 0..40 {
            let mut beacon = world.beacon_of_c(&[own(9)]);
            if !is_proven {
                beacon.heard.clear();
            }
            world.read_beacon(A, beacon);
            world.pass(INTERVAL, Some(&[own(1)]));
        }
        let relays = |entry: Entry| matches!(entry.standing, Standing::Relayed { .. });
        assert_eq!(world.said().any(relays), is_proven);
    }
}

#[test]
fn r13_what_was_offered_is_handed_over_also_to_a_claim_that_is_relayed() {
    let mut world = World::new(&["b", "a"]);
    world.pass(1_000, None);
    assert!(world.owns());
    world.pass(500, Some(&[]));
    world.decisions();
    world.tell(Input::Leave);
    let relayed = Standing::Relayed {
        holder: Session(2),
        weight: u64::MAX,
    };
    let beacon = world.beacon_of_c(&[entry(9, relayed)]);
    world.read_beacon(A, beacon);
    assert_eq!(world.decisions(), ["release HandedOver"]);
}

/// Who does not hear the successor hears from the owner before that there is one.
#[test]
fn r13_who_gives_in_says_to_whom() {
    let mut world = World::new(&["a", "b"]);
    world.pass(1_000, Some(&[]));
    world.tell(Input::Leave);
    world.outputs.clear();
    world.hear(&[own(2)]);
    let holder = Standing::Relayed {
        holder: Session(2),
        weight: crate::placement::rendezvous_weight(&"b".into(), ADDRESS),
    };
    let said: Vec<_> = world.said().collect();
    assert!(said.contains(&entry(1, Standing::Released)), "{said:?}");
    assert!(said.contains(&entry(2, holder)), "{said:?}");
}

impl World {
    /// Time passes in which `c`, which has given the address to `b`, is heard, and names `b` among those
    /// that it hears, or does not.
    fn pass_with_c(&mut self, milliseconds: u64, entries: &[Entry], hears_b: bool) {
        for _ in 0..milliseconds {
            if self.now.is_multiple_of(INTERVAL) {
                let mut beacon = self.beacon_of_c(entries);
                if hears_b {
                    vouch_for_b(&mut beacon);
                }
                self.read_beacon(A, beacon);
            }
            self.pass(1, None);
        }
    }

    /// `b` was heard once, and has been given the address by `c` since.
    fn given_to_b_unheard() -> Self {
        Self::given_to_b(true)
    }

    /// `b`, which was heard once or never, has been given the address by `c`.
    fn given_to_b(was_heard: bool) -> Self {
        let mut world = World::new(&["a", "b", "c"]);
        if was_heard {
            world.hear(&[]);
        }
        world.pass_with_c(2_000, &[own(3)], true);
        let holder = Standing::Relayed {
            holder: Session(2),
            weight: 0,
        };
        let given = [entry(3, Standing::Released), entry(4, holder)];
        world.pass_with_c(1, &given, true);
        world.pass_with_c(10_000, &[], true);
        assert_eq!(world.decisions(), Vec::<String>::new());
        world
    }
}

#[test]
fn r10_what_was_given_to_a_peer_that_only_others_hear_is_not_free() {
    for was_heard in [true, false] {
        let mut world = World::given_to_b(was_heard);
        world.pass_with_c(1_000, &[], false);
        assert_eq!(world.decisions(), ["own 5 OwnerReleased"], "{was_heard}");
    }
}

#[test]
fn r10_what_was_given_to_a_peer_is_not_free_when_that_is_heard_again() {
    let mut world = World::given_to_b_unheard();
    // The first beacon does not say what it claims.
    let mut beacon = world.beacon(&[]);
    beacon.part.digest.add(&own(4));
    world.read_beacon(A, beacon);
    world.pass_with_c(40, &[], true);
    world.hear(&[own(4)]);
    assert_eq!(world.decisions(), Vec::<String>::new());
    // Nor is it held on to when the holder has given it up.
    world.hear(&[entry(4, Standing::Released)]);
    world.pass_with_c(1_000, &[], true);
    assert_eq!(world.decisions(), ["own 5 OwnerReleased"]);
}

#[test]
fn r10_what_was_given_to_a_peer_is_free_when_that_says_by_datagram_that_it_has_given_it_up() {
    let mut world = World::given_to_b_unheard();
    let beacon = world.beacon(&[entry(4, Standing::Released)]);
    world.read_beacon(Channel::Unicast, beacon);
    world.pass_with_c(1_000, &[], true);
    assert_eq!(world.decisions(), ["own 5 OwnerReleased"]);
}

#[test]
fn who_leaves_asks_the_others_when_the_one_that_an_operator_wishes_does_not_take_it() {
    let mut world = World::new(&["a", "c", "b"]);
    let mut assignment = world.election.contests[&ADDRESS].assignment.clone();
    for turn in 0..40 {
        if turn == 20 {
            assert!(world.owns());
            assignment.move_to = Some("b".into());
            world.tell(Input::Leave);
            world.tell(Input::Assign {
                address: ADDRESS,
                assignment: assignment.clone(),
            });
            world.decisions();
        }
        let beacon = world.beacon_of_c(&[]);
        world.read_beacon(A, beacon);
        world.pass(INTERVAL, Some(&[]));
        let offer = entry(1, Standing::Offer { to: Session(3) });
        if world.said().any(|said| said == offer) {
            let beacon = world.beacon_of_c(&[own(2)]);
            world.read_beacon(A, beacon);
            break;
        }
    }
    assert_eq!(world.decisions(), ["release HandedOver"]);
}
