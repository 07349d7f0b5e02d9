//! What a pool's numbers say.

use bellwether_core::pool::PoolSpec;
use bellwether_core::range::IpFamily;

use crate::world::{REQUIRE_V4, World, pool, service};

/// Total, assigned, available.
fn counts(world: &World, family: IpFamily) -> (i64, i64, i64) {
    let counters = world.allocator.counters(&"blue".into(), family);
    (counters.total, counters.assigned, counters.available)
}

#[test]
fn they_follow_what_is_given_and_released() {
    let mut world = World::with(&[pool("blue", &["192.0.2.0/30", "2001:db8::/126"])]);
    assert_eq!(counts(&world, IpFamily::V4), (4, 0, 4));
    world.ask(&service("a").families(REQUIRE_V4));
    world.ask(&service("b"));
    assert_eq!(counts(&world, IpFamily::V4), (4, 2, 2));
    assert_eq!(counts(&world, IpFamily::V6), (4, 1, 3));
    world.release("a");
    assert_eq!(counts(&world, IpFamily::V4), (4, 1, 3));
    assert_eq!(counts(&world, IpFamily::V6), (4, 0, 4));
}

#[test]
fn an_address_that_is_shared_counts_once() {
    let mut world = World::with(&[pool("blue", &["192.0.2.0/30"])]);
    world.ask(&service("a").port(80).key("k"));
    world.ask(&service("b").port(443).key("k"));
    assert_eq!(counts(&world, IpFamily::V4), (4, 1, 3));
    world.release("a");
    assert_eq!(counts(&world, IpFamily::V4), (4, 1, 3));
    world.release("b");
    assert_eq!(counts(&world, IpFamily::V4), (4, 0, 4));
}

#[test]
fn what_the_pool_does_not_give_is_not_counted() {
    let careful = || PoolSpec {
        exclude: vec!["192.0.2.1-192.0.2.9".to_owned()],
        avoid_buggy_ips: true,
        ..pool("blue", &["192.0.2.0/24"])
    };
    let mut world = World::with(&[careful()]);
    assert_eq!(counts(&world, IpFamily::V4), (256 - 2 - 9, 0, 245));
    // An address that the pool had before it was changed.
    world.adopt(vec![service("old").found(&["192.0.2.5@blue"])]);
    assert_eq!(counts(&world, IpFamily::V4), (245, 0, 245));
    world.pools(&[pool("blue", &["192.0.2.0/24"])]);
    assert_eq!(counts(&world, IpFamily::V4), (256, 1, 255));
    world.pools(&[careful()]);
    world.release("old");
    assert_eq!(counts(&world, IpFamily::V4), (245, 0, 245));
}

#[test]
fn weakness_4_37_a_pool_of_2_to_the_64_addresses_is_capped() {
    let mut world = World::with(&[pool("blue", &["2001:db8::/64", "192.0.2.0/24"])]);
    world.ask(&service("a").families(REQUIRE_V4));
    assert_eq!(counts(&world, IpFamily::V6), (i64::MAX, 1, i64::MAX));
    assert_eq!(counts(&world, IpFamily::V4), (256, 1, 255));
}

#[test]
fn a_pool_that_does_not_exist_has_nothing() {
    let world = World::with(&[]);
    assert_eq!(counts(&world, IpFamily::V4), (0, 0, 0));
}
