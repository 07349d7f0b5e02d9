//! One family, both, or the one that can be had.

use crate::world::{PREFER_V4, PREFER_V6, REQUIRE_V4, REQUIRE_V6, V4, V6, World, pool, service};

#[test]
fn metallb_1_4_a_service_gets_the_families_of_its_policy() {
    let four = || pool("four", &["192.0.2.0/30"]);
    let six = || pool("six", &["2001:db8:6::/126"]);
    let both = || pool("z-both", &["198.51.100.0/30", "2001:db8::/126"]);
    for (sentence, pools, families, decided) in [
        ("one, IPv4", vec![six(), four()], V4, "192.0.2.0@four"),
        ("one, IPv6", vec![four(), six()], V6, "2001:db8:6::@six"),
        (
            "both required, from one pool",
            vec![four(), six(), both()],
            REQUIRE_V4,
            "198.51.100.0@z-both 2001:db8::@z-both",
        ),
        (
            "both required, the primary first",
            vec![both()],
            REQUIRE_V6,
            "2001:db8::@z-both 198.51.100.0@z-both",
        ),
        (
            "both required, but from two pools",
            vec![four(), six()],
            REQUIRE_V4,
            "waits: NoPoolOfFamily",
        ),
        (
            "both preferred: a pool with both is tried before older ones with one",
            vec![four(), six(), both()],
            PREFER_V4,
            "198.51.100.0@z-both 2001:db8::@z-both",
        ),
        (
            "both preferred, the primary first",
            vec![both()],
            PREFER_V6,
            "2001:db8::@z-both 198.51.100.0@z-both",
        ),
        (
            "both preferred, no pool has both: the primary",
            vec![four(), six()],
            PREFER_V6,
            "2001:db8:6::@six (degraded: PoolLacksFamily)",
        ),
        (
            "both preferred, no pool has the primary: the other",
            vec![four()],
            PREFER_V6,
            "192.0.2.0@four (degraded: PoolLacksFamily)",
        ),
        (
            "both preferred, no pool at all",
            vec![],
            PREFER_V6,
            "waits: NoPools",
        ),
    ] {
        let mut world = World::with(&pools);
        assert_eq!(
            world.ask(&service("web").families(families)),
            decided,
            "{sentence}"
        );
    }
}

#[test]
fn metallb_1_4_a_named_pool_serves_the_families_that_it_can() {
    let four = || pool("four", &["192.0.2.0/32"]);
    let both = || pool("both", &["198.51.100.0/32", "2001:db8::/126"]);
    for (sentence, families, name, decided) in [
        (
            "both required, it has both",
            REQUIRE_V4,
            "both",
            "198.51.100.0@both 2001:db8::@both",
        ),
        (
            "both required, it has one",
            REQUIRE_V4,
            "four",
            "waits: PoolLacksFamily",
        ),
        (
            "both preferred, it has one",
            PREFER_V6,
            "four",
            "192.0.2.0@four (degraded: PoolLacksFamily)",
        ),
    ] {
        let mut world = World::with(&[four(), both()]);
        let ask = service("web").families(families).from(name);
        assert_eq!(world.ask(&ask), decided, "{sentence}");
    }
    let mut world = World::with(&[both()]);
    world.ask(&service("first"));
    let ask = service("web").families(REQUIRE_V4).from("both");
    assert_eq!(world.ask(&ask), "waits: Exhausted");
    let ask = service("web").families(PREFER_V4).from("both");
    assert_eq!(world.ask(&ask), "2001:db8::@both (degraded: Exhausted)");
    world.release("first");
    assert_eq!(
        world.settle(&[ask]),
        ["web: 198.51.100.0@both 2001:db8::@both"]
    );
}

#[test]
fn both_are_required_so_one_is_not_taken() {
    let mut world = World::with(&[pool("blue", &["192.0.2.0/31", "2001:db8::/128"])]);
    world.ask(&service("six").families(V6));
    assert_eq!(
        world.ask(&service("web").families(REQUIRE_V4)),
        "waits: Exhausted"
    );
    assert_eq!(world.ask(&service("a")), "192.0.2.0@blue");
    assert_eq!(world.ask(&service("b")), "192.0.2.1@blue");
}

#[test]
fn preferring_both_with_one_the_second_is_added_when_the_same_pool_has_it() {
    let mut world = World::with(&[pool("blue", &["192.0.2.0/30"])]);
    let web = service("web").families(PREFER_V6);
    assert_eq!(
        world.ask(&web),
        "192.0.2.0@blue (degraded: PoolLacksFamily)"
    );
    world.pools(&[pool("blue", &["192.0.2.0/30", "2001:db8::/126"])]);
    assert_eq!(
        world.settle(&[web]),
        ["web: 2001:db8::@blue 192.0.2.0@blue"]
    );
}

#[test]
fn preferring_both_with_one_it_stays_when_another_pool_has_both() {
    let four = || pool("four", &["192.0.2.0/30"]);
    let mut world = World::with(&[four()]);
    let web = service("web").families(PREFER_V4);
    world.ask(&web);
    world.pools(&[four(), pool("both", &["198.51.100.0/30", "2001:db8::/126"])]);
    assert_eq!(
        world.ask(&web),
        "192.0.2.0@four (degraded: PoolLacksFamily)"
    );
}

