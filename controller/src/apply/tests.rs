//! The exact requests, against a scripted API server.

use k8s_openapi::jiff::Timestamp;
use kube::client::Body;
use tower_test::mock::{Handle, pair};

use super::*;
use crate::change::Wanted;

type Server = Handle<http::Request<Body>, http::Response<Body>>;

fn applier() -> (Applier, Server) {
    let (service, server) = pair();
    let client = Client::new(service, "default");
    let events = Events::start(client.clone(), "replica");
    (Applier::new(client, events), server)
}

/// Takes the next request and answers it; returns its method, path with query, and body.
async fn answer(server: &mut Server, status: u16, body: Value) -> (String, String, Value) {
    let (request, respond) = server.next_request().await.expect("a request");
    let (parts, content) = request.into_parts();
    let content = content.collect_bytes().await.expect("the body");
    let response = http::Response::builder()
        .status(status)
        .body(Body::from(body.to_string().into_bytes()))
        .expect("a response");
    respond.send_response(response);
    let content = serde_json::from_slice(&content).unwrap_or(Value::Null);
    (parts.method.to_string(), parts.uri.to_string(), content)
}

fn version() -> Version {
    Version {
        uid: "some-uid".into(),
        resource_version: "41".into(),
        generation: 0,
    }
}

fn spec() -> AnnouncementSpec {
    AnnouncementSpec {
        address: [192, 0, 2, 10].into(),
        pool: "lan".to_owned(),
        services: Vec::new(),
        advertisements: vec!["lan".to_owned()],
        only_nodes: None,
    }
}

fn refusal(code: u16, reason: &str) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "no",
        "reason": reason, "code": code,
    })
}

#[tokio::test]
async fn an_address_is_reserved_by_a_plain_creation_and_its_refusal_is_told() {
    let (applier, mut server) = applier();
    let scripted = async {
        let (method, uri, body) = answer(&mut server, 409, refusal(409, "AlreadyExists")).await;
        assert_eq!(method, "POST");
        assert!(
            uri.starts_with("/apis/bellwether.dev/v1beta1/announcements?"),
            "{uri}"
        );
        assert_eq!(body["metadata"], json!({"name": "192.0.2.10"}));
        assert_eq!(body["spec"]["address"], "192.0.2.10");
    };
    let (result, ()) = tokio::join!(applier.apply(Change::CreateAnnouncement(spec())), scripted);
    assert_eq!(result, Err(CallError::AlreadyExists("no".to_owned())));
}

#[tokio::test]
async fn an_announcement_is_changed_only_in_the_version_that_was_seen() {
    let (applier, mut server) = applier();
    let change = Change::UpdateAnnouncement {
        version: version(),
        spec: spec(),
    };
    let scripted = async {
        let (method, uri, body) = answer(&mut server, 409, refusal(409, "Conflict")).await;
        assert_eq!(method, "PATCH");
        assert!(
            uri.starts_with("/apis/bellwether.dev/v1beta1/announcements/192.0.2.10?"),
            "{uri}"
        );
        assert_eq!(body["metadata"], json!({"resourceVersion": "41"}));
        // What shall go is named: a merge patch leaves the rest.
        assert_eq!(body["spec"].get("onlyNodes"), Some(&Value::Null));
    };
    let (result, ()) = tokio::join!(applier.apply(change), scripted);
    assert_eq!(result, Err(CallError::Conflict("no".to_owned())));
}

#[tokio::test]
async fn complaint_3_1_21_address_and_conditions_of_a_service_are_one_write() {
    let (applier, mut server) = applier();
    let wanted = Wanted {
        kind: "bellwether.dev/Allocated",
        holds: true,
        reason: "Allocated",
        message: "192.0.2.10 from pool lan",
    };
    let change = Change::ServiceStatus {
        service: ServiceName::new("shop", "web"),
        version: version(),
        ingress: Some(vec![[192, 0, 2, 10].into()]),
        conditions: vec![wanted.condition(0, None, Timestamp::UNIX_EPOCH)],
        moved: true,
        event: None,
    };
    let scripted = async {
        let service = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"namespace": "shop", "name": "web", "resourceVersion": "42"},
        });
        let (method, uri, body) = answer(&mut server, 200, service).await;
        assert_eq!(method, "PATCH");
        let path = "/api/v1/namespaces/shop/services/web/status?";
        assert!(uri.starts_with(path), "{uri}");
        assert!(uri.contains("force=true") && uri.contains("fieldManager=bellwether-controller"));
        let expected = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {
                "resourceVersion": "41", "annotations": {"bellwether.dev/reallocate": "done"},
            },
            "status": {
                "loadBalancer": {"ingress": [{"ip": "192.0.2.10", "ipMode": "VIP"}]},
                "conditions": [{
                    "type": "bellwether.dev/Allocated", "status": "True", "reason": "Allocated",
                    "message": "192.0.2.10 from pool lan",
                    "lastTransitionTime": "1970-01-01T00:00:00Z",
                }],
            },
        });
        assert_eq!(body, expected);
    };
    let (result, ()) = tokio::join!(applier.apply(change), scripted);
    assert!(matches!(result, Ok(Written::Service(_))), "{result:?}");
}

#[tokio::test]
async fn what_is_deleted_already_is_deleted() {
    let (applier, mut server) = applier();
    let change = Change::DeleteAnnouncement {
        address: [192, 0, 2, 10].into(),
        version: version(),
    };
    let scripted = async {
        let (method, _, body) = answer(&mut server, 404, refusal(404, "NotFound")).await;
        assert_eq!(method, "DELETE");
        let expected = json!({"uid": "some-uid", "resourceVersion": "41"});
        assert_eq!(body["preconditions"], expected);
    };
    let (result, ()) = tokio::join!(applier.apply(change), scripted);
    assert_eq!(result, Ok(Written::Deleted));
}

#[tokio::test]
async fn the_wish_to_be_moved_is_removed_through_the_status_and_nothing_else_is() {
    let (applier, mut server) = applier();
    let service = ServiceName::new("default", "web");
    let version = version();
    let write = applier.apply(Change::RemoveReallocate { service, version });
    let serve = answer(&mut server, 200, json!({"metadata": {"name": "web"}}));
    let (written, (method, path, body)) = tokio::join!(write, serve);
    written.expect("written");
    assert_eq!(method, "PATCH");
    assert_eq!(path, "/api/v1/namespaces/default/services/web/status?");
    let annotations = json!({"bellwether.dev/reallocate": null});
    assert_eq!(
        body,
        json!({"metadata": {"resourceVersion": "41", "annotations": annotations}})
    );
}
