//! What the status of an Announcement says of who announces its address.

use std::cmp::Ordering;

use super::*;

#[test]
fn an_address_that_is_owned_is_reported_once() {
    let mut world = World::at_rest();
    world.tell(own(ADDRESS, 3));
    assert_eq!(world.settle(), 1);
    let status = world.status(ADDRESS);
    assert_eq!(status.node.as_deref(), Some("a"));
    assert_eq!(status.interfaces[0].name, "eth0");
    assert_eq!(status.interfaces[0].mac, "02:00:00:00:00:0a");
    assert_eq!(status.term, Some(3));
    assert_eq!(status.previous_node.as_deref(), Some("b"));
    assert_eq!(status.takeover_milliseconds, Some(212));
    assert_eq!(status.reason.as_deref(), Some("Unclaimed"));
    assert!(status.since.is_some());
    assert_eq!(
        world.condition(ADDRESS, "Announced"),
        Some(("True", "Unclaimed", "a announces it on eth0"))
    );
    assert_eq!(world.pass(Duration::from_hours(1)), 0);
}

#[test]
fn what_keeps_an_address_from_being_announced_is_said() {
    let named = Owned {
        interfaces: Interfaces::Named(["eth7".into()].into()),
        ..owned(ADDRESS, 1)
    };
    let rows: [(&str, Input, Owned, &str, &str); 5] = [
        (
            "no link at all",
            links([]),
            owned(ADDRESS, 1),
            "NoLink",
            "a has no link that can carry announcements: see --exclude-interfaces of its speaker",
        ),
        (
            "none of those that are named",
            links([link("eth0")]),
            named,
            "NoLink",
            "a has none of the links eth7: name one that kubectl get speaker a shows in the \
             interfaces of the L2Advertisement",
        ),
        (
            "no carrier",
            links([Link {
                carrier: false,
                ..link("eth0")
            }]),
            owned(ADDRESS, 1),
            "NoCarrier",
            "the link eth0 of a has no carrier: check its cable and switch port",
        ),
        (
            "N10: no link-local address",
            links([Link {
                link_local: None,
                ..link("eth0")
            }]),
            owned(ADDRESS6, 1),
            "NoLinkLocalAddress",
            "the link eth0 of a has no usable IPv6 link-local address to announce from: enable \
             IPv6 on it",
        ),
        (
            "no socket",
            Input::Report(Report::Closed(
                [("eth0".into(), "Operation not permitted".to_owned())].into(),
            )),
            owned(ADDRESS, 1),
            "CannotListen",
            "a cannot listen on its link eth0: Operation not permitted",
        ),
    ];
    for (what, around, owned, reason, message) in rows {
        let mut world = World::at_rest();
        let address = owned.address;
        world.tell(around);
        world.tell(Input::Report(Report::Own(owned)));
        world.pass(Duration::from_secs(5));
        let found = world.condition(address, "Announced");
        assert_eq!(found, Some(("False", reason, message)), "{what}");
        let status = world.status(address);
        assert_eq!((&status.node, status.term), (&None, Some(1)), "{what}");
        // It is put right as soon as it can be.
        world.tell(links([link("eth0"), link("eth7")]));
        world.tell(Input::Report(Report::Closed(BTreeMap::new())));
        world.pass(Duration::from_secs(5));
        assert_eq!(world.status(address).node.as_deref(), Some("a"), "{what}");
    }
}

#[test]
fn complaint_3_1_24_the_node_that_takes_over_says_so_with_one_write() {
    let mut world = World::at_rest();
    world.tell(own(ADDRESS, 3));
    world.settle();
    world.tell(release(ADDRESS, ReleaseReason::Outclaimed));
    assert_eq!(world.pass(Duration::from_secs(4)), 0);
    world.set(ADDRESS, by("b", 4));
    assert_eq!(world.pass(Duration::from_mins(10)), 0);
    assert_eq!(world.status(ADDRESS), &by("b", 4));
}

