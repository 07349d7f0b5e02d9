//! Who may announce by where the endpoints are.

use std::sync::Arc;

use bellwether_core::name::NodeName;
use bellwether_core::sharing::{Backend, Port, Protocol, SharingKey, SharingTerms};
use bellwether_crds::l2advertisement::L2AdvertisementSpec;

use super::world::{World, named};
use crate::facts::{ServiceFacts, SliceFacts};

fn local(app: &str) -> Backend {
    Backend::Local {
        selector: Arc::new([("app".to_owned(), app.to_owned())].into_iter().collect()),
    }
}

fn withdrawing() -> L2AdvertisementSpec {
    L2AdvertisementSpec {
        withdraw_without_endpoints: true,
        ..L2AdvertisementSpec::default()
    }
}

fn world_of(spec: &L2AdvertisementSpec) -> World {
    let mut world = World::new();
    world.pool("lan", &["192.0.2.0/29"]);
    world.advertise_with("lan", spec);
    for node in ["a", "b", "c"] {
        world.node(node);
    }
    world.settle();
    world
}

/// A slice of `service`: the nodes with an endpoint that is ready, and those with one that serves.
fn slice(name: &str, service: &str, ready: &[&str], serving: &[&str]) -> SliceFacts {
    let nodes = |names: &[&str]| names.iter().map(NodeName::from).collect();
    SliceFacts {
        name: named(name),
        service: Some(named(service)),
        ready: nodes(ready),
        serving: nodes(serving),
        serves: !ready.is_empty() || !serving.is_empty(),
    }
}

#[test]
fn metallb_1_5_with_policy_local_the_endpoints_decide_which_nodes_may() {
    for (sentence, slices, expected) in [
        ("there is no slice", vec![], &[][..]),
        (
            "one is ready",
            vec![slice("1", "web", &["a"], &["a"])],
            &["a"],
        ),
        (
            "ready ones are in two slices",
            vec![
                slice("1", "web", &["a"], &["a"]),
                slice("2", "web", &["b"], &["b"]),
            ],
            &["a", "b"],
        ),
        (
            "one is ready, and one terminates and still serves: only the ready one counts",
            vec![slice("1", "web", &["a"], &["a", "b"])],
            &["a"],
        ),
        (
            "all terminate and one still serves: better that than nobody",
            vec![slice("1", "web", &[], &["b"])],
            &["b"],
        ),
        (
            "none is ready and none serves",
            vec![slice("1", "web", &[], &[])],
            &[],
        ),
        (
            "the endpoints of another Service do not count",
            vec![slice("1", "mail", &["c"], &["c"])],
            &[],
        ),
    ] {
        let mut world = world_of(&L2AdvertisementSpec::default());
        world.change_service("web", |service| service.backend = local("web"));
        for slice in slices {
            world.slice(slice);
        }
        world.settle();
        let (_, nodes) = world.announcement();
        assert_eq!(nodes.expect("only some"), expected, "{sentence}");
    }
}

/// A shared address with policy Local is only where all its Services have endpoints.
#[test]
fn complaint_3_1_14_a_shared_address_is_announced_by_one_node_that_serves_all_who_share_it() {
    let mut world = world_of(&L2AdvertisementSpec::default());
    let shares = |port: u16| {
        move |service: &mut ServiceFacts| {
            service.backend = local("web");
            service.sharing = SharingTerms {
                key: SharingKey::new("web"),
                ports: [Port {
                    protocol: Protocol::Tcp,
                    number: port,
                }]
                .into(),
                backend: local("web"),
            };
        }
    };
    world.change_service("one", shares(80));
    world.change_service("two", shares(443));
    world.endpoints("one", &["a", "b"]);
    world.endpoints("two", &["b", "c"]);
    world.settle();
    let (_, nodes) = world.announcement();
    assert_eq!(nodes, Some(vec!["b".to_owned()]));
}

#[test]
fn complaint_3_2_no_endpoint_no_arp_an_advertisement_decides_whether_a_missing_endpoint_withdraws()
{
    let rows = [
        (
            "Cluster, and nothing is asked for",
            Backend::Cluster,
            false,
            &[][..],
            true,
        ),
        (
            "Cluster, withdrawn while there is none",
            Backend::Cluster,
            true,
            &[],
            false,
        ),
        (
            "Cluster, withdrawn, and there is one",
            Backend::Cluster,
            true,
            &["a"],
            true,
        ),
        (
            "Local, and nothing is asked for",
            local("web"),
            false,
            &[],
            false,
        ),
        ("Local, and there is one", local("web"), false, &["a"], true),
        (
            "Local, withdrawn, and there is one",
            local("web"),
            true,
            &["a"],
            true,
        ),
    ];
    for (sentence, backend, withdraws, ready, may_be_announced) in rows {
        let mut world = world_of(&L2AdvertisementSpec {
            withdraw_without_endpoints: withdraws,
            ..L2AdvertisementSpec::default()
        });
        world.change_service("web", |service| service.backend = backend);
        world.endpoints("web", ready);
        world.settle();
        let reason = if may_be_announced {
            "WaitingForSpeaker"
        } else {
            "NoReadyEndpoint"
        };
        assert_eq!(world.conditions("web"), ["Allocated", reason], "{sentence}");
        assert!(
            !world.addresses()["web"].is_empty(),
            "{sentence}: it keeps it"
        );
    }
}

#[test]
fn what_was_withdrawn_for_want_of_an_endpoint_comes_back_with_one() {
    let mut world = world_of(&withdrawing());
    world.service("web");
    world.endpoints("web", &["a"]);
    world.settle();
    let announced = (vec!["lan".to_owned()], None);
    assert_eq!(world.announcement(), announced);
    world.endpoints("web", &[]);
    world.settle();
    assert_eq!(world.announcement(), (vec![], None));
    world.slice(slice("web", "web", &[], &["b"]));
    world.settle();
    assert_eq!(world.announcement(), announced, "what still serves counts");
}

#[test]
fn an_advertisement_that_withdraws_leaves_another_alone() {
    let mut world = world_of(&withdrawing());
    world.advertise("other");
    world.service("web");
    world.settle();
    assert_eq!(world.announcement().0, ["other"]);
    world.endpoints("web", &["a"]);
    world.settle();
    assert_eq!(world.announcement().0, ["lan", "other"]);
}

#[test]
fn a_shared_address_is_withdrawn_only_when_no_service_has_an_endpoint() {
    let mut world = world_of(&withdrawing());
    for (name, port) in [("one", 80), ("two", 443)] {
        world.change_service(name, |service| {
            service.sharing.key = SharingKey::new("web");
            service.sharing.ports = [Port {
                protocol: Protocol::Tcp,
                number: port,
            }]
            .into();
        });
    }
    world.endpoints("two", &["a"]);
    world.settle();
    assert_eq!(world.announcement().0, ["lan"]);
    world.endpoints("two", &[]);
    world.settle();
    assert_eq!(world.announcement().0, [""; 0]);
}
