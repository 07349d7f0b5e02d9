//! What a Service can ask for.

use bellwether_core::pool::PoolSpec;

use crate::world::{PREFER_V4, REQUIRE_V4, V6, World, pinned, pool, service, to_namespace};

fn world() -> World {
    World::with(&[
        pool("blue", &["192.0.2.0/29", "2001:db8::/125"]),
        PoolSpec {
            auto_assign: false,
            ..pool("by-hand", &["198.51.100.0/30"])
        },
        pinned(
            pool("lab", &["203.0.113.0/30", "2001:db8:1::/126"]),
            to_namespace("lab", 1),
        ),
        PoolSpec {
            exclude: vec!["10.0.0.1/32".to_owned()],
            avoid_buggy_ips: true,
            ..pool("careful", &["10.0.0.0/24"])
        },
    ])
}

#[test]
fn metallb_1_2_a_service_gets_an_address_of_the_pool_it_asks_for_or_hears_why_not() {
    let web = || service("web");
    for (sentence, ask, decided) in [
        ("a pool", web().from("blue"), "192.0.2.0@blue"),
        (
            "a pool that gives on request only",
            web().from("by-hand"),
            "198.51.100.0@by-hand",
        ),
        (
            "a pool that does not exist",
            web().from("red"),
            "waits: PoolNotFound",
        ),
        (
            "a pool for another namespace",
            web().from("lab"),
            "waits: PoolNotForService",
        ),
        (
            "a pool for its own namespace",
            web().in_namespace("lab").from("lab"),
            "203.0.113.0@lab",
        ),
        (
            "a pool without its family",
            web().families(V6).from("by-hand"),
            "waits: PoolLacksFamily",
        ),
    ] {
        assert_eq!(world().ask(&ask), decided, "{sentence}");
    }
}

#[test]
fn metallb_1_2_a_service_gets_the_address_it_asks_for_or_hears_why_not() {
    let web = || service("web");
    for (sentence, ask, decided) in [
        ("an address", web().wants(&["192.0.2.5"]), "192.0.2.5@blue"),
        (
            "an address of a pool that gives on request only",
            web().wants(&["198.51.100.2"]),
            "198.51.100.2@by-hand",
        ),
        (
            "an address in no pool",
            web().wants(&["192.0.2.77"]),
            "waits: AddressOutsidePools",
        ),
        (
            "an address of a pool for another namespace",
            web().wants(&["203.0.113.1"]),
            "waits: PoolNotForService",
        ),
        (
            "an address that is excluded",
            web().wants(&["10.0.0.1"]),
            "waits: AddressExcluded",
        ),
        (
            "an address that ends in .0",
            web().wants(&["10.0.0.0"]),
            "waits: AddressExcluded",
        ),
        (
            "an address that ends in .255",
            web().wants(&["10.0.0.255"]),
            "waits: AddressExcluded",
        ),
        (
            "an address of the pool it asks for",
            web().from("blue").wants(&["192.0.2.5"]),
            "192.0.2.5@blue",
        ),
        (
            "an address of another pool than it asks for",
            web().from("by-hand").wants(&["192.0.2.5"]),
            "waits: AddressNotInPool",
        ),
        (
            "an address, and a pool that does not exist",
            web().from("red").wants(&["192.0.2.5"]),
            "waits: PoolNotFound",
        ),
    ] {
        assert_eq!(world().ask(&ask), decided, "{sentence}");
    }
}

#[test]
fn metallb_1_2_wanted_addresses_fit_the_families_exactly_or_are_refused() {
    let web = || service("web");
    for (sentence, ask, decided) in [
        (
            "an address of a family that it lacks",
            web().wants(&["2001:db8::1"]),
            "waits: FamilyMismatch",
        ),
        (
            "two addresses of one family",
            web().wants(&["192.0.2.1", "192.0.2.2"]),
            "waits: RepeatedFamily",
        ),
        (
            "one address of each family",
            web()
                .families(REQUIRE_V4)
                .wants(&["2001:db8::3", "192.0.2.3"]),
            "192.0.2.3@blue 2001:db8::3@blue",
        ),
        (
            "one address although it has two families",
            web().families(PREFER_V4).wants(&["192.0.2.3"]),
            "waits: FamilyMismatch",
        ),
        (
            "two addresses although it has one family",
            web().wants(&["192.0.2.3", "2001:db8::3"]),
            "waits: FamilyMismatch",
        ),
        (
            "two addresses of two pools",
            web()
                .in_namespace("lab")
                .families(REQUIRE_V4)
                .wants(&["192.0.2.3", "2001:db8:1::3"]),
            "waits: AddressesInDifferentPools",
        ),
    ] {
        assert_eq!(world().ask(&ask), decided, "{sentence}");
    }
}

#[test]
fn an_address_in_use_is_refused_and_the_user_is_named() {
    let mut world = world();
    world.ask(&service("first").wants(&["192.0.2.3"]));
    let refused = world.decide(&service("second").wants(&["192.0.2.3"]));
    assert_eq!(
        refused.refusal().expect("refused").to_string(),
        "192.0.2.3 is in use by shop/first: ask for another, or give both Services the same \
         annotation bellwether.dev/allow-shared-ip"
    );
}

