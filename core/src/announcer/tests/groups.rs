//! N7: the groups in which questions for an IPv6 address arrive.

use super::*;

#[test]
fn n7_the_group_is_joined_before_the_first_announcement() {
    let mut world = World::with_a_link();
    world.tell(own(VIP6));
    let outputs = world.outputs();
    let IpAddr::V6(vip) = VIP6 else { panic!() };
    assert_eq!(
        outputs[0],
        Output::Join {
            link: ETH0,
            group: solicited_node(vip),
        }
    );
    assert!(matches!(outputs[1], Output::Send { .. }));
}

#[test]
fn n7_a_node_that_may_take_over_is_in_the_group_already() {
    let mut world = World::with_a_link();
    world.tell(prepare(VIP6));
    assert!(matches!(world.outputs()[..], [Output::Join { .. }]));
    assert!(!world.announcer.announces(VIP6, ETH0));
    world.tell(own(VIP6));
    assert!(
        world
            .outputs()
            .iter()
            .all(|output| matches!(output, Output::Send { .. }))
    );
    world.tell(Input::Release { address: VIP6 });
    assert_eq!(world.outputs(), []);
    world.tell(Input::Forget { address: VIP6 });
    assert!(matches!(world.outputs()[..], [Output::Leave { .. }]));
}

#[test]
fn n7_addresses_that_share_a_group_join_it_once() {
    let other = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x10));
    let mut world = World::with_a_link();
    world.tell(prepare(VIP6));
    world.tell(prepare(other));
    assert_eq!(world.outputs().len(), 1);
    world.tell(Input::Forget { address: VIP6 });
    assert_eq!(world.outputs(), []);
    world.tell(Input::Forget { address: other });
    assert!(matches!(world.outputs()[..], [Output::Leave { .. }]));
}

#[test]
fn n7_a_link_that_comes_is_joined_and_one_that_goes_is_left() {
    let mut world = World::with_a_link();
    world.tell(prepare(VIP6));
    world.outputs();
    world.tell(links(&[ETH1]));
    assert!(matches!(
        world.outputs()[..],
        [
            Output::Join { link: ETH1, .. },
            Output::Leave { link: ETH0, .. }
        ]
    ));
}
