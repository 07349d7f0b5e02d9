//! Whose turn it is when something becomes free.

use bellwether_core::pool::PoolSpec;

use crate::world::{REQUIRE_V4, V6, World, pinned, pool, service, to_namespace};

#[test]
fn a_freed_address_goes_to_the_one_that_was_created_first() {
    let mut world = World::with(&[pool("blue", &["192.0.2.0/32"])]);
    let asks = [
        service("c").created(3),
        service("b").created(2),
        service("a").created(2),
        service("d").created(1),
    ];
    world.ask(&service("first"));
    for ask in &asks {
        assert_eq!(world.ask(ask), "waits: Exhausted");
    }
    world.release("first");
    assert_eq!(
        world.settle(&asks),
        ["d: 192.0.2.0@blue"],
        "one address, one decision"
    );
    for (leaves, next) in [("d", "a"), ("a", "b"), ("b", "c")] {
        world.release(leaves);
        assert_eq!(world.settle(&asks), [format!("{next}: 192.0.2.0@blue")]);
    }
}

/// Something that frees an address.
type Change = fn(&mut World);

#[test]
fn whatever_frees_an_address_it_is_offered() {
    let blue = || pool("blue", &["192.0.2.0/32"]);
    let green = || pool("green", &["198.51.100.0/30", "2001:db8::/126"]);
    let waiter = service("waiter").from("blue");
    let holder = || service("holder");
    let changes: [(&str, Change); 6] = [
        ("deletion", |world| world.release("holder")),
        ("a move to another pool", |world| {
            world.ask(&service("holder").from("green"));
        }),
        ("a move to another address", |world| {
            world.ask(&service("holder").wants(&["198.51.100.1"]));
        }),
        ("another family", |world| {
            world.ask(&service("holder").families(V6));
        }),
        ("a move on request", |world| {
            world.ask(&service("holder").reallocate(true));
        }),
        ("a wider pool", |world| {
            world.pools(&[
                pool("blue", &["192.0.2.0/31"]),
                pool("green", &["198.51.100.0/30", "2001:db8::/126"]),
            ]);
        }),
    ];
    for (sentence, change) in changes {
        let mut world = World::with(&[blue(), green()]);
        assert_eq!(world.ask(&holder().from("blue")), "192.0.2.0@blue");
        world.ask(&holder());
        assert_eq!(world.ask(&waiter), "waits: Exhausted");
        change(&mut world);
        let settled = world.settle(&[waiter.clone(), holder()]);
        let served = settled.iter().any(|it| it.starts_with("waiter: 192.0.2."));
        assert!(served, "{sentence}: {settled:?}");
    }
}

#[test]
fn who_cannot_use_it_does_not_block_who_can() {
    let mut world = World::with(&[pool("blue", &["192.0.2.0/32", "2001:db8::/128"])]);
    let dual = service("dual").created(1).families(REQUIRE_V4);
    let single = service("single").created(2);
    world.ask(&service("holder"));
    world.ask(&service("six").families(V6));
    assert_eq!(world.ask(&dual), "waits: Exhausted");
    assert_eq!(world.ask(&single), "waits: Exhausted");
    world.release("holder");
    assert_eq!(
        world.settle(&[dual, single]),
        ["dual: waits: Exhausted", "single: 192.0.2.0@blue"]
    );
}

#[test]
fn who_waits_for_a_pool_of_its_namespace_is_called() {
    let mine = |addresses: &[&str]| pinned(pool("mine", addresses), to_namespace("shop", 1));
    let mut world = World::with(&[mine(&["192.0.2.0/32"])]);
    let waiter = service("waiter");
    world.ask(&service("holder"));
    world.ask(&waiter);
    world.release("holder");
    assert_eq!(world.settle(&[waiter]), ["waiter: 192.0.2.0@mine"]);
}

