//! Several Services on one address.

use crate::world::{REQUIRE_V4, V6, World, pinned, pool, service, to_namespace};

fn world() -> World {
    World::with(&[pool("blue", &["192.0.2.0/30", "2001:db8::/126"])])
}

#[test]
fn metallb_1_3_a_second_service_may_ask_for_the_address_of_the_first_if_everything_allows_it() {
    let first = || service("first").port(80).key("k").wants(&["192.0.2.1"]);
    let second = || service("second").port(443).key("k").wants(&["192.0.2.1"]);
    for (sentence, first, second, decided) in [
        (
            "same key, different ports",
            first(),
            second(),
            "192.0.2.1@blue",
        ),
        (
            "no key",
            first().key(""),
            second().key(""),
            "waits: AddressInUse",
        ),
        (
            "a key on one side",
            first(),
            second().key(""),
            "waits: AddressInUse",
        ),
        (
            "different keys",
            first(),
            second().key("l"),
            "waits: SharingKeyDiffers",
        ),
        (
            "the same port",
            first(),
            second().port(80),
            "waits: SharingPortConflict",
        ),
        (
            "Cluster and Local",
            first(),
            second().local("a"),
            "waits: SharingPolicyDiffers",
        ),
        (
            "both Local, same selector",
            first().local("a"),
            second().local("a"),
            "192.0.2.1@blue",
        ),
        (
            "both Local, different selectors",
            first().local("a"),
            second().local("b"),
            "waits: SharingSelectorDiffers",
        ),
        (
            "another namespace, same key",
            first(),
            second().in_namespace("lab"),
            "192.0.2.1@blue",
        ),
    ] {
        let mut world = world();
        assert_eq!(world.ask(&first), "192.0.2.1@blue");
        assert_eq!(world.ask(&second), decided, "{sentence}");
    }
}

#[test]
fn each_conflict_is_said_in_words() {
    let first = || service("first").port(80).key("k").wants(&["192.0.2.1"]);
    let second = || service("second").port(443).key("k").wants(&["192.0.2.1"]);
    for (second, sentence) in [
        (
            second().key("l"),
            "192.0.2.1 is in use by shop/first, which has another sharing key: give both the same \
             annotation bellwether.dev/allow-shared-ip",
        ),
        (
            second().port(80),
            "port 80/TCP of 192.0.2.1 is in use by shop/first: use another port or another address",
        ),
        (
            second().local("a"),
            "192.0.2.1 is shared with shop/first, which has another externalTrafficPolicy: give \
             both the same",
        ),
    ] {
        let mut world = world();
        world.ask(&first());
        let refused = world.decide(&second);
        assert_eq!(refused.refusal().expect("refused").to_string(), sentence);
    }
}

#[test]
fn metallb_1_3_without_a_wanted_address_services_with_one_key_meet_where_they_can() {
    let mut world = world();
    for (sentence, ask, decided) in [
        ("one without a key", service("other"), "192.0.2.0@blue"),
        (
            "the first with a key shares with none that has none",
            service("a").port(80).key("k"),
            "192.0.2.1@blue",
        ),
        (
            "the second with that key meets it",
            service("b").port(443).key("k"),
            "192.0.2.1@blue",
        ),
        (
            "the third wants a port of the second",
            service("c").port(443).key("k"),
            "192.0.2.2@blue",
        ),
        (
            "the fourth wants a port of the first, and meets the third",
            service("d").port(80).key("k"),
            "192.0.2.2@blue",
        ),
        (
            "one with another key meets nobody",
            service("e").port(81).key("l"),
            "192.0.2.3@blue",
        ),
    ] {
        assert_eq!(world.ask(&ask), decided, "{sentence}");
    }
}

#[test]
fn services_with_one_key_meet_in_both_families() {
    let mut world = world();
    let a = service("a").families(REQUIRE_V4).port(80).key("k");
    let b = service("b").families(REQUIRE_V4).port(443).key("k");
    assert_eq!(world.ask(&a), "192.0.2.0@blue 2001:db8::@blue");
    assert_eq!(world.ask(&b), "192.0.2.0@blue 2001:db8::@blue");
    let c = service("c").families(V6).port(81).key("k");
    assert_eq!(world.ask(&c), "2001:db8::@blue");
}

#[test]
fn services_with_one_key_meet_in_a_pool_that_is_tried_later() {
    let small = || pool("a-small", &["192.0.2.0/32"]);
    let large = || pool("b-large", &["198.51.100.0/30"]);
    let mut world = World::with(&[small(), large()]);
    world.ask(&service("other"));
    assert_eq!(
        world.ask(&service("a").port(80).key("k")),
        "198.51.100.0@b-large"
    );
    world.release("other");
    assert_eq!(
        world.ask(&service("b").port(443).key("k")),
        "198.51.100.0@b-large"
    );
}

