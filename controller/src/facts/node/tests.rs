//! What is read of a Node, a row each.

use serde_json::json;

use super::*;

#[test]
fn metallb_1_5_what_a_node_says_of_itself() {
    let condition = |kind: &str, status: &str| json!({ "type": kind, "status": status });
    let ready = || condition("Ready", "True");
    for (sentence, spec, conditions, is_ready, network_unavailable, is_cordoned) in [
        ("it is ready", json!({}), vec![ready()], true, false, false),
        (
            "it is not ready",
            json!({}),
            vec![condition("Ready", "False")],
            false,
            false,
            false,
        ),
        (
            "nobody has heard of it",
            json!({}),
            vec![condition("Ready", "Unknown")],
            false,
            false,
            false,
        ),
        (
            "it says nothing yet",
            json!({}),
            vec![],
            false,
            false,
            false,
        ),
        (
            "its network is not set up",
            json!({}),
            vec![ready(), condition("NetworkUnavailable", "True")],
            true,
            true,
            false,
        ),
        (
            "its network is set up",
            json!({}),
            vec![ready(), condition("NetworkUnavailable", "False")],
            true,
            false,
            false,
        ),
        (
            "it is cordoned",
            json!({ "unschedulable": true }),
            vec![ready()],
            true,
            false,
            true,
        ),
        (
            "a taint is for pods, and says nothing of the node's network",
            json!({ "taints": [{ "key": "dedicated", "effect": "NoSchedule" }] }),
            vec![ready()],
            true,
            false,
            false,
        ),
        (
            "it is out of memory or disk, and can announce all the same",
            json!({}),
            vec![
                ready(),
                condition("MemoryPressure", "True"),
                condition("DiskPressure", "True"),
            ],
            true,
            false,
            false,
        ),
    ] {
        let object = json!({
            "metadata": { "name": "a" },
            "spec": spec,
            "status": { "conditions": conditions },
        });
        let facts = NodeFacts::from(serde_json::from_value::<Node>(object).expect("a Node"));
        let read = (facts.is_ready, facts.network_unavailable, facts.is_cordoned);
        assert_eq!(
            read,
            (is_ready, network_unavailable, is_cordoned),
            "{sentence}"
        );
    }
}
