//! Which pool a Service gets an address from.

use bellwether_core::pool::{PoolSpec, ServiceAllocationSpec};

use crate::world::{World, by_hand, pinned, pool, selector, service, to_namespace};

#[test]
fn metallb_1_4_a_service_that_asks_for_no_pool_gets_an_address_of_one_that_gives_by_itself() {
    let blue = || pool("blue", &["192.0.2.0/30"]);
    let green = || pool("green", &["198.51.100.0/30"]);
    let selecting = |spec, key| {
        let allocation = ServiceAllocationSpec {
            service_selectors: vec![selector(&[("app", key)])],
            ..ServiceAllocationSpec::default()
        };
        pinned(spec, allocation)
    };
    for (sentence, pools, decided) in [
        ("one pool", vec![blue()], "192.0.2.0@blue"),
        ("no pool at all", vec![], "waits: NoPools"),
        (
            "only a pool that must be asked for",
            vec![by_hand(blue())],
            "waits: NoAutoAssignPool",
        ),
        (
            "the other must be asked for",
            vec![by_hand(blue()), green()],
            "198.51.100.0@green",
        ),
        (
            "a pool for its namespace is tried first",
            vec![blue(), pinned(green(), to_namespace("shop", 0))],
            "198.51.100.0@green",
        ),
        (
            "a pool for another namespace is not tried",
            vec![blue(), pinned(green(), to_namespace("lab", 1))],
            "192.0.2.0@blue",
        ),
        (
            "only a pool for another namespace",
            vec![pinned(green(), to_namespace("lab", 1))],
            "waits: NoAutoAssignPool",
        ),
        (
            "a pool for its namespace that must be asked for is not tried",
            vec![blue(), by_hand(pinned(green(), to_namespace("shop", 1)))],
            "192.0.2.0@blue",
        ),
        (
            "a pool for its labels is tried first",
            vec![blue(), selecting(green(), "web")],
            "198.51.100.0@green",
        ),
        (
            "a pool for other labels is not tried",
            vec![blue(), selecting(green(), "db")],
            "192.0.2.0@blue",
        ),
        (
            "an empty serviceAllocation is for every Service, and first",
            vec![blue(), pinned(green(), ServiceAllocationSpec::default())],
            "198.51.100.0@green",
        ),
        (
            "the lower priority is first",
            vec![
                pinned(blue(), to_namespace("shop", 20)),
                pinned(green(), to_namespace("shop", 10)),
            ],
            "198.51.100.0@green",
        ),
        (
            "no priority is last",
            vec![
                pinned(blue(), to_namespace("shop", 0)),
                pinned(green(), to_namespace("shop", 1000)),
            ],
            "198.51.100.0@green",
        ),
    ] {
        let mut world = World::with(&pools);
        let asked = world.ask(&service("web").with_labels(&[("app", "web")]));
        assert_eq!(asked, decided, "{sentence}");
    }
}

#[test]
fn weakness_4_19_equal_pools_are_tried_by_age_then_name() {
    let aged = |name, created, addresses| PoolSpec {
        created,
        ..pool(name, &[addresses])
    };
    let pools = [
        aged("a", 2, "192.0.2.0/32"),
        aged("c", 1, "192.0.2.1/32"),
        aged("b", 1, "192.0.2.2/32"),
        aged("d", 3, "192.0.2.3/32"),
    ];
    for pinned_all in [false, true] {
        let pools: Vec<PoolSpec> = pools
            .iter()
            .map(|spec| PoolSpec {
                service_allocation: pinned_all.then(ServiceAllocationSpec::default),
                ..spec.clone()
            })
            .collect();
        for turned in 0..pools.len() {
            let mut pools = pools.clone();
            pools.rotate_left(turned);
            let mut world = World::with(&pools);
            for (name, decided) in [
                ("1", "192.0.2.2@b"),
                ("2", "192.0.2.1@c"),
                ("3", "192.0.2.0@a"),
                ("4", "192.0.2.3@d"),
                ("5", "waits: Exhausted"),
            ] {
                assert_eq!(world.ask(&service(name)), decided);
            }
        }
    }
}

#[test]
fn a_pool_that_is_full_lets_the_next_one_serve() {
    let mut world = World::with(&[
        pinned(pool("first", &["192.0.2.0/32"]), to_namespace("shop", 1)),
        pinned(pool("second", &["192.0.2.1/32"]), to_namespace("shop", 2)),
        pool("third", &["192.0.2.2/32"]),
    ]);
    assert_eq!(world.ask(&service("a")), "192.0.2.0@first");
    assert_eq!(world.ask(&service("b")), "192.0.2.1@second");
    assert_eq!(world.ask(&service("c")), "192.0.2.2@third");
    let refused = world
        .decide(&service("d"))
        .refusal()
        .map(ToString::to_string);
    assert_eq!(
        refused.expect("refused"),
        "no address of IPv4 is free in the pools first, second, third: add addresses, or delete \
         Services that need theirs no more"
    );
}

#[test]
fn metallb_1_1_selectors_that_match_no_namespace_allow_none_whatever_the_service_asks_for() {
    let allocation = ServiceAllocationSpec {
        namespace_selectors: vec![selector(&[("team", "b")])],
        ..ServiceAllocationSpec::default()
    };
    let mut world = World::with(&[pinned(pool("blue", &["192.0.2.0/30"]), allocation)]);
    let web = service("web").of_namespace_with(&[("team", "a")]);
    for (sentence, ask, decided) in [
        (
            "it asks for nothing",
            web.clone(),
            "waits: NoAutoAssignPool",
        ),
        (
            "it asks for the pool",
            web.clone().from("blue"),
            "waits: PoolNotForService",
        ),
        (
            "it asks for an address",
            web.clone().wants(&["192.0.2.1"]),
            "waits: PoolNotForService",
        ),
    ] {
        assert_eq!(world.ask(&ask), decided, "{sentence}");
    }
    let allowed = web.of_namespace_with(&[("team", "b")]);
    assert_eq!(world.ask(&allowed), "192.0.2.0@blue");
}

#[test]
fn a_pool_of_another_family_is_not_used() {
    let mut world = World::with(&[pool("six", &["2001:db8::/64"])]);
    let refused = world.decide(&service("web"));
    assert_eq!(
        refused.refusal().expect("refused").to_string(),
        "no pool that the Service may use has addresses of IPv4 (from one pool, if of both \
         families)"
    );
}

#[test]
fn ten_thousand_full_pools_of_one_address_are_no_burden() {
    let pools: Vec<PoolSpec> = (0..10_000u32)
        .map(|number| {
            let [_, a, b, c] = number.to_be_bytes();
            pool(
                &format!("pool-{number:05}"),
                &[&format!("10.{a}.{b}.{c}/32")],
            )
        })
        .collect();
    let mut world = World::with(&pools);
    for number in 0..10_000 {
        let decided = world.decide(&service(&format!("web-{number}")));
        assert_eq!(decided.refusal(), None);
    }
    let refused = world.decide(&service("late"));
    assert_eq!(
        refused.refusal().expect("refused").to_string(),
        "no address of IPv4 is free in the pools pool-00000, pool-00001, pool-00002, pool-00003 \
         and 9996 more: add addresses, or delete Services that need theirs no more"
    );
    world.release("web-7777");
    assert_eq!(
        world.settle(&[service("late")]),
        ["late: 10.0.30.97@pool-07777"]
    );
}
