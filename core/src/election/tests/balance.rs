//! R2: addresses that are given away for balance, where that is asked for.

use std::net::Ipv4Addr;

use super::*;

fn address(number: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, 10 + number).into()
}

/// `a` owns five addresses, of all of which `b` is the better candidate.
fn world(rebalance: bool) -> World {
    let mut world = World::new(&["b", "a"]);
    world.election.config.rebalance = rebalance;
    let assignment = world.election.contests[&ADDRESS].assignment.clone();
    for number in 1..5 {
        world.tell(Input::Assign {
            address: address(number),
            assignment: assignment.clone(),
        });
    }
    world.pass(2_000, None);
    assert_eq!(world.election.owned_count(), 5);
    world.outputs.clear();
    world
}

/// What `a` has offered to `b` since it was asked last.
fn offered(world: &mut World) -> BTreeSet<IpAddr> {
    let to_b = |entry: &Entry| entry.standing == Standing::Offer { to: Session(2) };
    let offered = world.said().filter(to_b).map(|entry| entry.address);
    let offered = offered.collect();
    world.outputs.clear();
    offered
}

#[test]
fn r2_a_peer_that_comes_gets_nothing_unless_balance_is_asked_for() {
    let mut world = world(false);
    world.pass(10_000, Some(&[]));
    assert_eq!(offered(&mut world), BTreeSet::new());
    assert_eq!(world.election.owned_count(), 5);
}

#[test]
fn r2_for_balance_one_address_a_second_is_given_away_until_the_numbers_are_close() {
    let mut world = world(true);
    let (mut claims, mut moments) = (Vec::new(), Vec::new());
    for _ in 0..10_000 {
        world.pass(1, Some(claims.as_slice()));
        let offers = offered(&mut world);
        assert!(offers.len() <= 1, "one at a time: {offers:?}");
        for address in offers {
            moments.push(world.now);
            claims.push(Entry { address, ..own(2) });
            world.hear(&claims);
            world.outputs.clear();
        }
    }
    assert_eq!(
        world.election.owned_count(),
        3,
        "two of five are given away"
    );
    assert_eq!(moments.len(), 2);
    assert!(moments[1] - moments[0] >= 1000, "{moments:?}");
}

#[test]
fn r2_what_is_not_taken_for_balance_stays() {
    let mut world = world(true);
    world.pass(5_000, Some(&[]));
    assert!(!offered(&mut world).is_empty());
    assert_eq!(world.election.owned_count(), 5);
}

#[test]
fn r2_what_is_not_taken_for_balance_keeps_no_other_address_waiting() {
    let mut world = world(true);
    world.pass(10_000, Some(&[]));
    assert_eq!(offered(&mut world).len(), 5, "each is offered in its turn");
}

/// The next one may have as many as this node.
#[test]
fn r2_what_the_best_candidate_does_not_take_for_balance_is_offered_to_no_other() {
    let mut world = world(true);
    let mut assignment = world.election.contests[&ADDRESS].assignment.clone();
    let c = Candidate {
        node: "c".into(),
        ..assignment.candidates[0].clone()
    };
    assignment.candidates.push(c);
    for number in 0..5 {
        world.tell(Input::Assign {
            address: address(number),
            assignment: assignment.clone(),
        });
    }
    for _ in 0..100 {
        let beacon = world.beacon_of_c(&[]);
        world.read_beacon(A, beacon);
        world.pass(INTERVAL, Some(&[]));
    }
    let to_c = |entry: Entry| entry.standing == Standing::Offer { to: Session(3) };
    assert!(!world.said().any(to_c));
    assert!(!offered(&mut world).is_empty());
}
