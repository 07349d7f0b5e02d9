//! What is printed, and what is refused.

use bellwether_core::allocator::{Considered, Verdict};

use super::*;
use crate::state::explain::{ExplainedCandidate, PassedOver};

fn explained() -> Explained {
    Explained {
        service: "default/web".to_owned(),
        answer: "Service default/web has 192.0.2.10 of pool lan, which node-b announces."
            .to_owned(),
        pools: vec![
            Considered {
                pool: "reserved".into(),
                verdict: Verdict::NotAutoAssign,
            },
            Considered {
                pool: "lan".into(),
                verdict: Verdict::Gives(vec!["192.0.2.10".parse().expect("an address")]),
            },
        ],
        addresses: vec![ExplainedAddress {
            address: "192.0.2.10".parse().expect("an address"),
            pool: Some("lan".into()),
            advertisements: vec!["lan".to_owned()],
            candidates: vec![
                ExplainedCandidate {
                    node: "node-a".into(),
                    score: 20,
                },
                ExplainedCandidate {
                    node: "node-b".into(),
                    score: 0,
                },
            ],
            passed_over: vec![PassedOver {
                node: "node-c".into(),
                why: "the Node is cordoned".to_owned(),
            }],
            node: Some("node-b".into()),
            since: Some("2026-03-01T12:00:00Z".to_owned()),
            reason: Some("OwnerSilent".to_owned()),
            term: Some(4),
            previous: Some("node-a".into()),
            obstacle: None,
        }],
    }
}

#[test]
fn the_answer_comes_first_and_all_fits_a_hundred_columns() {
    let text = render(&explained());
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], explained().answer);
    assert!(lines.iter().all(|line| line.len() <= 100), "{text}");
    for part in [
        "reserved  has autoAssign: false",
        "lan       gives 192.0.2.10",
        "192.0.2.10: node-b announces it since 2026-03-01T12:00:00Z (OwnerSilent, term 4, after \
         node-a).",
        "L2Advertisement lan; candidates, best first:",
        "node-a  score 20",
        "node-b  score 0   announces it",
        "Passed over:\n  node-c  the Node is cordoned",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}

#[test]
fn a_service_is_named_with_its_namespace() {
    let name = parse_service("default/web").expect("a name");
    assert_eq!((&*name.namespace, &*name.name), ("default", "web"));
    for wrong in ["web", "/web", "default/", "a/b/c"] {
        let error = parse_service(wrong).expect_err(wrong);
        assert!(error.contains("default/web"), "{wrong}: {error}");
    }
}

#[test]
fn an_answer_that_is_long_fits_a_hundred_columns_too() {
    let mut explained = explained();
    explained.answer = format!(
        "Service default/web has no address: {}.",
        "because ".repeat(30)
    );
    explained.addresses[0].obstacle = Some("nobody says that it does ".repeat(9));
    explained.addresses[0].candidates.clear();
    let text = render(&explained);
    assert!(text.lines().all(|line| line.len() <= 100), "{text}");
    assert!(
        text.contains("L2Advertisement lan; no candidate.\n"),
        "{text}"
    );
}

#[test]
fn a_service_that_gets_no_address_here_hears_why_and_what_to_do() {
    let service = |spec: serde_json::Value| {
        let object = serde_json::json!({ "metadata": { "name": "web" }, "spec": spec });
        serde_json::from_value::<Service>(object).expect("a Service")
    };
    let plain = |kind| service(serde_json::json!({ "type": kind }));
    let of_class =
        |class| service(serde_json::json!({ "type": "LoadBalancer", "loadBalancerClass": class }));
    let settings = |class: Option<&str>| Settings {
        class: class.map(str::to_owned),
        ..Settings::default()
    };
    for (sentence, service, settings, why) in [
        ("it is ours", plain("LoadBalancer"), settings(None), None),
        (
            "it is of another type",
            plain("NodePort"),
            settings(None),
            Some("it is of type NodePort: set spec.type to LoadBalancer"),
        ),
        (
            "it has a class, and no class was named",
            of_class("x"),
            settings(None),
            Some(
                "its spec.loadBalancerClass is x, which another load balancer serves; if the \
                 controller does, say --load-balancer-class x here too",
            ),
        ),
        (
            "it has another class",
            of_class("x"),
            settings(Some("y")),
            Some(
                "its spec.loadBalancerClass is x, and --load-balancer-class says y: one of them \
                 has to be the other",
            ),
        ),
        (
            "it has no class, and one was named",
            plain("LoadBalancer"),
            settings(Some("y")),
            Some(
                "it has no spec.loadBalancerClass, and --load-balancer-class is given: say \
                 --default-class too if the controller serves Services without a class",
            ),
        ),
    ] {
        assert_eq!(not_ours(&service, &settings).as_deref(), why, "{sentence}");
    }
}