#[test]
fn of_two_pools_to_share_in_the_one_that_is_tried_first_is_taken() {
    let pinned_pool = pinned(
        pool("b-mine", &["198.51.100.0/32"]),
        to_namespace("shop", 1),
    );
    let mut world = World::with(&[pool("a", &["192.0.2.0/32"]), pinned_pool]);
    assert_eq!(
        world.ask(&service("1").port(80).key("k").from("a")),
        "192.0.2.0@a"
    );
    assert_eq!(
        world.ask(&service("2").port(80).key("k")),
        "198.51.100.0@b-mine"
    );
    assert_eq!(
        world.ask(&service("3").port(443).key("k")),
        "198.51.100.0@b-mine"
    );
}

#[test]
fn a_full_pool_still_serves_those_who_can_share() {
    let mut world = World::with(&[pool("blue", &["192.0.2.0/32"])]);
    world.ask(&service("a").port(80).key("k"));
    assert_eq!(
        world.ask(&service("b").port(443).key("k")),
        "192.0.2.0@blue"
    );
    assert_eq!(
        world.ask(&service("c").port(443).key("k")),
        "waits: Exhausted"
    );
    assert_eq!(
        world.ask(&service("c").port(444).key("k")),
        "192.0.2.0@blue"
    );
}

#[test]
fn metallb_1_3_a_sole_user_changes_its_key_ports_and_policy_in_place() {
    let mut world = world();
    let web = service("web").port(80);
    for (sentence, ask) in [
        ("no key", web.clone()),
        ("a key", web.clone().key("k")),
        ("another key", web.clone().key("l")),
        ("policy Local", web.clone().key("l").local("a")),
        (
            "another selector and one more port",
            web.clone().key("l").local("b").port(443),
        ),
        ("all as it was", web.clone()),
    ] {
        assert_eq!(world.ask(&ask), "192.0.2.0@blue", "{sentence}");
    }
}

#[test]
fn metallb_1_3_who_changes_what_it_shared_under_leaves_and_the_others_stay() {
    let a = || service("a").port(80).key("k");
    let b = || service("b").port(443).key("k");
    for (sentence, changed) in [
        ("another key", b().key("l")),
        ("no key", b().key("")),
        ("a port of the other", b().port(80)),
        ("another policy", b().local("a")),
    ] {
        let mut world = world();
        world.ask(&a());
        assert_eq!(world.ask(&b()), "192.0.2.0@blue");
        assert_eq!(world.ask(&changed), "192.0.2.1@blue", "{sentence}");
        assert_eq!(world.ask(&a()), "192.0.2.0@blue", "{sentence}: the other");
    }
}

#[test]
fn who_may_no_longer_share_and_finds_no_other_address_waits() {
    let mut world = World::with(&[pool("blue", &["192.0.2.0/32"])]);
    let a = service("a").port(80).key("k");
    let b = service("b").port(443).key("k");
    world.ask(&a);
    world.ask(&b);
    let changed = b.clone().key("l");
    assert_eq!(world.ask(&changed), "waits: Exhausted");
    world.release("a");
    assert_eq!(world.settle(&[changed]), ["b: 192.0.2.0@blue"]);
}

#[test]
fn only_the_family_that_is_shared_wrongly_is_left() {
    let mut world = World::with(&[pool("blue", &["192.0.2.0/32", "2001:db8::/126"])]);
    world.ask(&service("a").port(80).key("k"));
    let b = service("b").families(REQUIRE_V4).port(443).key("k");
    assert_eq!(world.ask(&b), "192.0.2.0@blue 2001:db8::@blue");
    assert_eq!(world.ask(&b.port(80)), "keeps 2001:db8::@blue: Exhausted");
}

#[test]
fn an_address_is_free_when_the_last_user_has_left() {
    let mut world = World::with(&[pool("blue", &["192.0.2.0/32"])]);
    world.ask(&service("a").port(80).key("k"));
    world.ask(&service("b").port(443).key("k"));
    world.release("a");
    assert_eq!(world.ask(&service("c")), "waits: Exhausted");
    world.release("b");
    assert_eq!(world.settle(&[service("c")]), ["c: 192.0.2.0@blue"]);
}

#[test]
fn who_waits_to_share_is_called_when_it_can() {
    let mut world = World::with(&[pool("blue", &["192.0.2.0/32"])]);
    let a = service("a").port(80).port(443).key("k");
    let b = service("b").port(443).key("k");
    world.ask(&a);
    assert_eq!(world.ask(&b), "waits: Exhausted");
    let mut fewer = a;
    fewer.0.sharing.ports.retain(|port| port.number == 80);
    world.ask(&fewer);
    assert_eq!(world.settle(&[b]), ["b: 192.0.2.0@blue"]);
}

#[test]
fn who_waits_for_an_address_is_called_when_its_user_permits_sharing() {
    let mut world = World::with(&[pool("blue", &["192.0.2.0/32"])]);
    let a = service("a").port(80);
    let b = service("b").port(443).key("k").wants(&["192.0.2.0"]);
    world.ask(&a);
    assert_eq!(world.ask(&b), "waits: AddressInUse");
    world.ask(&a.key("k"));
    assert_eq!(world.settle(&[b]), ["b: 192.0.2.0@blue"]);
}
