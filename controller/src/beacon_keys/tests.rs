//! The exact requests, against a scripted API server.

use http::{Request, Response};
use kube::client::Body;
use serde_json::{Value, json};
use tower_test::mock::{Handle, pair};

use super::*;

type Server = Handle<Request<Body>, Response<Body>>;

/// Takes the next request and answers it; returns its method and path, and its body.
async fn answer(server: &mut Server, status: u16, body: Value) -> (String, Value) {
    let (request, respond) = server.next_request().await.expect("a request");
    let (parts, content) = request.into_parts();
    let content = content.collect_bytes().await.expect("the body");
    let response = Response::builder()
        .status(status)
        .body(Body::from(body.to_string().into_bytes()))
        .expect("a response");
    respond.send_response(response);
    (
        format!("{} {}", parts.method, parts.uri.path()),
        serde_json::from_slice(&content).unwrap_or(Value::Null),
    )
}

fn refusal(code: u16, reason: &str) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "no",
        "reason": reason, "code": code,
    })
}

fn metadata(name: &str) -> Value {
    json!({
        "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
        "metadata": {"name": name, "uid": "uid-of-the-cluster"},
    })
}

/// What `ensure` does with a server that answers like this; with each request that it made.
async fn ensured(answers: Vec<(u16, Value)>) -> (Result<Outcome, KeysError>, Vec<(String, Value)>) {
    let (service, mut server) = pair();
    let client = Client::new(service, "default");
    let ensuring = tokio::spawn(async move { ensure(&client, "here").await });
    let mut requests = Vec::new();
    for (status, body) in answers {
        requests.push(answer(&mut server, status, body).await);
    }
    (ensuring.await.expect("no panic"), requests)
}

const GET: &str = "GET /api/v1/namespaces/here/secrets/bellwether-beacon-keys";

#[tokio::test]
async fn a_secret_that_is_there_is_left_as_it_is() {
    let (outcome, requests) = ensured(vec![(200, metadata(SECRET))]).await;
    assert_eq!(outcome, Ok(Outcome::Present));
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].0, GET);
}

#[tokio::test]
async fn a_missing_secret_is_created_with_one_random_key_for_this_cluster() {
    let mut keys = Vec::new();
    for _ in 0..2 {
        let (outcome, requests) = ensured(vec![
            (404, refusal(404, "NotFound")),
            (200, metadata("kube-system")),
            (201, json!({"metadata": {"name": SECRET}})),
        ])
        .await;
        assert_eq!(outcome, Ok(Outcome::Created));
        let lines: Vec<&str> = requests.iter().map(|(line, _)| line.as_str()).collect();
        let create = "POST /api/v1/namespaces/here/secrets";
        assert_eq!(lines, [GET, "GET /api/v1/namespaces/kube-system", create]);
        let secret: Secret = serde_json::from_value(requests[2].1.clone()).expect("a Secret");
        assert_eq!(secret.type_.as_deref(), Some("Opaque"));
        let annotations = secret.metadata.annotations.expect("annotations");
        assert_eq!(annotations["bellwether.dev/signing-key"], "1");
        assert_eq!(annotations["bellwether.dev/cluster"], "uid-of-the-cluster");
        let data = secret.data.expect("data");
        assert_eq!(data.len(), 1);
        assert_eq!(data["1"].0.len(), 32);
        keys.push(data["1"].0.clone());
    }
    assert_ne!(keys[0], keys[1]);
}

#[tokio::test]
async fn whoever_creates_it_first_is_right() {
    let (outcome, _) = ensured(vec![
        (404, refusal(404, "NotFound")),
        (200, metadata("kube-system")),
        (409, refusal(409, "AlreadyExists")),
    ])
    .await;
    assert_eq!(outcome, Ok(Outcome::Present));
}

#[tokio::test]
async fn nothing_is_created_while_it_is_not_known_whether_there_is_one() {
    let (outcome, _) = ensured(vec![(403, refusal(403, "Forbidden"))]).await;
    let error = outcome.expect_err("no answer").to_string();
    assert!(error.contains("cannot read the Secret"), "{error}");
    assert!(error.contains("manifests/install.yaml"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_followed_by_another_try() {
    let (service, mut server) = pair();
    let client = Client::new(service, "default");
    let keeping = tokio::spawn(keep(client, "here".to_owned()));
    answer(&mut server, 503, refusal(503, "ServiceUnavailable")).await;
    let (line, _) = answer(&mut server, 200, metadata(SECRET)).await;
    assert_eq!(line, GET);
    keeping.abort();
}