#[test]
fn if_nobody_takes_over_the_status_is_cleared() {
    let mut world = World::at_rest();
    world.tell(own(ADDRESS, 3));
    world.settle();
    world.tell(release(ADDRESS, ReleaseReason::NoCandidate));
    assert_eq!(world.pass(Duration::from_secs(6)), 1);
    let status = world.status(ADDRESS);
    assert_eq!((&status.node, status.term), (&None, Some(3)));
    assert_eq!(status.previous_node.as_deref(), Some("a"));
    assert_eq!(
        world.condition(ADDRESS, "Announced"),
        Some((
            "False",
            "NoCandidate",
            "a may not announce it any more, and no other node announces it yet"
        ))
    );
    assert_eq!(world.pass(Duration::from_hours(1)), 0);
}

#[test]
fn a_status_is_cleared_only_if_it_is_still_the_one_that_was_read() {
    let mut world = World::at_rest();
    world.tell(own(ADDRESS, 3));
    world.settle();
    let version = world.version.to_string();
    world.tell(release(ADDRESS, ReleaseReason::Stopping));
    world.now += 2_000;
    world.reporter.on_deadline(world.now().moment);
    let write = world.next().expect("a write");
    assert!(matches!(
        &write,
        Write::Announcement { resource_version: Some(found), .. } if *found == version
    ));
    // Another node has been faster.
    world.error = Some(CallError::Conflict("changed".into()));
    world.answer(&write);
    world.error = None;
    world.set(ADDRESS, by("b", 4));
    assert_eq!(world.pass(Duration::from_mins(10)), 0);
}

/// It was another node's before this one was restarted.
#[test]
fn complaint_3_1_25_a_status_that_names_this_node_wrongly_is_cleared() {
    let mut world = World::at_rest();
    world.set(ADDRESS, by("a", 3));
    assert_eq!(world.pass(Duration::from_secs(4)), 0);
    assert_eq!(world.pass(Duration::from_secs(2)), 1);
    assert_eq!(world.status(ADDRESS).node, None);
    let said = world.condition(ADDRESS, "Announced").expect("a condition");
    assert_eq!((said.0, said.1), ("False", "NotAnnounced"));
}

#[test]
fn why_an_address_is_not_announced_is_said_in_words_of_its_own() {
    for (reason, words) in [
        (
            ReleaseReason::LinkDown,
            "no link of a that it is for is usable, and",
        ),
        (ReleaseReason::Deaf, "a hears nothing on its links, and"),
        (
            ReleaseReason::Outclaimed,
            "a does not announce it any more, and",
        ),
    ] {
        let mut world = World::at_rest();
        world.tell(own(ADDRESS, 3));
        world.settle();
        world.tell(release(ADDRESS, reason));
        world.pass(Duration::from_secs(6));
        let (_, said, message) = world.condition(ADDRESS, "Announced").expect("a condition");
        assert_eq!(said, reason.to_string());
        assert!(message.starts_with(words), "{message}");
    }
}

#[test]
fn nothing_is_cleared_before_the_node_could_own_it() {
    let mut world = World::at_rest();
    world.reporter.assigned = false;
    world.set(ADDRESS, by("a", 3));
    assert_eq!(world.pass(Duration::from_mins(1)), 0);
    world.tell(Input::Assigned);
    world.tell(own(ADDRESS, 3));
    world.settle();
    assert_eq!(world.status(ADDRESS).node.as_deref(), Some("a"));
}

#[test]
fn a_later_claim_is_not_written_over_and_an_earlier_one_is() {
    let weight = |node: &str| rendezvous_weight(&node.into(), ADDRESS);
    let find = |wanted| {
        let mut others = (0..100).map(|number| format!("node-{number}"));
        let found = others.find(|node| weight(node).cmp(&weight("a")) == wanted);
        found.expect("one of many")
    };
    let (lesser, greater) = (find(Ordering::Less), find(Ordering::Greater));
    for (what, theirs, ours, written) in [
        ("later", by("b", 5), 4, false),
        ("earlier", by("b", 3), 4, true),
        (
            "as late, by a node with a greater weight",
            by(&greater, 4),
            4,
            false,
        ),
        (
            "as late, by a node with a lesser weight",
            by(&lesser, 4),
            4,
            true,
        ),
        (
            "later, by a node that may not announce",
            by("d", 5),
            4,
            true,
        ),
    ] {
        let mut world = World::at_rest();
        for node in [&lesser, &greater] {
            world.set_eligible(node, true);
        }
        world.set(ADDRESS, theirs);
        world.tell(own(ADDRESS, ours));
        assert_eq!(world.pass(Duration::from_mins(1)) > 0, written, "{what}");
    }
}

