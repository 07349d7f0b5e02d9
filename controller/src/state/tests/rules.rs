//! The rules of placement and of what conditions say, a test each.

use std::sync::Arc;

use bellwether_core::sharing::{Backend, Port, Protocol, SharingKey, SharingTerms};
use bellwether_crds::annotation::Contradiction;

use super::world::{World, named};
use crate::facts::Reallocation;
use crate::reason::Problem;

fn ready_world() -> World {
    let mut world = World::new();
    world.pool("lan", &["192.0.2.0/29"]);
    world.advertise("lan");
    for node in ["a", "b"] {
        world.node(node);
    }
    world.settle();
    world
}

#[test]
fn a_named_pool_that_does_not_exist_is_said_and_heals() {
    let mut world = ready_world();
    let wish = |pool: &'static str| {
        move |service: &mut crate::facts::ServiceFacts| {
            if let Ok(wish) = &mut service.wish {
                wish.pool = Some(pool.into());
            }
        }
    };
    world.change_service("web", wish("blue"));
    world.settle();
    assert_eq!(world.conditions("web"), ["PoolNotFound", "NoAddress"]);
    world.pool("blue", &["198.51.100.0/24"]);
    world.settle();
    assert_eq!(world.conditions("web")[0], "Allocated");
    // Another that does not exist: the address stays, and the condition says what is wrong.
    let before = world.addresses();
    world.change_service("web", wish("green"));
    world.settle();
    assert_eq!(world.conditions("web")[0], "PoolNotFound");
    assert_eq!(world.addresses(), before);
}

#[test]
fn a_service_that_needs_no_address_any_more_is_tidied_up() {
    let mut world = ready_world();
    world.service("web");
    world.settle();
    world.change_service("web", |service| {
        service.is_load_balancer = false;
        // The API server clears the addresses when the type changes.
        service.ingress.clear();
    });
    world.settle();
    assert!(world.conditions("web").is_empty());
    assert!(world.announced_addresses().is_empty());
}

#[test]
fn a_service_of_another_class_is_left_alone() {
    let mut world = ready_world();
    world.change_service("web", |service| {
        service.class = Some("other.example/lb".to_owned());
    });
    assert_eq!(world.settle(), [""; 0]);
}

#[test]
fn a_status_edited_by_hand_is_put_right() {
    let mut world = ready_world();
    world.service("web");
    world.settle();
    let before = world.addresses();
    world.change_service("web", |service| service.ingress.clear());
    world.settle();
    assert_eq!(world.addresses(), before);
    world.change_service("web", |service| service.ingress_is_foreign = true);
    world.settle();
    assert!(!world.server.borrow().services[&named("web")].ingress_is_foreign);
}

#[test]
fn without_an_advertisement_the_condition_says_so() {
    let mut world = World::new();
    world.pool("lan", &["192.0.2.0/29"]);
    world.node("a");
    world.service("web");
    world.settle();
    assert_eq!(world.conditions("web"), ["Allocated", "NoAdvertisement"]);
    world.advertise("lan");
    world.settle();
    assert_eq!(world.conditions("web"), ["Allocated", "WaitingForSpeaker"]);
}

#[test]
fn with_policy_local_only_nodes_with_a_ready_endpoint_may_announce() {
    let mut world = ready_world();
    world.change_service("web", |service| {
        service.backend = Backend::Local {
            selector: Arc::default(),
        };
    });
    world.settle();
    assert_eq!(world.conditions("web"), ["Allocated", "NoReadyEndpoint"]);
    world.endpoints("web", &["b"]);
    world.settle();
    let only = |world: &World| {
        let server = world.server.borrow();
        let announcement = server
            .announcements
            .values()
            .next()
            .expect("an Announcement");
        announcement.spec.only_nodes.clone()
    };
    assert_eq!(only(&world), Some(vec!["b".to_owned()]));
    world.endpoints("web", &["a", "b"]);
    world.settle();
    assert_eq!(only(&world), Some(vec!["a".to_owned(), "b".to_owned()]));
}

