//! A change of the links that an address is announced on.

use super::*;

#[test]
fn an_address_that_moves_to_another_link_of_its_owner_is_claimed_no_second_time() {
    let mut world = World::new(&["a"]);
    world.pass(1_000, None);
    assert_eq!(world.decisions(), ["own 1 Unclaimed"]);
    let candidate = Candidate {
        node: "a".into(),
        interfaces: Interfaces::Named(["eth0".into()].into()),
        preference: 0,
    };
    let assignment = Assignment {
        candidates: vec![candidate],
        recorded: None,
        move_to: None,
    };
    for _ in 0..2 {
        world.tell(Input::Assign {
            address: ADDRESS,
            assignment: assignment.clone(),
        });
    }
    assert_eq!(world.decisions(), ["relink 1"]);
}
