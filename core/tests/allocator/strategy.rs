//! Which free address of a pool a Service gets.

use std::collections::BTreeSet;

use bellwether_core::allocator::Allocator;
use bellwether_core::pool::{PoolSpec, Strategy};

use crate::world::{REQUIRE_V4, World, pool, service};

fn with(strategy: Strategy, addresses: &[&str]) -> PoolSpec {
    PoolSpec {
        strategy,
        ..pool("blue", addresses)
    }
}

#[test]
fn first_gives_the_lowest_and_a_freed_one_again_at_once() {
    let mut world = World::with(&[with(Strategy::First, &["192.0.2.8/30", "192.0.2.0/31"])]);
    assert_eq!(world.ask(&service("a")), "192.0.2.0@blue");
    assert_eq!(world.ask(&service("b")), "192.0.2.1@blue");
    assert_eq!(world.ask(&service("c")), "192.0.2.8@blue");
    world.release("b");
    assert_eq!(world.ask(&service("d")), "192.0.2.1@blue");
}

#[test]
fn sticky_gives_a_service_that_is_created_again_the_same_also_after_a_restart() {
    let pools = [with(Strategy::Sticky, &["192.0.2.0/24", "2001:db8::/64"])];
    let mut world = World::with(&pools);
    let web = service("web").families(REQUIRE_V4);
    let first = world.ask(&web);
    world.ask(&service("other"));
    world.release("web");
    world.ask(&service("another"));
    assert_eq!(world.ask(&web), first);
    assert_eq!(World::with(&pools).ask(&web), first, "after a restart");
}

#[test]
fn sticky_finds_the_same_although_it_was_not_the_first_choice() {
    let names: Vec<String> = (0..8).map(|n| format!("web-{n}")).collect();
    for again in &names {
        let mut world = World::with(&[with(Strategy::Sticky, &["192.0.2.0/29"])]);
        let before: Vec<String> = names.iter().map(|name| world.ask(&service(name))).collect();
        for name in &names {
            world.release(name);
        }
        // The others' places are free now: only the memory can tell.
        let position = names
            .iter()
            .position(|name| name == again)
            .expect("one of them");
        assert_eq!(world.ask(&service(again)), before[position]);
    }
}

#[test]
fn sticky_gives_another_one_while_its_own_is_taken() {
    let mut world = World::with(&[with(Strategy::Sticky, &["192.0.2.0/24"])]);
    let own = world.ask(&service("web"));
    world.release("web");
    let address = own.split('@').next().expect("an address");
    assert_eq!(world.ask(&service("thief").wants(&[address])), own);
    let other = world.ask(&service("web"));
    assert_ne!(other, own);
    world.release("thief");
    assert_eq!(world.ask(&service("web")), other, "and keeps that");
}

#[test]
fn sticky_spreads_over_the_pool() {
    let mut world = World::with(&[with(Strategy::Sticky, &["10.0.0.0/16", "2001:db8::/64"])]);
    let got: BTreeSet<String> = (0..100)
        .map(|n| world.ask(&service(&format!("web-{n}")).families(REQUIRE_V4)))
        .collect();
    assert_eq!(got.len(), 100);
    let first_octets: BTreeSet<&str> = got
        .iter()
        .filter_map(|text| text.strip_prefix("10.0."))
        .filter_map(|text| text.split('.').next())
        .collect();
    assert!(first_octets.len() > 50, "{first_octets:?}");
}

#[test]
fn random_gives_any_and_every_one() {
    let addresses = |seed| {
        let mut world = World::with(&[]);
        world.allocator = Allocator::new(seed);
        world.pools(&[with(Strategy::Random, &["192.0.2.0/26"])]);
        (0..64)
            .map(|n| world.ask(&service(&format!("web-{n}"))))
            .collect::<Vec<String>>()
    };
    let (one, other) = (addresses(1), addresses(2));
    assert_ne!(one, other, "another seed, other addresses");
    assert_eq!(one, addresses(1), "the same seed, the same");
    assert_eq!(one.iter().collect::<BTreeSet<_>>().len(), 64, "each once");
}

#[test]
fn a_service_that_has_an_address_keeps_it_under_every_strategy() {
    for strategy in [Strategy::Sticky, Strategy::First, Strategy::Random] {
        let mut world = World::with(&[with(strategy, &["192.0.2.0/24"])]);
        world.ask(&service("before"));
        let web = world.ask(&service("web"));
        world.release("before");
        for _ in 0..10 {
            assert_eq!(world.ask(&service("web")), web, "{strategy:?}");
        }
    }
}
