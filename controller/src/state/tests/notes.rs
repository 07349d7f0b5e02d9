//! What a Service's events say of addresses that have moved, or that another host uses.

use k8s_openapi::jiff::Timestamp;

use super::world::World;
use crate::facts::ClaimFacts;

fn claim(term: i64, previous: Option<&str>, reason: &str, takeover: Option<i64>) -> ClaimFacts {
    ClaimFacts {
        term: Some(term),
        since: None,
        previous: previous.map(Into::into),
        reason: Some(reason.to_owned()),
        takeover,
    }
}

/// A Service whose address node `a` announces with term 1.
fn announced() -> World {
    let mut world = World::new();
    world.pool("main", &["192.0.2.10-192.0.2.10"]);
    world.advertise("all");
    world.node("a");
    world.node("b");
    world.service("web");
    world.settle();
    world.claim_all("a", &claim(1, None, "Unclaimed", None));
    world.settle();
    world.events.clear();
    world
}

#[test]
fn each_move_is_told_once_with_its_reason() {
    for (reason, takeover, why) in [
        ("HandedOver", Some(0), "a has handed it over, without a gap"),
        (
            "OwnerSilent",
            Some(212),
            "the speaker of a had been silent for 212 ms",
        ),
        ("OwnerDeaf", None, "a hears nothing on its links"),
        ("OwnerReleased", None, "a has released it"),
        ("Unclaimed", None, "nobody announced it after a"),
    ] {
        let mut world = announced();
        world.claim_all("b", &claim(2, Some("a"), reason, takeover));
        world.settle();
        let told = format!("192.0.2.10 has moved from a to b: {why}");
        assert_eq!(world.events, [told], "{reason}");
        world.list_everything();
        world.settle();
        assert_eq!(world.events.len(), 1, "a list says nothing new");
    }
}

#[test]
fn what_is_no_move_is_not_told() {
    let mut world = announced();
    world.claim_all("a", &claim(1, None, "Unclaimed", None));
    world.claim_all("a", &claim(2, Some("a"), "OwnerReleased", None));
    world.settle();
    assert_eq!(world.events, Vec::<String>::new());
    world.restart();
    world.list_everything();
    world.settle();
    assert_eq!(world.events, Vec::<String>::new());
}

/// The node that the leader ran on has crashed: another replica leads when the Lease has run out.
#[test]
fn a_move_while_nobody_led_is_told_by_who_leads_next() {
    let at = |second| Timestamp::from_second(second).expect("in range");
    for (since, told) in [(at(99), 0), (at(101), 1)] {
        let mut world = announced();
        let moved = ClaimFacts {
            since: Some(since),
            ..claim(2, Some("a"), "OwnerSilent", Some(212))
        };
        world.claim_all("b", &moved);
        // The leader has ended before it has told anybody.
        world.restart_unled_since(Some(at(100)));
        world.settle();
        assert_eq!(world.events.len(), told, "{:?}", world.events);
        world.list_everything();
        world.settle();
        assert_eq!(world.events.len(), told, "a list says nothing new");
    }
}

/// A network that is split has an announcer on either side. They may claim an address in one term.
#[test]
fn of_two_claims_in_one_term_the_one_that_stays_is_told_too() {
    let mut world = announced();
    world.claim_all("b", &claim(2, Some("a"), "OwnerSilent", Some(212)));
    world.claim_all("c", &claim(2, Some("a"), "OwnerSilent", Some(230)));
    world.settle();
    assert_eq!(
        world.events,
        [
            "192.0.2.10 has moved from a to b: the speaker of a had been silent for 212 ms",
            "192.0.2.10 has moved from a to c: the speaker of a had been silent for 230 ms"
        ]
    );
}

#[test]
fn of_many_moves_the_last_are_told() {
    let mut world = announced();
    for term in 2..40 {
        let (node, before) = if term % 2 == 0 {
            ("b", "a")
        } else {
            ("a", "b")
        };
        world.claim_all(node, &claim(term, Some(before), "OwnerReleased", None));
    }
    world.settle();
    assert_eq!(world.events.len(), 16);
}

#[test]
fn a_stranger_is_told_of_once_and_so_is_the_next() {
    let mut world = announced();
    let mut say = |said: Option<&str>| {
        world.dispute_all("a", said);
        world.settle();
        std::mem::take(&mut world.events)
    };
    assert_eq!(say(Some("02::ee uses it")), ["192.0.2.10: 02::ee uses it"]);
    assert_eq!(say(Some("02::ee uses it")), Vec::<String>::new());
    assert_eq!(say(Some("02::ff uses it")), ["192.0.2.10: 02::ff uses it"]);
    assert_eq!(say(None), Vec::<String>::new());
    assert_eq!(say(Some("02::ff uses it")), ["192.0.2.10: 02::ff uses it"]);
    world.restart();
    world.list_everything();
    world.settle();
    assert_eq!(world.events, Vec::<String>::new());
}
