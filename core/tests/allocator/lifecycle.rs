//! What becomes of addresses in use when pools change, and how they are moved.

use bellwether_core::pool::{PoolSpec, Strategy};

use crate::world::{PREFER_V4, World, ip, pinned, pool, service, to_namespace};

#[test]
fn complaint_3_1_28_an_edit_of_pools_takes_no_address_away() {
    let blue = |addresses: &[&str]| pool("blue", addresses);
    let whole = || blue(&["192.0.2.0/24"]);
    let stays = |reason: &str| format!("keeps 192.0.2.0@blue: {reason}, stays");
    for (sentence, pools, decided) in [
        (
            "widened",
            vec![blue(&["192.0.2.0/23"])],
            "192.0.2.0@blue".to_owned(),
        ),
        (
            "narrowed, the address is still in",
            vec![blue(&["192.0.2.0/25"])],
            "192.0.2.0@blue".to_owned(),
        ),
        (
            "narrowed, the address is out",
            vec![blue(&["192.0.2.128/25"])],
            stays("AddressOutsidePools"),
        ),
        ("deleted", vec![], stays("AddressOutsidePools")),
        (
            "deleted, another is there",
            vec![pool("green", &["198.51.100.0/24"])],
            stays("AddressOutsidePools"),
        ),
        (
            "renamed",
            vec![pool("indigo", &["192.0.2.0/24"])],
            "192.0.2.0@indigo".to_owned(),
        ),
        (
            "split",
            vec![blue(&["192.0.2.128/25"]), pool("navy", &["192.0.2.0/25"])],
            "192.0.2.0@navy".to_owned(),
        ),
        (
            "merged",
            vec![pool("all", &["192.0.2.0/24", "198.51.100.0/24"])],
            "192.0.2.0@all".to_owned(),
        ),
        (
            "the address is excluded",
            vec![PoolSpec {
                exclude: vec!["192.0.2.0/32".to_owned()],
                ..whole()
            }],
            stays("AddressExcluded"),
        ),
        (
            "the address is avoided",
            vec![PoolSpec {
                avoid_buggy_ips: true,
                ..whole()
            }],
            stays("AddressExcluded"),
        ),
        (
            "for another namespace now",
            vec![pinned(whole(), to_namespace("lab", 1))],
            stays("PoolNotForService"),
        ),
        (
            "on request only now",
            vec![PoolSpec {
                auto_assign: false,
                ..whole()
            }],
            "192.0.2.0@blue".to_owned(),
        ),
        (
            "another strategy",
            vec![PoolSpec {
                strategy: Strategy::Random,
                ..whole()
            }],
            "192.0.2.0@blue".to_owned(),
        ),
        (
            "a better pool appears",
            vec![
                whole(),
                pinned(
                    pool("better", &["198.51.100.0/24"]),
                    to_namespace("shop", 1),
                ),
            ],
            "192.0.2.0@blue".to_owned(),
        ),
    ] {
        let mut world = World::with(&[whole()]);
        let web = service("web");
        world.ask(&web);
        world.pools(&pools);
        world.settle(std::slice::from_ref(&web));
        assert_eq!(world.ask(&web), decided, "{sentence}");
        // And back: all is as it was.
        world.pools(&[whole()]);
        assert_eq!(world.ask(&web), "192.0.2.0@blue", "{sentence}, and back");
    }
}

#[test]
fn who_asked_for_the_pool_keeps_its_address_too() {
    let blue = |addresses: &[&str]| pool("blue", addresses);
    let green = || pool("green", &["192.0.2.0/25"]);
    for (sentence, pools, decided) in [
        (
            "narrowed",
            vec![blue(&["192.0.2.128/25"])],
            "keeps 192.0.2.0@blue: AddressOutsidePools, stays",
        ),
        (
            "split: the address is in a pool that it does not ask for",
            vec![blue(&["192.0.2.128/25"]), green()],
            "keeps 192.0.2.0@blue: AddressNotInPool, stays",
        ),
        (
            "deleted",
            vec![],
            "keeps 192.0.2.0@blue: AddressOutsidePools, stays",
        ),
        (
            "renamed",
            vec![green()],
            "keeps 192.0.2.0@blue: PoolNotFound, stays",
        ),
    ] {
        let mut world = World::with(&[blue(&["192.0.2.0/24"])]);
        let web = service("web").from("blue");
        world.ask(&web);
        world.pools(&pools);
        world.settle(std::slice::from_ref(&web));
        assert_eq!(world.ask(&web), decided, "{sentence}");
        // A restart finds the same by the Announcement.
        let mut world = World::with(&pools);
        world.adopt(vec![web.found(&["192.0.2.0@blue"])]);
        assert_eq!(world.ask(&web), decided, "{sentence}, after a restart");
    }
}

