//! What an advertisement covers: which pools, which nodes, whose addresses.

use std::collections::BTreeMap;
use std::sync::Arc;

use bellwether_core::labels::Labels;
use bellwether_core::sharing::{Port, Protocol, SharingKey};
use bellwether_crds::l2advertisement::{L2AdvertisementSpec, PreferredNodes};
use bellwether_daemon::watch::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::world::World;
use crate::state::Input;

fn labels(pairs: &[(&str, &str)]) -> Arc<Labels> {
    let pairs = pairs.iter();
    Arc::new(
        pairs
            .map(|&(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
    )
}

fn selector(key: &str, value: &str) -> LabelSelector {
    LabelSelector {
        match_labels: Some(BTreeMap::from([(key.to_owned(), value.to_owned())])),
        ..LabelSelector::default()
    }
}

fn preferred(weight: u32, key: &str, value: &str) -> PreferredNodes {
    PreferredNodes {
        weight,
        preference: selector(key, value),
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// Two pools, of which `lan` has the label zone=1, and a Service with an address of each.
fn world_of_two_pools() -> World {
    let mut world = World::new();
    world.node("a");
    for (pool, addresses) in [("lan", "192.0.2.0/32"), ("wan", "198.51.100.0/32")] {
        world.pool(pool, &[addresses]);
        world.change_service(pool, |service| {
            if let Ok(wish) = &mut service.wish {
                wish.pool = Some(pool.into());
            }
        });
    }
    let mut lan = world.server.borrow().pools["lan"].clone();
    lan.labels = labels(&[("zone", "1")]);
    world
        .server
        .borrow_mut()
        .pools
        .insert("lan".to_owned(), lan.clone());
    world.handle(Input::Pool(Event::Applied(lan)));
    world.settle();
    world
}

/// The pools whose addresses the advertisement `ad` announces, and its reason for `Ready`.
fn covered(world: &World) -> (Vec<String>, String) {
    let server = world.server.borrow();
    let announced = server.announcements.values();
    let pools = announced
        .filter(|facts| facts.spec.advertisements == ["ad"])
        .map(|facts| facts.spec.pool.clone());
    let conditions = &server.advertisements["ad"].status.conditions;
    (pools.collect(), conditions[0].reason.clone())
}

#[test]
fn metallb_1_1_an_advertisement_announces_the_pools_that_it_names_or_selects() {
    let spec = |pools: &[&str], selectors: Vec<LabelSelector>| L2AdvertisementSpec {
        ip_address_pools: names(pools),
        ip_address_pool_selectors: selectors,
        ..L2AdvertisementSpec::default()
    };
    let zone = |value| vec![selector("zone", value)];
    for (sentence, spec, pools, reason) in [
        (
            "neither a name nor a selector: all pools",
            spec(&[], vec![]),
            &["lan", "wan"][..],
            "Valid",
        ),
        ("a name", spec(&["wan"], vec![]), &["wan"], "Valid"),
        ("a selector", spec(&[], zone("1")), &["lan"], "Valid"),
        (
            "named or selected is enough",
            spec(&["wan"], zone("1")),
            &["lan", "wan"],
            "Valid",
        ),
        (
            "one selector of two is enough",
            spec(&[], vec![selector("zone", "2"), selector("zone", "1")]),
            &["lan"],
            "Valid",
        ),
        (
            "a name that does not exist beside one that does",
            spec(&["lan", "dmz"], vec![]),
            &["lan"],
            "Valid",
        ),
        (
            "only a name that does not exist: MetalLB says nothing, here the condition does",
            spec(&["dmz"], vec![]),
            &[],
            "NoPool",
        ),
        (
            "a selector that matches no pool",
            spec(&[], zone("2")),
            &[],
            "NoPool",
        ),
    ] {
        let mut world = world_of_two_pools();
        world.advertise_with("ad", &spec);
        world.settle();
        let expected = (names(pools), reason.to_owned());
        assert_eq!(covered(&world), expected, "{sentence}");
    }
}

#[test]
fn metallb_1_1_an_advertisement_lists_the_nodes_that_may_announce_their_links_and_preference() {
    let nodes = |selectors: Vec<LabelSelector>| L2AdvertisementSpec {
        node_selectors: selectors,
        ..L2AdvertisementSpec::default()
    };
    let prefers = |preferred: Vec<PreferredNodes>| L2AdvertisementSpec {
        preferred_node_selectors: preferred,
        ..L2AdvertisementSpec::default()
    };
    for (sentence, spec, listed, reason) in [
        (
            "no selector: all nodes, on all links",
            nodes(vec![]),
            "a on all 0, b on all 0, c on all 0",
            "Valid",
        ),
        (
            "a selector",
            nodes(vec![selector("zone", "1")]),
            "a on all 0",
            "Valid",
        ),
        (
            "one selector of two is enough",
            nodes(vec![selector("zone", "1"), selector("zone", "2")]),
            "a on all 0, b on all 0",
            "Valid",
        ),
        (
            "a selector that matches no node",
            nodes(vec![selector("zone", "3")]),
            "",
            "NoNode",
        ),
        (
            "links by name",
            L2AdvertisementSpec {
                interfaces: names(&["eth0", "eth1"]),
                ..nodes(vec![selector("zone", "1")])
            },
            "a on eth0+eth1 0",
            "Valid",
        ),
        (
            "a preference gives its weight to the nodes that match",
            prefers(vec![preferred(30, "zone", "1")]),
            "a on all 30, b on all 0, c on all 0",
            "Valid",
        ),
        (
            "weights of preferences that match are summed",
            prefers(vec![
                preferred(30, "zone", "1"),
                preferred(100, "rack", "x"),
                preferred(5, "zone", "2"),
            ]),
            "a on all 130, b on all 5, c on all 0",
            "Valid",
        ),
        (
            "a preference lets no node announce that the selectors leave out",
            L2AdvertisementSpec {
                preferred_node_selectors: vec![preferred(30, "zone", "2")],
                ..nodes(vec![selector("zone", "1")])
            },
            "a on all 0",
            "Valid",
        ),
    ] {
        let mut world = World::new();
        world.pool("lan", &["192.0.2.0/29"]);
        for (name, its) in [
            ("a", &[("zone", "1"), ("rack", "x")][..]),
            ("b", &[("zone", "2")]),
            ("c", &[]),
        ] {
            world.change_node(name, |node| node.labels = labels(its));
        }
        world.advertise_with("ad", &spec);
        world.settle();
        let server = world.server.borrow();
        let status = &server.advertisements["ad"].status;
        let nodes: Vec<String> = status
            .nodes
            .iter()
            .map(|node| {
                let links = match &node.interfaces[..] {
                    [] => "all".to_owned(),
                    links => links.join("+"),
                };
                format!("{} on {links} {}", node.name, node.preference)
            })
            .collect();
        assert_eq!(nodes.join(", "), listed, "{sentence}");
        assert_eq!(status.conditions[0].reason, reason, "{sentence}");
    }
}

/// With MetalLB an address with a sharing key is given, and never announced, as soon as an
/// advertisement selects Services.
#[test]
fn metallb_1_3_service_selectors_choose_whose_addresses_are_announced_shared_ones_too() {
    let none: &[(&str, &str)] = &[];
    let selects = |apps: &[&str]| L2AdvertisementSpec {
        service_selectors: apps.iter().map(|app| selector("app", app)).collect(),
        ..L2AdvertisementSpec::default()
    };
    for (sentence, spec, services, is_announced) in [
        (
            "no selector: every Service",
            selects(&[]),
            &[none][..],
            true,
        ),
        (
            "a selector that matches",
            selects(&["web"]),
            &[&[("app", "web")]],
            true,
        ),
        (
            "a selector that does not match",
            selects(&["web"]),
            &[&[("app", "db")]],
            false,
        ),
        (
            "one selector of two is enough",
            selects(&["web", "db"]),
            &[&[("app", "db")]],
            true,
        ),
        (
            "two share the address, and both match",
            selects(&["web"]),
            &[&[("app", "web")], &[("app", "web")]],
            true,
        ),
        (
            "two share the address, and one matches",
            selects(&["web"]),
            &[&[("app", "web")], &[("app", "db")]],
            true,
        ),
        (
            "two share the address, and none matches",
            selects(&["web"]),
            &[none, &[("app", "db")]],
            false,
        ),
    ] {
        let mut world = World::new();
        world.pool("lan", &["192.0.2.0/32"]);
        world.node("a");
        world.advertise_with("ad", &spec);
        for (port, its) in (80..).zip(services) {
            world.change_service(&format!("web-{port}"), |service| {
                service.labels = labels(its);
                service.sharing.key = SharingKey::new("k");
                let protocol = Protocol::Tcp;
                service.sharing.ports = [Port {
                    protocol,
                    number: port,
                }]
                .into();
            });
        }
        world.settle();
        let (advertisements, _) = world.announcement();
        assert_eq!(!advertisements.is_empty(), is_announced, "{sentence}");
        let reason = if is_announced {
            "WaitingForSpeaker"
        } else {
            "NoAdvertisement"
        };
        for port in (80..).take(services.len()) {
            let conditions = world.conditions(&format!("web-{port}"));
            assert_eq!(conditions, ["Allocated", reason], "{sentence}");
        }
    }
}
