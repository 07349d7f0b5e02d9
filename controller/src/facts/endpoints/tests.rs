//! What is read of an EndpointSlice, a row each.

use serde_json::json;

use super::*;

/// A slice with one endpoint on node a, of which this is said.
fn slice(conditions: &serde_json::Value) -> SliceFacts {
    let object = json!({
        "metadata": { "namespace": "shop", "name": "web-1",
            "labels": { "kubernetes.io/service-name": "web" } },
        "addressType": "IPv4",
        "endpoints": [{ "addresses": ["10.0.0.1"], "nodeName": "a", "conditions": conditions }],
    });
    SliceFacts::from(serde_json::from_value::<EndpointSlice>(object).expect("a slice"))
}

#[test]
fn metallb_1_5_what_is_said_of_an_endpoint_decides_whether_it_counts() {
    for (sentence, conditions, ready, serving) in [
        ("nothing is said", json!({}), true, true),
        (
            "it is ready",
            json!({ "ready": true, "serving": true }),
            true,
            true,
        ),
        (
            "it is not ready",
            json!({ "ready": false, "serving": false }),
            false,
            false,
        ),
        (
            "it is not ready, and nothing else is said",
            json!({ "ready": false }),
            false,
            false,
        ),
        (
            "it terminates and still serves",
            json!({ "ready": false, "serving": true, "terminating": true }),
            false,
            true,
        ),
        (
            "it terminates and serves no more",
            json!({ "ready": false, "serving": false, "terminating": true }),
            false,
            false,
        ),
        (
            "publishNotReadyAddresses: Kubernetes says that it is ready, whatever the pod says",
            json!({ "ready": true, "serving": false, "terminating": true }),
            true,
            false,
        ),
    ] {
        let facts = slice(&conditions);
        assert_eq!(!facts.ready.is_empty(), ready, "{sentence}");
        assert_eq!(!facts.serving.is_empty(), serving, "{sentence}");
        assert_eq!(facts.serves, ready || serving, "{sentence}");
    }
}

#[test]
fn an_endpoint_of_no_node_serves_and_lets_no_node_announce() {
    let object = json!({
        "metadata": { "namespace": "shop", "name": "web-1",
            "labels": { "kubernetes.io/service-name": "web" } },
        "addressType": "IPv4",
        "endpoints": [{ "addresses": ["198.51.100.7"] }],
    });
    let slice: EndpointSlice = serde_json::from_value(object).expect("a slice");
    let facts = SliceFacts::from(slice);
    assert!(facts.serves);
    assert!(facts.ready.is_empty() && facts.serving.is_empty());
}
