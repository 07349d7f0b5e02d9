//! What the API server may answer, and what gets lost on the way: nothing is lost for good.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use bellwether_daemon::call::CallError;
use proptest::prelude::*;

use super::world::World;

/// Every way in which a write fails, and whether it took effect all the same.
fn failure() -> impl Strategy<Value = (CallError, bool)> {
    let text = || "as wished".to_owned();
    let busy = |retry_after| CallError::TooManyRequests { retry_after };
    prop_oneof![
        any::<bool>().prop_map(|took| (CallError::TimedOut(Duration::from_secs(5)), took)),
        any::<bool>().prop_map(move |took| (CallError::Unavailable(text()), took)),
        Just((busy(None), false)),
        Just((busy(Some(Duration::from_secs(7))), false)),
        Just((CallError::Conflict(text()), false)),
        Just((CallError::Gone(text()), false)),
        Just((CallError::NotFound(text()), false)),
        Just((CallError::Forbidden(text()), false)),
        Just((CallError::Invalid(text()), false)),
    ]
}

fn world_with_services(count: usize) -> World {
    let mut world = World::new();
    world.pool("lan", &["192.0.2.0/24"]);
    world.advertise("lan");
    world.node("a");
    for number in 0..count {
        world.service(&format!("web-{number}"));
    }
    world
}

/// The address of each Service; panics if one has none, or two have the same.
fn served(world: &World) -> Vec<IpAddr> {
    let all: Vec<IpAddr> = world
        .addresses()
        .into_iter()
        .map(|(name, addresses)| {
            assert_eq!(addresses.len(), 1, "{name} has {addresses:?}");
            addresses[0]
        })
        .collect();
    let distinct: BTreeSet<&IpAddr> = all.iter().collect();
    assert_eq!(distinct.len(), all.len(), "given twice: {all:?}");
    all
}

proptest! {
    #[test]
    fn no_answer_of_the_api_server_loses_a_service_or_gives_an_address_twice(
        failures in prop::collection::vec(failure(), 0..40)
    ) {
        let mut world = world_with_services(5);
        world.failures = failures.into();
        world.settle_for(60);
        // What took effect unheard, the watches bring.
        world.list_everything();
        world.settle();
        let before = served(&world);
        prop_assert_eq!(world.announced_addresses().len(), before.len());
        // What took effect unheard is adopted, not done once more.
        world.restart();
        prop_assert_eq!(world.settle(), Vec::<String>::new());
        prop_assert_eq!(served(&world), before);
    }
}

#[test]
fn an_announcement_that_was_created_unheard_is_the_services_and_not_another_one() {
    let mut world = world_with_services(1);
    world.settle_until("ApplySpeaker");
    let lost = (CallError::TimedOut(Duration::from_secs(5)), true);
    world.failures = std::iter::repeat_n(lost, 8).collect();
    world.settle_for(60);
    world.list_everything();
    world.settle();
    assert_eq!(world.announced_addresses(), served(&world));
}

#[test]
fn a_server_that_asks_to_come_back_later_is_left_alone_until_then() {
    let mut world = world_with_services(0);
    world.settle();
    world.service("web");
    let retry_after = Some(Duration::from_secs(7));
    world.failures = [(CallError::TooManyRequests { retry_after }, false)].into();
    let start = world.now;
    world.settle_until("CreateAnnouncement");
    let others = world.settle_until("CreateAnnouncement");
    assert!(
        others
            .iter()
            .any(|change| change.starts_with("CreateAnnouncement")),
        "{others:?}"
    );
    assert!(world.now.since(start) >= Duration::from_secs(7));
}

#[test]
fn an_object_that_cannot_be_written_stops_no_other() {
    let mut world = world_with_services(1);
    let refused = (CallError::Invalid("as wished".to_owned()), false);
    world.failures = std::iter::repeat_n(refused, 4).collect();
    world.settle_for(1);
    world.service("mail");
    world.settle();
    served(&world);
}

/// The counters of a pool are written when they can be, and nobody waits for that.
#[test]
fn weakness_4_51_a_pool_whose_status_cannot_be_written_slows_no_service() {
    let mut world = world_with_services(0);
    world.settle();
    let before = world.pool_numbers("lan");
    world.unwritable = Some("PoolStatus");
    for number in 0..50 {
        world.service(&format!("web-{number}"));
    }
    world.settle_for(0);
    assert_eq!(served(&world).len(), 50);
    assert_eq!(world.pool_numbers("lan"), before);
    world.unwritable = None;
    world.settle_for(60);
    assert_eq!(world.pool_numbers("lan"), [256, 50, 206, 0]);
}

/// One kind of write fails, in one way, at the moment when it matters; then all is as if it had not.
#[test]
fn whichever_write_fails_and_however_it_is_made_up_for_and_nothing_written_twice() {
    let text = || "as wished".to_owned();
    let busy = |retry_after| CallError::TooManyRequests { retry_after };
    let writes = ["CreateAnnouncement", "ServiceStatus", "PoolStatus"];
    let failures: [(&str, CallError); 6] = [
        ("409", CallError::Conflict(text())),
        ("410", CallError::Gone(text())),
        ("429", busy(None)),
        ("429 with Retry-After", busy(Some(Duration::from_secs(3)))),
        ("503", CallError::Unavailable(text())),
        ("no answer", CallError::TimedOut(Duration::from_secs(5))),
    ];
    for write in writes {
        for (sentence, failure) in &failures {
            let mut world = world_with_services(0);
            world.settle();
            world.service("web");
            // Up to the write that fails, and it.
            world.fail_first = Some((write, failure.clone()));
            let written = world.settle_for(60);
            let count = written.iter().filter(|it| it.starts_with(write)).count();
            assert_eq!(
                count, 2,
                "{write} {sentence}: once in vain, and once: {written:?}"
            );
            for other in writes.iter().filter(|other| **other != write) {
                let count = written.iter().filter(|it| it.starts_with(other)).count();
                assert_eq!(count, 1, "{write} {sentence}: {other}: {written:?}");
            }
            assert_eq!(served(&world), world.announced_addresses());
            assert_eq!(world.pool_numbers("lan"), [256, 1, 255, 0]);
            world.list_everything();
            assert_eq!(
                world.settle_for(60),
                [""; 0],
                "{write} {sentence}: then rest"
            );
        }
    }
}

#[test]
fn a_thousand_creations_at_once_give_no_address_twice() {
    let mut world = World::new();
    world.pool("lan", &["198.51.0.0/16"]);
    for number in 0..1000 {
        world.service(&format!("web-{number}"));
    }
    world.settle();
    assert_eq!(served(&world).len(), 1000);
}