#[test]
fn the_word_of_a_node_that_may_not_announce_any_more_does_not_count() {
    let mut world = ready_world();
    world.service("web");
    world.settle();
    world.announce_all("a");
    world.settle();
    assert_eq!(world.conditions("web"), ["Allocated", "Announced"]);
    world.change_node("a", |node| node.is_ready = false);
    world.settle();
    assert_eq!(world.conditions("web"), ["Allocated", "WaitingForSpeaker"]);
    world.announce_all("b");
    world.settle();
    assert_eq!(world.conditions("web"), ["Allocated", "Announced"]);
}

#[test]
fn a_service_that_asks_to_be_moved_is_moved_once_and_then_the_annotation_goes() {
    let mut world = ready_world();
    world.service("web");
    world.settle();
    world.announce_all("a");
    world.settle();
    let before = world.addresses()["web"].clone();
    world.change_service("web", |service| service.reallocation = Reallocation::Asked);
    let written = world.settle();
    let after = world.addresses()["web"].clone();
    assert_eq!(after.len(), 1);
    assert_ne!(after, before);
    assert_eq!(world.announced_addresses(), after, "the old one is free");
    assert!(!world.asks_to_be_moved("web"));
    // Not before the Service shows where it was moved to.
    let position = |what: &str| written.iter().position(|line| line.starts_with(what));
    assert!(position("ServiceStatus") < position("RemoveReallocate"));

    // A second time it is moved again.
    world.change_service("web", |service| service.reallocation = Reallocation::Asked);
    world.settle();
    assert_ne!(world.addresses()["web"], after);
    assert!(!world.asks_to_be_moved("web"));
}

#[test]
fn a_service_is_not_moved_twice_if_the_controller_ends_before_the_annotation_is_gone() {
    let mut world = ready_world();
    world.service("web");
    world.settle();
    let before = world.addresses()["web"].clone();
    world.change_service("web", |service| service.reallocation = Reallocation::Asked);
    world.settle_until("ServiceStatus");
    let moved = world.addresses()["web"].clone();
    assert_ne!(moved, before);
    assert!(
        world.asks_to_be_moved("web"),
        "the annotation is still there"
    );
    world.restart();
    world.settle();
    assert_eq!(world.addresses()["web"], moved);
    assert!(!world.asks_to_be_moved("web"));
}

#[test]
fn a_service_that_cannot_be_moved_yet_keeps_its_address_and_the_annotation() {
    let mut world = World::new();
    world.pool("lan", &["192.0.2.1-192.0.2.1"]);
    world.advertise("lan");
    world.node("a");
    world.service("web");
    world.settle();
    let before = world.addresses();
    world.change_service("web", |service| service.reallocation = Reallocation::Asked);
    world.settle();
    assert_eq!(world.addresses(), before);
    assert_eq!(world.conditions("web")[0], "Exhausted");
    assert!(world.asks_to_be_moved("web"));
    world.pool("more", &["198.51.100.0/30"]);
    world.settle();
    assert_ne!(world.addresses(), before);
    assert_eq!(world.conditions("web")[0], "Allocated");
    assert!(!world.asks_to_be_moved("web"));
}

#[test]
fn a_service_that_has_the_addresses_it_names_is_where_it_wants_to_be() {
    let mut world = ready_world();
    world.change_service("web", |service| {
        service.reallocation = Reallocation::Asked;
        if let Ok(wish) = &mut service.wish {
            wish.addresses = vec![[192, 0, 2, 3].into()];
        }
    });
    world.settle();
    assert_eq!(
        world.addresses()["web"],
        [std::net::IpAddr::from([192, 0, 2, 3])]
    );
    assert!(!world.asks_to_be_moved("web"));
}

#[test]
fn an_advertisement_counts_the_addresses_that_it_serves() {
    let mut world = ready_world();
    for (name, count) in [("web", 1), ("mail", 2)] {
        world.service(name);
        world.settle();
        assert_eq!(world.served("lan"), count);
    }
    world.delete_service("web");
    world.settle();
    assert_eq!(world.served("lan"), 1);
}