#[test]
fn weakness_4_14_those_whom_an_edit_concerns_are_called_and_no_others() {
    let blue = |addresses: &[&str]| pool("blue", addresses);
    let green = || pool("green", &["198.51.100.0/24"]);
    let asks = [service("a"), service("b").from("green")];
    let mut world = World::with(&[blue(&["192.0.2.0/24"]), green()]);
    for ask in &asks {
        world.ask(ask);
    }
    world.settle(&asks);
    for (sentence, pools, called) in [
        (
            "one is narrowed",
            vec![blue(&["192.0.2.0/25"]), green()],
            vec!["a: 192.0.2.0@blue"],
        ),
        (
            "nothing is changed",
            vec![blue(&["192.0.2.0/25"]), green()],
            vec![],
        ),
        (
            "one is deleted",
            vec![blue(&["192.0.2.0/25"])],
            vec!["b: keeps 198.51.100.0@green: AddressOutsidePools, stays"],
        ),
    ] {
        world.pools(&pools);
        assert_eq!(world.settle(&asks), called, "{sentence}");
    }
}

#[test]
fn weakness_4_43_all_pools_deleted_clears_nothing() {
    let mut world = World::with(&[pool("blue", &["192.0.2.0/24"])]);
    let (ours, foreign) = (service("ours"), service("foreign"));
    world.ask(&ours);
    world.adopt(vec![foreign.found(&["203.0.113.99"])]);
    world.pools(&[]);
    world.settle(&[ours.clone(), foreign.clone()]);
    assert_eq!(
        world.ask(&ours),
        "keeps 192.0.2.0@blue: AddressOutsidePools, stays"
    );
    assert_eq!(
        world.ask(&foreign),
        "keeps 203.0.113.99@?: AddressOutsidePools, stays"
    );
}

#[test]
fn a_pool_knows_who_has_addresses_that_it_does_not_give_any_more() {
    let mut world = World::with(&[pool("blue", &["192.0.2.0/24"])]);
    world.ask(&service("a"));
    world.ask(&service("b"));
    assert!(world.allocator.strays(&"blue".into()).is_empty());
    world.pools(&[pool("blue", &["192.0.2.1-192.0.2.9"])]);
    let strays = world.allocator.strays(&"blue".into());
    let strays: Vec<_> = strays
        .into_iter()
        .map(|(service, addresses)| (service.to_string(), addresses))
        .collect();
    assert_eq!(strays, [("shop/a".to_owned(), vec![ip("192.0.2.0")])]);
}

#[test]
fn a_service_that_asks_to_be_moved_is_moved_once() {
    let mut world = World::with(&[pool("blue", &["192.0.2.0/24"])]);
    let web = service("web");
    assert_eq!(world.ask(&web), "192.0.2.0@blue");
    let move_it = web.clone().reallocate(true);
    // As often as it is asked: the annotation goes with the write of the status.
    assert_eq!(world.ask(&move_it), "192.0.2.1@blue");
    assert_eq!(world.ask(&move_it), "192.0.2.1@blue");
    assert_eq!(world.ask(&web), "192.0.2.1@blue");
    assert_eq!(
        world.ask(&move_it),
        "192.0.2.0@blue",
        "asked again, moved again"
    );
}

#[test]
fn a_service_that_asks_to_be_moved_leaves_an_address_that_is_no_longer_given() {
    let mut world = World::with(&[pool("blue", &["192.0.2.0/25"])]);
    let web = service("web");
    world.ask(&web);
    world.pools(&[pool("blue", &["192.0.2.128/25"])]);
    assert_eq!(
        world.ask(&web),
        "keeps 192.0.2.0@blue: AddressOutsidePools, stays"
    );
    assert_eq!(world.ask(&web.reallocate(true)), "192.0.2.128@blue");
}

#[test]
fn a_service_that_asks_to_be_moved_and_cannot_keeps_what_it_has_and_waits() {
    let mut world = World::with(&[pool("blue", &["192.0.2.0/31"])]);
    let web = service("web");
    world.ask(&web);
    world.ask(&service("other"));
    let move_it = web.reallocate(true);
    assert_eq!(world.ask(&move_it), "keeps 192.0.2.0@blue: Exhausted");
    world.release("other");
    assert_eq!(world.settle(&[move_it]), ["web: 192.0.2.1@blue"]);
}

