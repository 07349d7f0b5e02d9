//! Against an API server of a few lines, which answers from a script.

mod faults;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Client, Config};
use serde_json::{Value, json};

use super::*;

/// What the server answers, in order: to a list, or to a watch.
enum Answer {
    List(Vec<Value>),
    Watch(Vec<Value>),
    Refuse(u16, &'static str),
}

type Script = Arc<Mutex<VecDeque<Answer>>>;

async fn answer(State(script): State<Script>, RawQuery(query): RawQuery) -> Response {
    let is_watch = query.is_some_and(|query| query.contains("watch="));
    let next = script.lock().expect("the script").pop_front();
    let body = match next {
        Some(Answer::List(items)) if !is_watch => json!({
            "apiVersion": "v1", "kind": "ConfigMapList",
            "metadata": {"resourceVersion": "1"}, "items": items,
        })
        .to_string(),
        Some(Answer::Watch(events)) if is_watch => {
            let lines: Vec<String> = events.iter().map(Value::to_string).collect();
            lines.join("\n") + "\n"
        }
        Some(Answer::Refuse(code, reason)) => {
            let status = json!({
                "kind": "Status", "apiVersion": "v1", "status": "Failure",
                "message": "as scripted", "reason": reason, "code": code,
            });
            let code = StatusCode::from_u16(code).expect("a status code");
            return (code, status.to_string()).into_response();
        }
        None => std::future::pending().await,
        Some(_) => panic!("the script expected the other kind of request"),
    };
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// What a watch of what `router` serves tells, each object as `decode` says.
async fn follow<T: Send + 'static>(
    router: Router,
    decode: impl Fn(ConfigMap) -> T + Send + 'static,
) -> (mpsc::Receiver<Event<T>>, CancellationToken) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });

    let uri = format!("http://{address}").parse().expect("a URI");
    let mut config = Config::new(uri);
    config.default_retry = false;
    let watch = Watch::<ConfigMap> {
        api: Api::all(Client::try_from(config).expect("a client")),
        kind: "configmaps",
        metrics: WatchMetrics::default(),
    };
    let (sender, receiver) = mpsc::channel(1);
    let shutdown = CancellationToken::new();
    tokio::spawn(watch.run(decode, |event| event, sender, shutdown.clone()));
    (receiver, shutdown)
}

async fn names_seen(script: Vec<Answer>, events: usize) -> Vec<Event<String>> {
    let script: Script = Arc::new(Mutex::new(script.into()));
    let router = Router::new()
        .route("/api/v1/configmaps", get(answer))
        .with_state(script);
    let (mut receiver, shutdown) = follow(router, |object| object.name_any()).await;
    let mut seen = Vec::new();
    while seen.len() < events {
        seen.push(receiver.recv().await.expect("an event"));
    }
    shutdown.cancel();
    assert_eq!(receiver.recv().await, None, "the watch ends when told to");
    seen
}

fn object(name: &str) -> Value {
    json!({"metadata": {"namespace": "n", "name": name, "resourceVersion": "1"}})
}

fn broken(name: &str) -> Value {
    json!({"metadata": {"namespace": "n", "name": name, "resourceVersion": "1"}, "data": 5})
}

fn change(kind: &str, mut object: Value) -> Value {
    object["apiVersion"] = "v1".into();
    object["kind"] = "ConfigMap".into();
    json!({"type": kind, "object": object})
}

fn expired() -> Value {
    json!({"type": "ERROR", "object": {
        "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "message": "too old", "reason": "Expired", "code": 410,
    }})
}

fn key(name: &str) -> Key {
    Key {
        namespace: "n".to_owned(),
        name: name.to_owned(),
    }
}

fn listed(names: &[&str], undecodable: &[&str]) -> Event<String> {
    Event::Listed {
        objects: names.iter().map(|&name| name.to_owned()).collect(),
        undecodable: undecodable.iter().map(|name| key(name)).collect(),
    }
}

#[tokio::test]
async fn changes_follow_the_list() {
    let script = vec![
        Answer::List(vec![object("a")]),
        Answer::Watch(vec![
            change("ADDED", object("b")),
            change("DELETED", object("a")),
        ]),
    ];
    let seen = names_seen(script, 3).await;
    let expected = [
        listed(&["a"], &[]),
        Event::Applied("b".to_owned()),
        Event::Deleted(key("a")),
    ];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn what_vanished_while_the_watch_was_down_is_missing_from_the_next_list() {
    let script = vec![
        Answer::List(vec![object("a"), object("b")]),
        Answer::Watch(vec![expired()]),
        Answer::List(vec![object("b")]),
    ];
    let seen = names_seen(script, 2).await;
    assert_eq!(seen, [listed(&["a", "b"], &[]), listed(&["b"], &[])]);
}

#[tokio::test]
async fn an_object_that_cannot_be_decoded_is_named_and_stops_nothing() {
    let script = vec![
        Answer::List(vec![object("a"), broken("bad"), object("b")]),
        Answer::Watch(vec![
            change("MODIFIED", broken("a")),
            change("ADDED", object("c")),
        ]),
    ];
    let seen = names_seen(script, 2).await;
    let expected = [
        listed(&["a", "b"], &["bad"]),
        Event::Applied("c".to_owned()),
    ];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_permission_that_comes_later_is_enough() {
    let script = vec![
        Answer::Refuse(403, "Forbidden"),
        Answer::List(vec![object("a")]),
    ];
    assert_eq!(names_seen(script, 1).await, [listed(&["a"], &[])]);
}

#[test]
fn the_same_trouble_is_said_once() {
    let error = |message: &str| {
        let status = kube::core::Status::failure(message, "Forbidden").with_code(403);
        watcher::Error::WatchError(status.boxed())
    };
    let mut said = None;
    say_once(&mut said, "pods", &error("no list"));
    let first = said.clone();
    assert!(first.is_some());
    say_once(&mut said, "pods", &error("no list"));
    assert_eq!(said, first);
    say_once(&mut said, "pods", &error("no watch"));
    assert_ne!(said, first);
}