#[test]
fn who_waits_for_another_pool_is_left_alone() {
    let mut world = World::with(&[
        pool("blue", &["192.0.2.0/32"]),
        PoolSpec {
            auto_assign: false,
            ..pool("green", &["198.51.100.0/32"])
        },
    ]);
    world.ask(&service("b"));
    world.ask(&service("g").from("green"));
    world.ask(&service("waits-for-green").from("green"));
    world.ask(&service("waits-for-any"));
    world.release("b");
    assert_eq!(world.turns(), ["waits-for-any"]);
    world.release("g");
    assert_eq!(world.turns()[0], "waits-for-green");
}

#[test]
fn who_waits_for_an_address_is_called_for_that_one_only() {
    let mut world = World::with(&[pool("blue", &["192.0.2.0/31"])]);
    world.ask(&service("a"));
    world.ask(&service("b"));
    let waiter = service("waiter").wants(&["192.0.2.1"]);
    assert_eq!(world.ask(&waiter), "waits: AddressInUse");
    world.release("a");
    assert_eq!(world.turns(), [""; 0]);
    world.release("b");
    assert_eq!(world.settle(&[waiter]), ["waiter: 192.0.2.1@blue"]);
}

#[test]
fn complaint_3_2_tell_me_why_every_refusal_heals_when_its_cause_goes() {
    let blue = || pool("blue", &["192.0.2.0/30"]);
    let web = || service("web");
    for (sentence, before, ask, refused, after) in [
        ("no pool", vec![], web(), "waits: NoPools", vec![blue()]),
        (
            "the pool does not exist",
            vec![pool("green", &["198.51.100.0/30"])],
            web().from("blue"),
            "waits: PoolNotFound",
            vec![blue()],
        ),
        (
            "the pool is for others",
            vec![pinned(blue(), to_namespace("lab", 1))],
            web().from("blue"),
            "waits: PoolNotForService",
            vec![blue()],
        ),
        (
            "no pool gives by itself",
            vec![PoolSpec {
                auto_assign: false,
                ..blue()
            }],
            web(),
            "waits: NoAutoAssignPool",
            vec![blue()],
        ),
        (
            "the pool has another family",
            vec![pool("blue", &["2001:db8::/64"])],
            web().from("blue"),
            "waits: PoolLacksFamily",
            vec![blue()],
        ),
        (
            "the address is in no pool",
            vec![pool("blue", &["192.0.2.2/31"])],
            web().wants(&["192.0.2.0"]),
            "waits: AddressOutsidePools",
            vec![blue()],
        ),
        (
            "the address is excluded",
            vec![PoolSpec {
                exclude: vec!["192.0.2.0/31".to_owned()],
                ..blue()
            }],
            web().wants(&["192.0.2.0"]),
            "waits: AddressExcluded",
            vec![blue()],
        ),
    ] {
        let mut world = World::with(&before);
        assert_eq!(world.ask(&ask), refused, "{sentence}");
        world.pools(&after);
        assert_eq!(world.settle(&[ask]), ["web: 192.0.2.0@blue"], "{sentence}");
    }
}

#[test]
fn a_thousand_waiting_cost_one_decision_for_one_address() {
    let mut world = World::with(&[pool("blue", &["192.0.2.0/32"])]);
    world.ask(&service("holder"));
    let asks: Vec<_> = (0..1000)
        .map(|n| service(&format!("web-{n:04}")).created(n))
        .collect();
    for ask in &asks {
        world.ask(ask);
    }
    world.release("holder");
    assert_eq!(world.settle(&asks), ["web-0000: 192.0.2.0@blue"]);
}

#[test]
fn complaint_3_2_reserved_what_a_pool_excludes_is_never_given() {
    let mut world = World::with(&[PoolSpec {
        exclude: vec!["192.0.2.1-192.0.2.2".to_owned()],
        ..pool("blue", &["192.0.2.0/30"])
    }]);
    assert_eq!(world.ask(&service("a")), "192.0.2.0@blue");
    assert_eq!(world.ask(&service("b")), "192.0.2.3@blue");
    assert_eq!(world.ask(&service("c")), "waits: Exhausted");
    world.release("a");
    assert_eq!(world.settle(&[service("c")]), ["c: 192.0.2.0@blue"]);
}