/// It claimed the address while this node could not hear it, said so, and died.
#[test]
fn the_claim_of_a_node_that_has_died_is_written_over_when_it_may_not_announce_any_more() {
    type End = fn(&mut World);
    let ends: [(&str, End); 3] = [
        ("not eligible", |world| world.set_eligible("b", false)),
        ("deleted", |world| {
            let name = "b".to_owned();
            let namespace = String::new();
            let key = Key { namespace, name };
            world.tell(Input::Speaker(Event::Deleted(key)));
        }),
        ("not listed", |world| {
            let own = speaker("a", true, world.speaker.clone());
            world.tell(Input::Speaker(Event::Listed {
                objects: vec![own],
                undecodable: Vec::new(),
            }));
        }),
    ];
    for (what, end) in ends {
        let mut world = World::at_rest();
        world.tell(own(ADDRESS, 4));
        world.settle();
        world.set(ADDRESS, by("b", 5));
        assert_eq!(world.pass(Duration::from_mins(1)), 0, "{what}");
        end(&mut world);
        world.pass(Duration::from_secs(2));
        let status = world.status(ADDRESS);
        assert_eq!(
            (status.node.as_deref(), status.term),
            (Some("a"), Some(4)),
            "{what}"
        );
        assert_eq!(world.pass(Duration::from_mins(10)), 0, "{what}");
    }
}

/// The network is split, and both reach the API server: each keeps what it cannot hand over.
#[test]
fn of_two_that_announce_only_one_writes_whoever_of_them_may() {
    for (we_may, they_may) in [(true, true), (true, false), (false, true), (false, false)] {
        for (ours, theirs) in [(4, 5), (5, 4)] {
            let mut world = World::at_rest();
            world.set_eligible("a", we_may);
            world.set_eligible("b", they_may);
            world.tell(own(ADDRESS, ours));
            world.set(ADDRESS, by("b", i64::try_from(theirs).expect("small")));
            let we_write = world.pass(Duration::from_mins(1)) > 0;
            // What the other one does in our place.
            let mut world = World::at_rest();
            world.set_eligible("a", they_may);
            world.set_eligible("b", we_may);
            world.tell(own(ADDRESS, theirs));
            world.set(ADDRESS, by("b", i64::try_from(ours).expect("small")));
            let they_write = world.pass(Duration::from_mins(1)) > 0;
            let case = format!("{we_may}/{ours} and {they_may}/{theirs}");
            assert!(we_write != they_write, "{case}");
        }
    }
}

#[test]
fn at_the_end_everything_is_taken_back() {
    let mut world = World::at_rest();
    world.tell(own(ADDRESS, 3));
    world.tell(own(OTHER, 1));
    world.settle();
    world.now += 10_000;
    world.tell(release(ADDRESS, ReleaseReason::Stopping));
    // The report about the other was dropped.
    world.tell(Input::Ended);
    assert_eq!(world.settle(), 3);
    assert!(world.reporter.is_done());
    for address in [ADDRESS, OTHER] {
        let said = world.condition(address, "Announced");
        assert_eq!(
            said,
            Some((
                "False",
                "Stopping",
                "the speaker of a has stopped, and no other node announces it yet"
            ))
        );
    }
    let speaker = world.speaker.expect("a Speaker");
    assert_eq!(speaker.conditions[0].reason, "Stopping");
}

#[test]
fn an_announcement_that_is_gone_is_not_written() {
    let mut world = World::at_rest();
    world.tell(own(ADDRESS, 3));
    world.tell(Input::Announcement(Event::Deleted(key(ADDRESS))));
    assert_eq!(world.pass(Duration::from_mins(1)), 0);
    // Nor one that goes while it is being written.
    world.tell(own(OTHER, 3));
    world.error = Some(CallError::NotFound("gone".into()));
    assert_eq!(world.settle(), 1);
    assert_eq!(world.pass(Duration::from_mins(1)), 0);
}
