//! Which nodes may announce.

use std::sync::Arc;

use bellwether_crds::label::EXCLUDE_FROM_LOAD_BALANCERS;
use bellwether_daemon::watch::{Event, Key};

use super::world::World;
use crate::state::Input;

fn world_of(nodes: &[&str]) -> World {
    let mut world = World::new();
    for node in nodes {
        world.node(node);
    }
    world.settle();
    world
}

fn ready_world() -> World {
    world_of(&["a", "b"])
}

fn lose(world: &mut World, node: &str) {
    world.change_node(node, |facts| facts.is_ready = false);
}

#[test]
fn weakness_4_28_what_makes_a_node_ineligible() {
    type Change = fn(&mut crate::facts::NodeFacts);
    let rows: [(&str, Change, Option<&str>); 5] = [
        ("it is ready", |_| {}, None),
        (
            "it is not ready",
            |node| node.is_ready = false,
            Some("NotReady"),
        ),
        (
            "its network is unavailable",
            |node| node.network_unavailable = true,
            Some("NetworkUnavailable"),
        ),
        (
            "it is cordoned",
            |node| node.is_cordoned = true,
            Some("Cordoned"),
        ),
        (
            "it is excluded",
            |node| {
                let label = (EXCLUDE_FROM_LOAD_BALANCERS.to_owned(), String::new());
                node.labels = Arc::new([label].into_iter().collect());
            },
            Some("Excluded"),
        ),
    ];
    for (sentence, change, reason) in rows {
        let mut world = ready_world();
        world.change_node("a", change);
        world.settle();
        assert_eq!(
            world.reason_of_speaker("a").as_deref(),
            reason,
            "{sentence}"
        );
        assert_eq!(
            world.reason_of_speaker("b"),
            None,
            "{sentence}: the other node"
        );
    }
}

#[test]
fn when_no_node_is_ready_the_control_plane_has_lost_sight_and_nothing_is_withdrawn() {
    let mut world = ready_world();
    world.change_node("a", |node| node.is_ready = false);
    world.change_node("b", |node| node.is_ready = false);
    world.settle();
    for node in ["a", "b"] {
        assert_eq!(world.reason_of_speaker(node), None, "{node}");
    }
}

#[test]
fn a_node_that_is_not_ready_for_a_moment_loses_nothing() {
    let mut world = world_of(&["a", "b", "c"]);
    lose(&mut world, "a");
    assert_eq!(world.settle_for(15), [""; 0]);
    world.change_node("a", |node| node.is_ready = true);
    assert_eq!(world.settle_for(3600), [""; 0]);
}

#[test]
fn a_node_that_stays_not_ready_is_out_and_comes_back_at_once() {
    let mut world = world_of(&["a", "b", "c"]);
    lose(&mut world, "a");
    world.settle_for(25);
    assert_eq!(world.reason_of_speaker("a").as_deref(), Some("NotReady"));
    // A restart changes nothing of it.
    world.restart();
    assert_eq!(world.settle_for(3600), [""; 0]);
    world.change_node("a", |node| node.is_ready = true);
    world.settle_for(1);
    assert_eq!(world.reason_of_speaker("a"), None);
}

#[test]
fn a_restart_while_a_node_is_not_ready_gives_it_the_same_grace() {
    let mut world = world_of(&["a", "b", "c"]);
    lose(&mut world, "a");
    world.restart();
    assert_eq!(world.settle_for(15), [""; 0]);
    world.settle_for(10);
    assert_eq!(world.reason_of_speaker("a").as_deref(), Some("NotReady"));
}

#[test]
fn a_control_plane_that_loses_sight_of_one_node_after_the_other_withdraws_nothing() {
    let names = ["a", "b", "c", "d", "e"];
    let mut world = world_of(&names);
    for name in names {
        lose(&mut world, name);
        assert_eq!(world.settle_for(3), [""; 0], "{name}");
    }
    assert_eq!(world.settle_for(3600), [""; 0]);
    // Nor when it sees them again.
    for name in names {
        world.change_node(name, |node| node.is_ready = true);
        assert_eq!(world.settle_for(3), [""; 0], "{name}");
    }
}

#[test]
fn complaint_3_1_11_a_cordoned_node_may_announce_if_the_operator_says_so() {
    let mut world = ready_world();
    world.settings.cordoned_may_announce = true;
    world.restart();
    world.change_node("a", |node| node.is_cordoned = true);
    world.settle();
    assert_eq!(world.reason_of_speaker("a"), None);
}

#[test]
fn a_node_that_is_not_on_the_network_of_the_address_does_not_count_if_another_is() {
    let mut world = ready_world();
    world.pool("lan", &["192.0.2.0/29"]);
    world.advertise("lan");
    world.service("web");
    world.settle();
    world.announce_all("a");
    world.settle();
    assert_eq!(world.conditions("web")[1], "Announced");
    world.link("a", "198.51.100.0/24");
    world.settle();
    assert_eq!(world.conditions("web")[1], "Announced", "no node is on it");
    world.link("b", "192.0.2.0/24");
    world.settle();
    assert_eq!(world.conditions("web")[1], "WaitingForSpeaker");
    world.announce_all("b");
    world.settle();
    assert_eq!(world.conditions("web")[1], "Announced");
}

fn delete_node(world: &mut World, name: &str) {
    world.server.borrow_mut().nodes.remove(name);
    let key = Key {
        namespace: String::new(),
        name: name.to_owned(),
    };
    world.handle(Input::Node(Event::Deleted(key)));
}

/// With MetalLB without its member list a dead node keeps its addresses.
/// What happens to a cluster.
type Happening = fn(&mut World);

#[test]
fn complaint_3_1_7_the_word_of_a_dead_node_does_not_count() {
    let rows: [(&str, Happening); 3] = [
        ("it is not ready for long", |world| {
            lose(world, "a");
            world.settle_for(25);
        }),
        ("its Node is deleted", |world| delete_node(world, "a")),
        ("its Node is deleted while no controller runs", |world| {
            world.server.borrow_mut().nodes.remove("a");
            world.restart();
        }),
    ];
    for (sentence, dies) in rows {
        let mut world = world_of(&["a", "b", "c"]);
        world.pool("lan", &["192.0.2.0/29"]);
        world.advertise("lan");
        world.service("web");
        world.settle();
        world.announce_all("a");
        world.settle();
        assert_eq!(world.conditions("web")[1], "Announced", "{sentence}");
        dies(&mut world);
        world.settle();
        let reason = &world.conditions("web")[1];
        assert_eq!(reason, "WaitingForSpeaker", "{sentence}");
        world.announce_all("b");
        world.settle();
        assert_eq!(world.conditions("web")[1], "Announced", "{sentence}");
    }
}
