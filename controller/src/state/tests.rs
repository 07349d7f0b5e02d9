//! The state against an API server of a few lines that keeps facts instead of objects.
//!
//! Each test lets the state write until it is quiet, and looks at what the server holds then.

mod advertisements;
mod endpoints;
mod faults;
mod lifecycle;
mod nodes;
mod notes;
mod pools;
mod rules;
mod server;
mod world;

use proptest::prelude::*;
use world::{World, settle_both};

#[test]
fn the_announcement_is_written_before_the_service_shows_the_address() {
    let mut world = World::new();
    world.pool("lan", &["192.0.2.0/29"]);
    world.advertise("lan");
    world.node("a");
    world.service("web");
    let written = world.settle();
    let position = |what: &str| written.iter().position(|change| change.starts_with(what));
    let created = position("CreateAnnouncement").expect("an Announcement");
    let shown = position("ServiceStatus").expect("a status");
    assert!(created < shown, "{written:?}");
}

#[test]
fn a_service_costs_one_announcement_and_one_status_and_one_more_when_it_is_announced() {
    let mut world = World::new();
    world.pool("lan", &["192.0.2.0/29"]);
    world.advertise("lan");
    world.node("a");
    world.settle();
    world.service("web");
    let written = world.settle();
    let of_service = |written: &[String]| {
        let ours = ["CreateAnnouncement", "UpdateAnnouncement", "ServiceStatus"];
        written
            .iter()
            .filter(|line| ours.iter().any(|own| line.starts_with(own)))
            .count()
    };
    assert_eq!(of_service(&written), 2, "{written:?}");
    world.announce_all("a");
    let written = world.settle();
    assert_eq!(of_service(&written), 1, "{written:?}");
    assert_eq!(world.conditions("web"), ["Allocated", "Announced"]);
}

#[test]
fn weakness_4_13_at_rest_nothing_is_written() {
    let mut world = World::new();
    world.pool("lan", &["192.0.2.0/29", "2001:db8::/64"]);
    world.advertise("lan");
    for node in ["a", "b"] {
        world.node(node);
    }
    for name in ["web", "mail", "dns"] {
        world.service(name);
    }
    world.settle();
    world.announce_all("a");
    world.settle();
    world.list_everything();
    assert_eq!(world.settle(), [""; 0]);
}

#[test]
fn a_restart_writes_nothing_and_moves_nothing() {
    let mut world = World::new();
    world.pool("lan", &["192.0.2.0/28"]);
    world.advertise("lan");
    world.node("a");
    for number in 0..10 {
        world.service(&format!("web-{number}"));
    }
    world.settle();
    world.announce_all("a");
    world.settle();
    let before = world.addresses();
    world.restart();
    assert_eq!(world.settle(), [""; 0]);
    assert_eq!(world.addresses(), before);
}

#[test]
fn an_address_that_was_reserved_and_never_shown_is_given_to_the_same_service() {
    let mut world = World::new();
    world.pool("lan", &["192.0.2.0/28"]);
    world.advertise("lan");
    world.node("a");
    world.service("web");
    // The controller dies between the Announcement and the status.
    world.settle_until("CreateAnnouncement");
    let reserved = world.announced_addresses();
    world.restart();
    world.settle();
    assert_eq!(world.addresses()["web"], reserved);
}

#[test]
fn a_deleted_service_frees_its_address_for_one_that_waits() {
    let mut world = World::new();
    world.pool("lan", &["192.0.2.1-192.0.2.1"]);
    world.advertise("lan");
    world.node("a");
    world.service("web");
    world.service("mail");
    world.settle();
    assert_eq!(world.conditions("mail"), ["Exhausted", "NoAddress"]);
    world.delete_service("web");
    world.settle();
    assert_eq!(
        world.addresses()["mail"],
        ["192.0.2.1".parse::<std::net::IpAddr>().expect("one")]
    );
    assert_eq!(world.announced_addresses().len(), 1);
}

#[test]
fn weakness_4_16_a_deletion_that_only_a_list_shows_frees_too() {
    let mut world = World::new();
    world.pool("lan", &["192.0.2.1-192.0.2.1"]);
    world.advertise("lan");
    world.node("a");
    world.service("web");
    world.settle();
    world.lose_service("web");
    world.list_everything();
    world.settle();
    assert!(world.announced_addresses().is_empty());
}

#[test]
fn complaint_3_1_26_an_event_is_written_once_for_each_change() {
    let mut world = World::new();
    world.node("a");
    world.service("web");
    world.settle();
    world.list_everything();
    world.settle();
    assert_eq!(world.events, ["web NoPools"]);
    world.pool("lan", &["192.0.2.0/29"]);
    world.settle();
    assert_eq!(world.events, ["web NoPools", "web Allocated"]);
}

#[test]
fn weakness_4_15_a_bad_pool_keeps_what_it_said_before() {
    let mut world = World::new();
    world.pool("lan", &["192.0.2.0/29"]);
    world.advertise("lan");
    world.node("a");
    world.service("web");
    world.settle();
    let before = world.addresses();
    world.pool("lan", &["nonsense"]);
    world.settle();
    assert_eq!(world.addresses(), before);
    assert_eq!(
        world.pool_reasons("lan"),
        [
            "Invalid",
            "NoOverlap",
            "EnoughFree",
            "SomethingFree",
            "NoStrays"
        ]
    );
    world.service("mail");
    world.settle();
    assert_eq!(world.addresses()["mail"].len(), 1);
}

#[test]
fn two_pools_with_the_same_addresses_are_both_told() {
    let mut world = World::new();
    world.pool("old", &["192.0.2.0/29"]);
    world.pool("young", &["192.0.2.0/28"]);
    world.settle();
    for (pool, other) in [("old", "young"), ("young", "old")] {
        assert_eq!(world.pool_reasons(pool)[1], "Overlap", "{pool}");
        let message = world.pool_message(pool, "Overlapping");
        assert!(
            message.starts_with(&format!("pool {other} has")),
            "{message}"
        );
    }
}

#[test]
fn a_write_that_was_decided_on_an_old_version_is_decided_again() {
    let mut world = World::new();
    world.pool("lan", &["192.0.2.0/29"]);
    world.advertise("lan");
    world.node("a");
    world.service("web");
    world.conflict_next = 3;
    world.settle();
    assert_eq!(world.addresses()["web"].len(), 1);
}

#[test]
fn two_leaders_for_a_moment_never_give_one_address_twice() {
    proptest!(|(order in prop::collection::vec(any::<bool>(), 60))| {
        let mut first = World::new();
        first.pool("lan", &["192.0.2.0/29"]);
        first.advertise("lan");
        first.node("a");
        for number in 0..6 {
            first.service(&format!("web-{number}"));
        }
        let mut second = first.rival();
        settle_both(&mut first, &mut second, &order);
        let addresses = first.addresses();
        let mut all: Vec<_> = addresses.values().flatten().collect();
        let count = all.len();
        all.sort();
        all.dedup();
        prop_assert_eq!(all.len(), count, "{:?}", addresses);
        prop_assert_eq!(count, 6);
    });
}
