//! Addresses that rest after they were freed.

use std::time::Duration;

use bellwether_core::pool::{PoolSpec, Strategy};
use bellwether_core::range::IpFamily;

use crate::world::{World, pool, service};

fn resting_pool(addresses: &[&str], cooldown: &str) -> PoolSpec {
    PoolSpec {
        cooldown: Some(cooldown.to_owned()),
        ..pool("blue", addresses)
    }
}

#[test]
fn a_freed_address_rests_before_another_gets_it() {
    let mut world = World::with(&[resting_pool(&["192.0.2.0/31"], "30s")]);
    world.ask(&service("a"));
    world.release("a");
    assert_eq!(world.ask(&service("b")), "192.0.2.1@blue");
    let (c, d) = (
        service("c").created(1),
        service("d").created(2).wants(&["192.0.2.0"]),
    );
    assert_eq!(world.ask(&c), "waits: Exhausted");
    let refused = world.decide(&d);
    assert_eq!(
        refused.refusal().expect("refused").to_string(),
        "192.0.2.0 rests since shop/a released it, as the cooldown of the pool blue says"
    );
    let due = world.allocator.next_deadline().expect("something rests");
    assert_eq!(due.since(world.now), Duration::from_secs(30));
    world.now += Duration::from_millis(29_999);
    world.allocator.on_deadline(world.now);
    assert_eq!(world.turns(), [""; 0]);
    world.now += Duration::from_millis(1);
    world.allocator.on_deadline(world.now);
    assert_eq!(
        world.settle(&[c, d]),
        ["c: 192.0.2.0@blue", "d: waits: AddressInUse"]
    );
    assert_eq!(world.allocator.next_deadline(), None);
}

#[test]
fn its_last_user_may_have_it_back_at_once() {
    for strategy in [Strategy::First, Strategy::Sticky, Strategy::Random] {
        let spec = PoolSpec {
            strategy,
            ..resting_pool(&["192.0.2.0/24"], "10m")
        };
        let mut world = World::with(&[spec]);
        let first = world.ask(&service("web"));
        world.release("web");
        assert_eq!(world.ask(&service("web")), first, "{strategy:?}");
    }
    let mut world = World::with(&[resting_pool(&["192.0.2.0/24"], "10m")]);
    let web = service("web").wants(&["192.0.2.7"]);
    world.ask(&web);
    world.release("web");
    assert_eq!(world.ask(&web), "192.0.2.7@blue");
}

#[test]
fn what_rests_is_counted() {
    let mut world = World::with(&[resting_pool(&["192.0.2.0/30"], "1h")]);
    world.ask(&service("a"));
    world.ask(&service("b"));
    world.release("a");
    let counters = world.allocator.counters(&"blue".into(), IpFamily::V4);
    assert_eq!(
        (
            counters.total,
            counters.assigned,
            counters.available,
            counters.resting
        ),
        (4, 1, 2, 1)
    );
}

#[test]
fn the_cooldown_survives_a_restart() {
    let mut before = World::with(&[resting_pool(&["192.0.2.0/31"], "30s")]);
    before.ask(&service("a"));
    before.release("a");
    before.now += Duration::from_secs(10);
    let kept = before.allocator.resting(before.now);
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].remaining, Duration::from_secs(20));

    // The clock of another process starts somewhere else.
    let mut after = World::with(&[resting_pool(&["192.0.2.0/31"], "30s")]);
    after.now += Duration::from_secs(1_000_000);
    after.allocator.rest(kept.clone(), after.now);
    assert_eq!(after.allocator.resting(after.now), kept);
    assert_eq!(after.ask(&service("b")), "192.0.2.1@blue");
    assert_eq!(after.ask(&service("c")), "waits: Exhausted");
    assert_eq!(after.ask(&service("a")), "192.0.2.0@blue");
}

#[test]
fn what_somebody_has_does_not_rest_after_a_restart() {
    let mut before = World::with(&[resting_pool(&["192.0.2.0/31"], "30s")]);
    before.ask(&service("a"));
    before.release("a");
    let kept = before.allocator.resting(before.now);
    let mut after = World::with(&[resting_pool(&["192.0.2.0/31"], "30s")]);
    after.adopt(vec![service("b").found(&["192.0.2.0"])]);
    after.allocator.rest(kept, after.now);
    assert_eq!(after.allocator.resting(after.now), []);
    assert_eq!(after.ask(&service("b")), "192.0.2.0@blue");
}

#[test]
fn a_change_of_the_cooldown_counts_for_what_rests() {
    for (sentence, cooldown, remaining) in [
        (
            "longer: what rests is not kept longer",
            Some("1h"),
            Some(30),
        ),
        ("shorter", Some("5s"), Some(5)),
        ("none", None, None),
    ] {
        let mut world = World::with(&[resting_pool(&["192.0.2.0/31"], "30s")]);
        world.ask(&service("a"));
        world.release("a");
        world.pools(&[PoolSpec {
            cooldown: cooldown.map(ToOwned::to_owned),
            ..pool("blue", &["192.0.2.0/31"])
        }]);
        let resting = world.allocator.resting(world.now);
        let seconds = resting.first().map(|resting| resting.remaining.as_secs());
        assert_eq!(seconds, remaining, "{sentence}");
        let counters = world.allocator.counters(&"blue".into(), IpFamily::V4);
        assert_eq!(
            counters.resting,
            i64::from(remaining.is_some()),
            "{sentence}"
        );
    }
}

#[test]
fn an_address_that_leaves_its_pool_stops_resting() {
    let mut world = World::with(&[resting_pool(&["192.0.2.0/31"], "30s")]);
    world.ask(&service("a"));
    world.release("a");
    world.pools(&[resting_pool(&["192.0.2.1/32"], "30s")]);
    assert_eq!(world.allocator.next_deadline(), None);
    world.pools(&[resting_pool(&["192.0.2.0/31"], "30s")]);
    assert_eq!(world.ask(&service("b")), "192.0.2.0@blue");
}

#[test]
fn who_moves_lets_its_old_address_rest_too() {
    let mut world = World::with(&[resting_pool(&["192.0.2.0/30"], "30s")]);
    world.ask(&service("a"));
    world.ask(&service("a").wants(&["192.0.2.3"]));
    assert_eq!(world.ask(&service("b")), "192.0.2.1@blue");
}