#[test]
fn whose_wish_became_unreadable_still_shares_its_address_after_a_restart() {
    let mut world = ready_world();
    let shared = |port: u16| {
        move |service: &mut crate::facts::ServiceFacts| {
            service.sharing = SharingTerms {
                key: SharingKey::new("web"),
                ports: [Port {
                    protocol: Protocol::Tcp,
                    number: port,
                }]
                .into(),
                backend: Backend::Cluster,
            };
            if let Ok(wish) = &mut service.wish {
                wish.addresses = vec![[192, 0, 2, 3].into()];
            }
        }
    };
    world.change_service("a", shared(80));
    world.change_service("b", shared(443));
    world.settle();
    let before = world.addresses();
    assert_eq!(before["a"], before["b"]);
    let contradiction = Problem::Contradiction(Contradiction {
        first: "bellwether.dev/allow-shared-ip",
        second: "metallb.io/allow-shared-ip",
    });
    world.change_service("b", |service| {
        service.wish = Err(contradiction);
        service.sharing.key = None;
    });
    world.settle();
    assert_eq!(world.addresses(), before);
    world.restart();
    world.settle();
    assert_eq!(world.addresses(), before, "a restart has moved an address");
    assert_eq!(world.conditions("b")[0], "ContradictingAnnotations");
}

#[test]
fn metallb_1_2_the_class_decides_whose_the_service_is() {
    for (sentence, ours, is_default, class, served) in [
        ("no class, and none is served", None, false, None, true),
        (
            "a class, and none is served",
            None,
            false,
            Some("lb"),
            false,
        ),
        (
            "the class that is served",
            Some("lb"),
            false,
            Some("lb"),
            true,
        ),
        (
            "another class than the one that is served",
            Some("lb"),
            false,
            Some("other"),
            false,
        ),
        (
            "no class, and one is served",
            Some("lb"),
            false,
            None,
            false,
        ),
        (
            "no class, and the default one is served",
            Some("lb"),
            true,
            None,
            true,
        ),
        (
            "another class than the default one",
            Some("lb"),
            true,
            Some("other"),
            false,
        ),
    ] {
        let mut world = ready_world();
        world.settings.class = ours.map(str::to_owned);
        world.settings.is_default_class = is_default;
        world.restart();
        world.change_service("web", |service| service.class = class.map(str::to_owned));
        world.settle();
        assert_eq!(!world.addresses()["web"].is_empty(), served, "{sentence}");
    }
}

/// The API server clears the class when the type changes: the address must be freed all the same.
#[test]
fn weakness_4_41_a_class_that_is_cleared_with_the_type_frees_the_address() {
    let mut world = ready_world();
    world.settings.class = Some("lb".to_owned());
    world.restart();
    world.change_service("web", |service| service.class = Some("lb".to_owned()));
    world.settle();
    assert_eq!(world.announced_addresses().len(), 1);
    world.change_service("web", |service| {
        service.is_load_balancer = false;
        service.class = None;
        service.ingress.clear();
    });
    world.settle();
    assert!(world.announced_addresses().is_empty());
    assert!(world.conditions("web").is_empty());
}

#[test]
fn what_services_have_is_adopted_whichever_kind_is_listed_last() {
    let mut world = World::new();
    world.pool("lan", &["192.0.2.9/32"]);
    world.advertise("lan");
    world.node("a");
    world.service("web");
    world.settle();
    // To one who had nothing now, another address would be given.
    world.pool("lan", &["192.0.2.0/24"]);
    world.settle();
    let before = world.addresses();
    for last in 0..8 {
        world.restart_and_hear_last(last);
        let written = world.settle();
        assert_eq!(world.addresses(), before, "{last}: {written:?}");
        assert_eq!(written, Vec::<String>::new(), "{last}");
    }
}
