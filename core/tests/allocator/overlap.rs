//! Pools that have the same addresses.

use bellwether_core::allocator::Overlap;
use bellwether_core::pool::PoolSpec;
use bellwether_core::range::IpFamily;

use crate::world::{World, pool, service};

fn aged(name: &str, created: i64, addresses: &[&str]) -> PoolSpec {
    PoolSpec {
        created,
        ..pool(name, addresses)
    }
}

fn overlaps(world: &World) -> Vec<String> {
    world
        .allocator
        .overlaps()
        .iter()
        .map(
            |Overlap {
                 older,
                 younger,
                 ranges,
             }| {
                let ranges: Vec<String> = ranges.iter().map(ToString::to_string).collect();
                format!("{younger} loses {} to {older}", ranges.join(", "))
            },
        )
        .collect()
}

#[test]
fn the_older_gives_what_both_have() {
    let old = || aged("old", 1, &["192.0.2.0/30"]);
    let young = || aged("young", 2, &["192.0.2.0-192.0.2.5"]);
    for pools in [[old(), young()], [young(), old()]] {
        let mut world = World::with(&pools);
        assert_eq!(overlaps(&world), ["young loses 192.0.2.0/30 to old"]);
        assert_eq!(world.ask(&service("a").from("young")), "192.0.2.4@young");
        assert_eq!(world.ask(&service("b").from("young")), "192.0.2.5@young");
        assert_eq!(world.ask(&service("c").from("young")), "waits: Exhausted");
        assert_eq!(
            world.ask(&service("d").from("young").wants(&["192.0.2.0"])),
            "waits: AddressNotInPool"
        );
        assert_eq!(world.ask(&service("e").from("old")), "192.0.2.0@old");
        assert_eq!(
            world
                .allocator
                .counters(&"young".into(), IpFamily::V4)
                .total,
            2
        );
    }
}

#[test]
fn of_the_same_age_the_name_decides() {
    let world = World::with(&[
        aged("b", 1, &["192.0.2.0/30"]),
        aged("a", 1, &["192.0.2.0/30"]),
    ]);
    assert_eq!(overlaps(&world), ["b loses 192.0.2.0/30 to a"]);
}

#[test]
fn what_one_excludes_another_may_have() {
    let whole = PoolSpec {
        exclude: vec!["192.0.2.4/30".to_owned()],
        ..aged("whole", 1, &["192.0.2.0/24"])
    };
    let mut world = World::with(&[whole, aged("part", 2, &["192.0.2.4/30"])]);
    assert_eq!(overlaps(&world), [""; 0]);
    assert_eq!(world.ask(&service("a").from("part")), "192.0.2.4@part");
}

#[test]
fn each_pair_is_named_with_the_addresses() {
    let world = World::with(&[
        aged("a", 1, &["192.0.2.0/30", "2001:db8::/64"]),
        aged("b", 2, &["192.0.2.8/30"]),
        aged("c", 3, &["192.0.2.0/24", "2001:db8::1:0/112"]),
        aged("d", 4, &["198.51.100.0/24"]),
    ]);
    assert_eq!(
        overlaps(&world),
        [
            "c loses 192.0.2.0/30, 2001:db8::1:0/112 to a",
            "c loses 192.0.2.8/30 to b",
        ]
    );
}

#[test]
fn nobody_moves_when_pools_begin_or_cease_to_overlap() {
    let young = || aged("young", 2, &["192.0.2.0/30"]);
    let mut world = World::with(&[young()]);
    let web = service("web").from("young");
    assert_eq!(world.ask(&web), "192.0.2.0@young");
    world.pools(&[young(), aged("old", 1, &["192.0.2.0/31"])]);
    assert_eq!(
        world.settle(std::slice::from_ref(&web)),
        ["web: keeps 192.0.2.0@young: AddressNotInPool, stays"]
    );
    assert_eq!(
        world.ask(&service("other").from("old")),
        "192.0.2.1@old",
        "never twice"
    );
    world.pools(&[young()]);
    assert_eq!(world.settle(&[web]), ["web: 192.0.2.0@young"]);
}