#[test]
fn of_two_wanted_addresses_none_is_given_if_one_is_in_use() {
    let mut world = world();
    world.ask(&service("first").wants(&["192.0.2.3"]));
    let both = service("second")
        .families(REQUIRE_V4)
        .wants(&["192.0.2.3", "2001:db8::3"]);
    assert_eq!(world.ask(&both), "waits: AddressInUse");
    assert_eq!(
        world.ask(&service("third").families(V6).wants(&["2001:db8::3"])),
        "2001:db8::3@blue"
    );
}

#[test]
fn each_refusal_names_the_objects_and_the_way_out() {
    let web = || service("web");
    for (ask, sentence) in [
        (
            web().from("red"),
            "the pool red does not exist: create it, or ask for another",
        ),
        (
            web().from("lab"),
            "the pool lab is not for this Service: its serviceAllocation does not allow the \
             namespace",
        ),
        (
            web().families(V6).from("by-hand"),
            "the pool by-hand has no IPv6 addresses: add some, or ask for another pool",
        ),
        (
            web().wants(&["192.0.2.77"]),
            "192.0.2.77 is in no pool: add it to one",
        ),
        (
            web().wants(&["10.0.0.1"]),
            "the pool careful does not give 10.0.0.1: it is in exclude",
        ),
        (
            web().wants(&["10.0.0.255"]),
            "the pool careful does not give 10.0.0.255: avoidBuggyIPs leaves out what ends in .0 \
             or .255",
        ),
        (
            web().from("by-hand").wants(&["192.0.2.5"]),
            "192.0.2.5 is not in the pool by-hand that the Service asks for",
        ),
        (
            web().wants(&["2001:db8::1"]),
            "the Service asks for 2001:db8::1, but its address families are IPv4: ask for exactly \
             one address of each of them",
        ),
        (
            web().wants(&["192.0.2.1", "192.0.2.2"]),
            "192.0.2.1 and 192.0.2.2 are of the same family: ask for one address of each family",
        ),
    ] {
        let refused = world().decide(&ask);
        assert_eq!(refused.refusal().expect("refused").to_string(), sentence);
    }
}

#[test]
fn metallb_1_2_a_request_that_changes_moves_the_service_at_once_if_it_can() {
    let mut world = world();
    let web = service("web");
    assert_eq!(world.ask(&web), "192.0.2.0@blue");
    for (sentence, ask, decided) in [
        (
            "another address",
            web.clone().wants(&["192.0.2.5"]),
            "192.0.2.5@blue",
        ),
        (
            "no address in particular: it keeps what it has",
            web.clone(),
            "192.0.2.5@blue",
        ),
        (
            "another pool",
            web.clone().from("by-hand"),
            "198.51.100.0@by-hand",
        ),
        (
            "no pool in particular: it keeps what it has",
            web.clone(),
            "198.51.100.0@by-hand",
        ),
        (
            "another family",
            web.clone().families(V6),
            "2001:db8::@blue",
        ),
    ] {
        assert_eq!(world.ask(&ask), decided, "{sentence}");
    }
    assert_eq!(
        world.ask(&service("next")),
        "192.0.2.0@blue",
        "what it left is free"
    );
}

#[test]
fn metallb_1_4_a_request_that_cannot_be_met_leaves_the_service_what_it_has() {
    let mut world = world();
    let web = service("web");
    assert_eq!(world.ask(&web), "192.0.2.0@blue");
    for (sentence, ask, decided) in [
        (
            "no such pool",
            web.clone().from("red"),
            "keeps 192.0.2.0@blue: PoolNotFound",
        ),
        (
            "an address in no pool",
            web.clone().wants(&["8.8.8.8"]),
            "keeps 192.0.2.0@blue: AddressOutsidePools",
        ),
        (
            "a family that does not fit",
            web.clone().wants(&["2001:db8::1"]),
            "keeps 192.0.2.0@blue: FamilyMismatch",
        ),
        (
            "a pool without the family",
            web.clone().families(V6).from("by-hand"),
            "keeps 192.0.2.0@blue: PoolLacksFamily",
        ),
        ("nothing in particular again", web.clone(), "192.0.2.0@blue"),
    ] {
        assert_eq!(world.ask(&ask), decided, "{sentence}");
    }
}

#[test]
fn it_moves_as_soon_as_the_request_can_be_met() {
    let mut world = World::with(&[pool("blue", &["192.0.2.0/31"])]);
    let (a, b) = (service("a"), service("b").wants(&["192.0.2.0"]));
    world.ask(&a);
    world.ask(&service("b"));
    assert_eq!(world.ask(&b), "keeps 192.0.2.1@blue: AddressInUse");
    world.release("a");
    assert_eq!(
        world.settle(std::slice::from_ref(&b)),
        ["b: 192.0.2.0@blue"]
    );

    let b = b.wants(&[]).from("green");
    assert_eq!(world.ask(&b), "keeps 192.0.2.0@blue: PoolNotFound");
    world.pools(&[
        pool("blue", &["192.0.2.0/31"]),
        pool("green", &["198.51.100.0/31"]),
    ]);
    assert_eq!(world.settle(&[b]), ["b: 198.51.100.0@green"]);
}
