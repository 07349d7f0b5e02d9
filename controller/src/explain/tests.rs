//! What is printed, and what is refused.

use bellwether_core::allocator::{Considered, Verdict};

use super::*;
use crate::state::explain::ExplainedCandidate;

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
        "192.0.2.10: node-b announces it since 2026-03-01T12:00:00Z\n(OwnerSilent, term 4, after node-a).",
        "L2Advertisement lan; candidates, best first:",
        "node-a  score 20",
        "node-b  score 0   announces it",
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