#[test]
fn a_pool_that_loses_a_family_takes_no_address_away() {
    for families in [PREFER_V4, REQUIRE_V4] {
        let mut world = World::with(&[pool("blue", &["192.0.2.0/30", "2001:db8::/126"])]);
        let web = service("web").families(families);
        world.ask(&web);
        world.pools(&[pool("blue", &["192.0.2.0/30"])]);
        assert_eq!(
            world.settle(&[web]),
            ["web: keeps 192.0.2.0@blue 2001:db8::@blue: AddressOutsidePools, stays"]
        );
    }
}

#[test]
fn weakness_4_42_the_order_never_flips() {
    let mut world = World::with(&[pool("blue", &["203.0.113.0/24", "2001:db8::/64"])]);
    let web = service("web")
        .families(REQUIRE_V4)
        .wants(&["203.0.113.1", "2001:db8::1"]);
    for _ in 0..10 {
        assert_eq!(world.ask(&web), "203.0.113.1@blue 2001:db8::1@blue");
    }
    // As another load balancer may have left it in the status.
    let mut world = World::with(&[pool("blue", &["203.0.113.0/24", "2001:db8::/64"])]);
    world.adopt(vec![web.found(&["2001:db8::1", "203.0.113.1"])]);
    assert_eq!(world.ask(&web), "203.0.113.1@blue 2001:db8::1@blue");
}

#[test]
fn weakness_4_45_a_thousand_passes_change_nothing() {
    for families in [PREFER_V4, PREFER_V6, REQUIRE_V4, REQUIRE_V6, V4, V6] {
        for addresses in [
            &["192.0.2.0/30"][..],
            &["2001:db8::/126"],
            &["192.0.2.0/30", "2001:db8::/126"],
        ] {
            let mut world = World::with(&[pool("blue", addresses)]);
            let web = service("web").families(families);
            let first = world.decide(&web);
            for _ in 0..1000 {
                assert_eq!(world.decide(&web), first);
            }
            assert_eq!(world.turns(), [""; 0], "nobody is called for nothing");
        }
    }
}

#[test]
fn metallb_1_4_a_service_whose_families_change_keeps_what_it_can() {
    let mut world = World::with(&[
        pool("a-six", &["2001:db8:6::/126"]),
        pool("blue", &["192.0.2.0/30", "2001:db8::/126"]),
    ]);
    let web = service("web");
    assert_eq!(world.ask(&web), "192.0.2.0@blue");
    for (sentence, families, decided) in [
        (
            "one to both: the second is from the same pool",
            REQUIRE_V4,
            "192.0.2.0@blue 2001:db8::@blue",
        ),
        ("both to one: the other is free", V4, "192.0.2.0@blue"),
        (
            "one to both, preferred",
            PREFER_V4,
            "192.0.2.0@blue 2001:db8::@blue",
        ),
        ("both to the other one", V6, "2001:db8::@blue"),
        (
            "the other primary",
            PREFER_V6,
            "2001:db8::@blue 192.0.2.0@blue",
        ),
        (
            "required instead of preferred",
            REQUIRE_V6,
            "2001:db8::@blue 192.0.2.0@blue",
        ),
    ] {
        assert_eq!(
            world.ask(&web.clone().families(families)),
            decided,
            "{sentence}"
        );
    }
}

#[test]
fn from_two_families_to_one_the_other_is_offered_at_once() {
    let mut world = World::with(&[pool("blue", &["192.0.2.0/30", "2001:db8::/128"])]);
    let next = service("next").families(V6);
    world.ask(&service("web").families(REQUIRE_V4));
    assert_eq!(world.ask(&next), "waits: Exhausted");
    world.ask(&service("web").families(V4));
    assert_eq!(world.settle(&[next]), ["next: 2001:db8::@blue"]);
}

#[test]
fn from_one_family_to_both_the_service_moves_to_a_pool_with_both() {
    let mut world = World::with(&[pool("a-four", &["192.0.2.0/30"])]);
    assert_eq!(world.ask(&service("web")), "192.0.2.0@a-four");
    let both = service("web").families(REQUIRE_V4);
    assert_eq!(world.ask(&both), "keeps 192.0.2.0@a-four: NoPoolOfFamily");
    world.pools(&[
        pool("a-four", &["192.0.2.0/30"]),
        pool("both", &["198.51.100.0/30", "2001:db8::/126"]),
    ]);
    assert_eq!(
        world.settle(&[both]),
        ["web: 198.51.100.0@both 2001:db8::@both"]
    );
}

#[test]
fn weakness_4_36_only_the_family_that_is_needed_is_looked_for() {
    let mut world = World::with(&[pool("blue", &["192.0.2.0/32", "2001:db8::/64"])]);
    world.ask(&service("a"));
    assert_eq!(world.ask(&service("six").families(V6)), "2001:db8::@blue");
}

#[test]
fn what_is_kept_is_in_order_and_of_the_families_that_are_left() {
    for (sentence, families, decided) in [
        (
            "the other primary",
            REQUIRE_V6,
            "keeps 2001:db8::@blue 192.0.2.0@blue: PoolNotFound",
        ),
        ("one family less", V4, "keeps 192.0.2.0@blue: PoolNotFound"),
        (
            "the other family only",
            V6,
            "keeps 2001:db8::@blue: PoolNotFound",
        ),
    ] {
        let mut world = World::with(&[pool("blue", &["192.0.2.0/30", "2001:db8::/126"])]);
        world.ask(&service("web").families(REQUIRE_V4));
        let changed = service("web").families(families).from("red");
        assert_eq!(world.ask(&changed), decided, "{sentence}");
    }
}
