//! After a start: what Services have already.

use crate::world::{REQUIRE_V4, World, pool, service};

fn world() -> World {
    World::with(&[pool("blue", &["192.0.2.0/29", "2001:db8::/125"])])
}

#[test]
fn what_a_service_has_is_not_given_to_another() {
    let mut world = world();
    let lost = world.adopt(vec![service("old").found(&["192.0.2.0"])]);
    assert_eq!(lost, [""; 0]);
    assert_eq!(world.ask(&service("new")), "192.0.2.1@blue");
    assert_eq!(world.ask(&service("old")), "192.0.2.0@blue");
}

#[test]
fn of_two_with_the_same_address_the_older_keeps_it_whatever_the_order() {
    let young = service("a").created(20).found(&["192.0.2.5"]);
    let old = service("b").created(10).found(&["192.0.2.5"]);
    for found in [vec![young.clone(), old.clone()], vec![old, young]] {
        let mut world = world();
        assert_eq!(world.adopt(found), ["a: 192.0.2.5 AddressInUse"]);
        assert_eq!(world.ask(&service("b").created(10)), "192.0.2.5@blue");
        assert_eq!(world.ask(&service("a").created(20)), "192.0.2.0@blue");
    }
}

#[test]
fn those_who_may_share_both_keep_it() {
    let mut world = world();
    let (a, b) = (
        service("a").port(80).key("k"),
        service("b").port(443).key("k"),
    );
    let found = vec![a.found(&["192.0.2.5"]), b.found(&["192.0.2.5"])];
    assert_eq!(world.adopt(found), [""; 0]);
    assert_eq!(world.ask(&a), "192.0.2.5@blue");
    assert_eq!(world.ask(&b), "192.0.2.5@blue");
}

#[test]
fn one_of_two_addresses_can_be_lost() {
    let mut world = world();
    let (old, young) = (
        service("old").created(1),
        service("young").created(2).families(REQUIRE_V4),
    );
    let lost = world.adopt(vec![
        young.found(&["192.0.2.5", "2001:db8::5"]),
        old.found(&["192.0.2.5"]),
    ]);
    assert_eq!(lost, ["young: 192.0.2.5 AddressInUse"]);
    assert_eq!(world.ask(&young), "192.0.2.0@blue 2001:db8::5@blue");
}

#[test]
fn a_service_has_one_address_of_a_family() {
    let mut world = world();
    let lost = world.adopt(vec![service("a").found(&["192.0.2.5", "192.0.2.6"])]);
    assert_eq!(lost, ["a: 192.0.2.6 RepeatedFamily"]);
    assert_eq!(world.ask(&service("a")), "192.0.2.5@blue");
}

#[test]
fn an_address_that_no_pool_has_is_kept() {
    let mut world = world();
    world.adopt(vec![service("a").found(&["203.0.113.1@gone"])]);
    assert_eq!(
        world.ask(&service("a")),
        "keeps 203.0.113.1@gone: AddressOutsidePools, stays"
    );
}

#[test]
fn an_address_that_no_pool_has_is_not_given_twice_either() {
    let mut world = world();
    world.adopt(vec![service("a").found(&["203.0.113.1"])]);
    world.pools(&[pool("wide", &["203.0.113.0/30"])]);
    assert_eq!(
        world.ask(&service("b").wants(&["203.0.113.1"])),
        "waits: AddressInUse"
    );
    assert_eq!(world.ask(&service("b")), "203.0.113.0@wide");
    assert_eq!(world.ask(&service("c")), "203.0.113.2@wide");
}

#[test]
fn a_wish_that_changed_while_nobody_looked_is_met() {
    for (sentence, found, decided) in [
        (
            "by the Announcement it was given by another pool",
            "192.0.2.5@blue",
            "198.51.100.0@green",
        ),
        (
            "no Announcement, but another pool has it",
            "192.0.2.5",
            "198.51.100.0@green",
        ),
        (
            "by the Announcement it was given by the pool that is wanted",
            "192.0.2.5@green",
            "keeps 192.0.2.5@green: AddressNotInPool, stays",
        ),
    ] {
        let mut world = World::with(&[
            pool("blue", &["192.0.2.0/29"]),
            pool("green", &["198.51.100.0/29"]),
        ]);
        let web = service("web").from("green");
        world.adopt(vec![web.found(&[found])]);
        assert_eq!(world.ask(&web), decided, "{sentence}");
    }
}

#[test]
fn who_is_in_the_books_keeps_what_it_has_there() {
    let mut world = world();
    world.ask(&service("a"));
    assert_eq!(
        world.adopt(vec![service("a").found(&["192.0.2.6"])]),
        [""; 0]
    );
    assert_eq!(world.ask(&service("a")), "192.0.2.0@blue");
    assert_eq!(
        world.ask(&service("b").wants(&["192.0.2.6"])),
        "192.0.2.6@blue"
    );
}

#[test]
fn a_status_without_addresses_is_nothing_to_adopt() {
    let mut world = world();
    world.adopt(vec![service("a").found(&[])]);
    assert_eq!(world.ask(&service("b")), "192.0.2.0@blue");
}

#[test]
fn complaint_3_1_27_holders_keep_theirs_through_restarts_while_others_wait() {
    let pools = [pool("blue", &["192.0.2.0/31"])];
    let asks = [
        service("waiter-1").created(1),
        service("holder-1").created(2),
        service("waiter-2").created(3),
        service("holder-2").created(4),
    ];
    for _ in 0..5 {
        let mut world = World::with(&pools);
        world.adopt(vec![
            asks[1].found(&["192.0.2.1"]),
            asks[3].found(&["192.0.2.0"]),
        ]);
        let decided: Vec<String> = asks.iter().map(|ask| world.ask(ask)).collect();
        assert_eq!(
            decided,
            [
                "waits: Exhausted",
                "192.0.2.1@blue",
                "waits: Exhausted",
                "192.0.2.0@blue"
            ]
        );
    }
}
