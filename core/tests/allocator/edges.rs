//! Pools at the edges: one address, two, the first and the last of all, more than can be counted.

use bellwether_core::allocator::FamilyPolicy;
use bellwether_core::pool::PoolSpec;
use bellwether_core::range::IpFamily;

use crate::world::{V4, V6, World, pool, service};

#[test]
fn every_address_of_a_small_pool_is_given_once() {
    for (range, families, expected) in [
        ("192.0.2.1/32", V4, &["192.0.2.1"][..]),
        ("192.0.2.2/31", V4, &["192.0.2.2", "192.0.2.3"]),
        ("1.0.0.0/32", V4, &["1.0.0.0"]),
        (
            "255.255.255.253-255.255.255.254",
            V4,
            &["255.255.255.253", "255.255.255.254"],
        ),
        ("2001:db8::1/128", V6, &["2001:db8::1"]),
        ("2001:db8::2/127", V6, &["2001:db8::2", "2001:db8::3"]),
        ("::2-::3", V6, &["::2", "::3"]),
        (
            "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128",
            V6,
            &["feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
        ),
    ] {
        let mut world = World::with(&[pool("blue", &[range])]);
        for (number, address) in expected.iter().enumerate() {
            let ask = service(&format!("web-{number}")).families(families);
            assert_eq!(world.ask(&ask), format!("{address}@blue"), "{range}");
        }
        assert_eq!(
            world.ask(&service("late").families(families)),
            "waits: Exhausted",
            "{range}"
        );
    }
}

#[test]
fn a_pool_of_buggy_addresses_only_gives_none() {
    let mut world = World::with(&[PoolSpec {
        avoid_buggy_ips: true,
        ..pool("blue", &["192.0.2.255-192.0.3.0"])
    }]);
    assert_eq!(world.ask(&service("web")), "waits: NoPoolOfFamily");
}

#[test]
fn buggy_addresses_are_skipped_between_others() {
    let mut world = World::with(&[PoolSpec {
        avoid_buggy_ips: true,
        ..pool("blue", &["192.0.2.254-192.0.3.1"])
    }]);
    assert_eq!(world.ask(&service("a")), "192.0.2.254@blue");
    assert_eq!(world.ask(&service("b")), "192.0.3.1@blue");
    assert_eq!(world.ask(&service("c")), "waits: Exhausted");
}

#[test]
fn weakness_4_36_the_last_free_address_of_a_large_pool_is_found() {
    let mut world = World::with(&[pool("blue", &["10.1.0.0/16"])]);
    let found = (0..=u16::MAX)
        .filter(|&number| number != 54_321)
        .map(|number| {
            let [high, low] = number.to_be_bytes();
            service(&format!("web-{number}")).found(&[&format!("10.1.{high}.{low}")])
        })
        .collect();
    assert_eq!(world.adopt(found), [""; 0]);
    assert_eq!(world.ask(&service("late")), "10.1.212.49@blue");
    assert_eq!(world.ask(&service("later")), "waits: Exhausted");
}

#[test]
fn a_pool_of_2_to_the_64_addresses_or_more_is_like_any_other() {
    for range in ["2001:db8::/64", "2001:db8::/32", "2000::/4"] {
        for strategy in [
            bellwether_core::pool::Strategy::Sticky,
            bellwether_core::pool::Strategy::First,
            bellwether_core::pool::Strategy::Random,
        ] {
            let mut world = World::with(&[PoolSpec {
                strategy,
                ..pool("blue", &[range])
            }]);
            let families = FamilyPolicy::SingleStack(IpFamily::V6);
            for number in 0..100 {
                let ask = service(&format!("web-{number}")).families(families);
                assert_eq!(world.decide(&ask).refusal(), None);
            }
            let used: std::collections::BTreeSet<_> = (0..100)
                .flat_map(|number| world.addresses(&format!("web-{number}")))
                .collect();
            assert_eq!(used.len(), 100, "{range} {strategy:?}");
        }
    }
}
