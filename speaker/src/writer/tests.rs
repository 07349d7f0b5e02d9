//! Against an API server of a few lines, for what the exact request is.

use std::pin::pin;

use bellwether_crds::announcement::AnnouncementStatus;
use http::{Request, Response};
use kube::client::Body;
use tower_test::mock;

use super::*;

/// The request that `write` makes, answered with `code` and `answer`, and what came of it.
async fn request(
    write: Write,
    code: u16,
    answer: Value,
) -> (String, Value, Result<Written, CallError>) {
    let (service, server) = mock::pair::<Request<Body>, Response<Body>>();
    let writer = Writer::new(Client::new(service, "default"), "node-a".into());
    let answering = tokio::spawn(async move {
        let mut server = pin!(server);
        let (request, send) = server.next_request().await.expect("a request");
        let (parts, body) = request.into_parts();
        let body = body.collect_bytes().await.expect("a body");
        let response = Response::builder()
            .status(code)
            .body(Body::from(answer.to_string().into_bytes()))
            .expect("a response");
        send.send_response(response);
        let line = format!("{} {}", parts.method, parts.uri);
        (line, serde_json::from_slice(&body).expect("JSON"))
    });
    let result = writer.write(&write).await;
    let (line, body) = answering.await.expect("no panic");
    (line, body, result)
}

fn announcement(resource_version: Option<&str>) -> Write {
    Write::Announcement {
        address: "2001:db8::10".parse().expect("an address"),
        status: AnnouncementStatus {
            node: Some("node-a".into()),
            term: Some(2),
            ..AnnouncementStatus::default()
        },
        resource_version: resource_version.map(Into::into),
    }
}

fn object(status: &Value) -> Value {
    json!({
        "apiVersion": "bellwether.dev/v1beta1", "kind": "Announcement",
        "metadata": {"name": "2001-0db8-0000-0000-0000-0000-0000-0010", "resourceVersion": "8"},
        "spec": {"address": "2001:db8::10", "pool": "p", "services": []},
        "status": status,
    })
}

#[tokio::test]
async fn an_announcement_is_applied_to_its_status() {
    let status = json!({"node": "node-a", "term": 2});
    let (line, body, result) = request(announcement(None), 200, object(&status)).await;
    assert_eq!(
        line,
        "PATCH /apis/bellwether.dev/v1beta1/announcements/2001-0db8-0000-0000-0000-0000-0000-0010\
         /status?&force=true&fieldManager=bellwether-speaker"
    );
    assert_eq!(
        body,
        json!({
            "apiVersion": "bellwether.dev/v1beta1", "kind": "Announcement", "status": status,
        })
    );
    let Ok(Written::Announcement(Some(facts))) = result else {
        panic!("{result:?}");
    };
    assert_eq!(
        (facts.resource_version.as_str(), facts.status.term),
        ("8", Some(2))
    );
}

#[tokio::test]
async fn a_condition_on_the_version_is_part_of_the_request() {
    let refusal = json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure",
        "message": "modified", "reason": "Conflict", "code": 409,
    });
    let (_, body, result) = request(announcement(Some("7")), 409, refusal).await;
    assert_eq!(body["metadata"], json!({"resourceVersion": "7"}));
    assert_eq!(result, Err(CallError::Conflict("modified".into())));
}

#[tokio::test]
async fn a_speaker_is_that_of_the_node() {
    let answer = json!({
        "apiVersion": "bellwether.dev/v1beta1", "kind": "Speaker",
        "metadata": {"name": "node-a"}, "spec": {"eligible": true}, "status": {"version": "1"},
    });
    let status = bellwether_crds::speaker::SpeakerStatus::default();
    let (line, _, result) = request(Write::Speaker(status), 200, answer).await;
    assert!(
        line.starts_with("PATCH /apis/bellwether.dev/v1beta1/speakers/node-a/status?"),
        "{line}"
    );
    let Ok(Written::Speaker(facts)) = result else {
        panic!("{result:?}");
    };
    assert!(facts.eligible && facts.own_status.is_some());
}