#[test]
fn a_service_that_asks_to_be_moved_is_not_moved_to_less_than_it_has() {
    let mut world = World::with(&[pool("blue", &["192.0.2.0/32", "2001:db8::/126"])]);
    let web = service("web").families(PREFER_V4).reallocate(true);
    world.ask(&web.clone().reallocate(false));
    assert_eq!(
        world.ask(&web),
        "keeps 192.0.2.0@blue 2001:db8::@blue: Exhausted"
    );
    world.pools(&[pool("blue", &["192.0.2.0/31", "2001:db8::/126"])]);
    assert_eq!(
        world.settle(&[web]),
        ["web: 192.0.2.1@blue 2001:db8::1@blue"]
    );
}

#[test]
fn a_service_that_asks_to_be_moved_leaves_an_address_that_it_shares() {
    let mut world = World::with(&[pool("blue", &["192.0.2.0/24"])]);
    let a = service("a").port(80).key("k");
    let b = service("b").port(443).key("k");
    world.ask(&a);
    assert_eq!(world.ask(&b), "192.0.2.0@blue");
    assert_eq!(world.ask(&b.reallocate(true)), "192.0.2.1@blue");
    assert_eq!(world.ask(&a), "192.0.2.0@blue");
}

#[test]
fn a_service_that_was_moved_is_not_moved_again_for_a_wish_that_came_and_went() {
    let mut world = World::with(&[pool("blue", &["192.0.2.0/24"])]);
    let web = service("web").reallocate(true);
    world.ask(&service("web"));
    assert_eq!(world.ask(&web), "192.0.2.1@blue");
    assert_eq!(
        world.ask(&web.clone().from("red")),
        "keeps 192.0.2.1@blue: PoolNotFound"
    );
    assert_eq!(world.ask(&web), "192.0.2.1@blue");
}

#[test]
fn a_service_that_asks_for_the_address_it_has_is_not_moved() {
    let mut world = World::with(&[pool("blue", &["192.0.2.0/24"])]);
    let web = service("web").wants(&["192.0.2.7"]);
    world.ask(&web);
    assert_eq!(world.ask(&web.reallocate(true)), "192.0.2.7@blue");
}

#[test]
fn what_is_released_is_free_for_others() {
    let mut world = World::with(&[pool("blue", &["192.0.2.0/32"])]);
    world.ask(&service("a"));
    world.release("a");
    assert_eq!(world.ask(&service("b")), "192.0.2.0@blue");
    world.release("nobody");
}

#[test]
fn weakness_4_39_a_service_whose_ports_and_key_changed_is_released_in_full() {
    let mut world = World::with(&[pool("blue", &["192.0.2.0/32"])]);
    world.ask(&service("a").port(80).key("k"));
    world.ask(&service("b").port(443).key("k"));
    // The ports changed, and the release comes before anybody asked again.
    world.release("a");
    world.ask(&service("b").port(80).key("l"));
    world.release("b");
    assert_eq!(world.ask(&service("c").port(80)), "192.0.2.0@blue");
    assert_eq!(
        world.ask(&service("d").port(81).key("k")),
        "waits: Exhausted"
    );
}

#[test]
fn weakness_4_44_a_stale_read_moves_nothing() {
    let mut world = World::with(&[pool("blue", &["192.0.2.0/30"])]);
    world.ask(&service("a"));
    assert_eq!(world.ask(&service("b")), "192.0.2.1@blue");
    world.release("a");
    // Whatever the status says at this moment, the books know what b has.
    assert_eq!(world.adopt(vec![service("b").found(&[])]), [""; 0]);
    assert_eq!(world.ask(&service("b")), "192.0.2.1@blue");
}

#[test]
fn complaint_3_1_27_deleting_one_service_changes_no_other() {
    let mut world = World::with(&[pool("blue", &["192.0.2.0/28"])]);
    let asks: Vec<_> = (0..10).map(|n| service(&format!("web-{n}"))).collect();
    let before: Vec<String> = asks.iter().map(|ask| world.ask(ask)).collect();
    world.release("web-3");
    assert_eq!(world.turns(), [""; 0]);
    for (ask, before) in asks
        .iter()
        .zip(before)
        .filter(|(ask, _)| &*ask.0.service.name != "web-3")
    {
        assert_eq!(world.ask(ask), before);
    }
}
