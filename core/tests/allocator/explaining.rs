//! Why a Service gets what it gets.

use bellwether_core::pool::PoolSpec;

use crate::world::{PREFER_V4, REQUIRE_V4, World, pinned, pool, say, service, to_namespace};

fn world() -> World {
    let mut world = World::with(&[
        pool("a-full", &["192.0.2.0/32"]),
        pool("b-six", &["2001:db8::/126"]),
        pool("c-free", &["198.51.100.0/30"]),
        PoolSpec {
            auto_assign: false,
            ..pool("d-by-hand", &["203.0.113.0/30"])
        },
        pinned(pool("e-lab", &["10.0.0.0/30"]), to_namespace("lab", 1)),
        pinned(pool("f-shop", &["10.0.1.0/32"]), to_namespace("shop", 1)),
        pool("g-spare", &["10.0.2.0/30"]),
    ]);
    world.ask(&service("1").from("a-full"));
    world.ask(&service("2").from("f-shop"));
    world
}

fn explained(world: &World, ask: &crate::world::Ask) -> Vec<String> {
    let explanation = world.allocator.explain(&ask.0);
    let first = say(&explanation.decision);
    let pools = explanation
        .pools
        .iter()
        .map(|considered| format!("{} {}", considered.pool, considered.verdict));
    std::iter::once(first).chain(pools).collect()
}

#[test]
fn every_pool_is_named_in_the_order_in_which_it_is_tried() {
    assert_eq!(
        explained(&world(), &service("web")),
        [
            "198.51.100.0@c-free",
            "f-shop has no free address of IPv4",
            "a-full has no free address of IPv4",
            "b-six has no IPv4 addresses",
            "c-free gives 198.51.100.0",
            "g-spare has free addresses, but another came first",
            "d-by-hand has autoAssign: false, and the Service does not ask for it or its addresses",
            "e-lab is not for this Service: its serviceAllocation does not allow the namespace",
        ]
    );
}

#[test]
fn a_request_for_a_pool_or_an_address_is_explained() {
    let world = world();
    let by_pool = explained(&world, &service("web").from("a-full"));
    assert_eq!(by_pool[0], "waits: Exhausted");
    assert_eq!(
        by_pool[1],
        "f-shop is not the one that the Service asks for"
    );
    assert_eq!(by_pool[2], "a-full has no free address of IPv4");
    let by_address = explained(&world, &service("web").wants(&["192.0.2.0"]));
    assert_eq!(by_address[0], "waits: AddressInUse");
    assert_eq!(
        by_address[1],
        "f-shop has no address that the Service asks for"
    );
    assert_eq!(
        by_address[2],
        "a-full refuses: 192.0.2.0 is in use by shop/1: ask for another, or give both Services the \
         same annotation bellwether.dev/allow-shared-ip"
    );
}

#[test]
fn what_lacks_a_family_says_so() {
    let world = world();
    let both = explained(&world, &service("web").families(REQUIRE_V4));
    assert_eq!(both[0], "waits: NoPoolOfFamily");
    assert!(both.contains(&"b-six has no IPv4 addresses".to_owned()));
    assert!(both.contains(&"c-free has no IPv6 addresses".to_owned()));
    let either = explained(&world, &service("web").families(PREFER_V4));
    assert!(either.contains(&"b-six has free addresses, but another came first".to_owned()));
}

#[test]
fn an_explanation_is_what_is_then_decided_and_changes_nothing() {
    let mut world = world();
    for ask in [service("web"), service("web").from("a-full"), service("1")] {
        let before = explained(&world, &ask);
        assert_eq!(explained(&world, &ask), before);
        assert_eq!(world.ask(&ask), before[0]);
    }
}
