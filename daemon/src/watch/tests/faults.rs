//! Whatever comes between, in the end all is known, and no change is told twice.

use std::collections::BTreeMap;

use axum::body::Body;
use futures::stream;

use super::*;

/// What comes between, once, to the request whose turn it is.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// The request is answered.
    None,
    /// It is refused with this status code.
    Refuse(u16),
    /// The answer comes late.
    Slow,
    /// The connection breaks in the middle of the answer: in the middle of an event, if it is a watch.
    Cut,
    /// The watch ends with an event that says that what it began at is forgotten.
    Expired,
    /// The watch ends, as it does when nothing has happened for a while.
    End,
}

/// An API server that remembers everything that has happened. A list shows some of it, and a watch
/// tells what has happened since; between two requests something happens that only a list shows.
struct Server {
    /// Every change, the first of which makes version 1.
    log: Vec<Value>,
    /// How much of it has happened.
    happened: usize,
    /// Of changes before this one no watch can tell any more.
    forgotten: usize,
    faults: VecDeque<Fault>,
    /// What has been asked for.
    requests: Vec<&'static str>,
}

impl Server {
    fn new(faults: &[Fault]) -> Self {
        let log = [
            ("ADDED", "a"),
            ("ADDED", "b"),
            ("ADDED", "c"),
            ("MODIFIED", "a"),
            ("DELETED", "b"),
            ("ADDED", "d"),
            ("MODIFIED", "c"),
            ("DELETED", "a"),
            ("ADDED", "b"),
            ("MODIFIED", "d"),
            ("ADDED", "e"),
            ("DELETED", "c"),
            ("MODIFIED", "b"),
            ("ADDED", "a"),
            ("DELETED", "d"),
            ("MODIFIED", "e"),
            ("ADDED", "c"),
            ("DELETED", "b"),
            ("MODIFIED", "a"),
            ("ADDED", "d"),
        ];
        let event = |(version, (kind, name)): (usize, (&str, &str))| {
            let mut object = object(name);
            object["metadata"]["resourceVersion"] = version.to_string().into();
            change(kind, object)
        };
        Self {
            log: (1..).zip(log).map(event).collect(),
            happened: 3,
            forgotten: 0,
            faults: faults.iter().copied().collect(),
            requests: Vec::new(),
        }
    }

    /// What there is after so many changes: names and versions.
    fn after(&self, changes: usize) -> BTreeMap<String, Value> {
        let mut objects = BTreeMap::new();
        for event in &self.log[..changes] {
            let name = event["object"]["metadata"]["name"].as_str();
            let name = name.expect("a name").to_owned();
            if event["type"] == "DELETED" {
                objects.remove(&name);
            } else {
                objects.insert(name, event["object"].clone());
            }
        }
        objects
    }
}

fn status(code: u16) -> Value {
    let reason = match code {
        410 => "Expired",
        429 => "TooManyRequests",
        _ => "InternalError",
    };
    json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "as scripted",
        "reason": reason, "code": code, "details": { "retryAfterSeconds": 1 },
    })
}

/// A body that breaks off after `text`.
fn broken_off(text: String) -> Body {
    let parts = [Ok(text), Err(std::io::Error::other("cut as scripted"))];
    Body::from_stream(stream::iter(parts))
}

fn parameter(query: &str, name: &str) -> Option<String> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.to_owned())
}

/// The version that a watch begins at.
fn version(query: &str) -> usize {
    let from = parameter(query, "resourceVersion").expect("a version");
    from.parse().expect("a number")
}

async fn serve(State(server): State<Arc<Mutex<Server>>>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let is_watch = parameter(&query, "watch").is_some();
    let fault = {
        let mut server = server.lock().expect("the server");
        server
            .requests
            .push(if is_watch { "watch" } else { "list" });
        // Something happens meanwhile.
        server.happened = (server.happened + 1).min(server.log.len());
        let fault = server.faults.pop_front().unwrap_or(Fault::None);
        if is_watch && matches!(fault, Fault::Refuse(410)) {
            server.forgotten = server.happened;
        }
        let is_forgotten = is_watch && version(&query) < server.forgotten;
        if is_forgotten {
            Fault::Refuse(410)
        } else {
            fault
        }
    };
    match fault {
        Fault::Refuse(code) => {
            let code = StatusCode::from_u16(code).expect("a status code");
            let body = status(code.as_u16()).to_string();
            return (code, [(header::RETRY_AFTER, "1")], body).into_response();
        }
        Fault::Slow => tokio::time::sleep(Duration::from_millis(300)).await,
        _ => {}
    }
    let body = {
        let server = server.lock().expect("the server");
        if is_watch {
            watch(&server, version(&query), fault)
        } else {
            list(&server, parameter(&query, "continue").as_deref(), fault)
        }
    };
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// A list in two pages.
fn list(server: &Server, page: Option<&str>, fault: Fault) -> Body {
    let version = match page {
        Some(version) => version.parse().expect("a number"),
        None => server.happened,
    };
    let objects: Vec<Value> = server.after(version).into_values().collect();
    let (first, second) = objects.split_at(objects.len().min(2));
    let (items, rest) = match page {
        None => (first, version.to_string()),
        Some(_) => (second, String::new()),
    };
    let list = json!({
        "apiVersion": "v1", "kind": "ConfigMapList", "items": items,
        "metadata": { "resourceVersion": version.to_string(), "continue": rest },
    })
    .to_string();
    match fault {
        Fault::Cut => broken_off(list[..list.len() / 2].to_owned()),
        _ => Body::from(list),
    }
}

/// What has happened after the change `from`, and then nothing, until the fault.
fn watch(server: &Server, from: usize, fault: Fault) -> Body {
    let news = &server.log[from..server.happened.max(from)];
    let text = news.iter().fold(String::new(), |text, event| {
        text + &event.to_string() + "\n"
    });
    match fault {
        Fault::Cut => {
            let next = server.log.get(server.happened.max(from));
            let half = next.map_or_else(|| "{\"type\":".to_owned(), Value::to_string);
            broken_off(text + &half[..half.len() / 2])
        }
        Fault::Expired => {
            let event = json!({ "type": "ERROR", "object": status(410) });
            Body::from(format!("{text}{event}\n"))
        }
        Fault::End => Body::from(text),
        // While there is more to come, it ends early; then there is a rest without an end.
        _ if server.happened < server.log.len() => Body::from(text),
        _ => {
            let parts = stream::iter([Ok::<_, std::io::Error>(text)]);
            Body::from_stream(parts.chain(stream::pending()))
        }
    }
}

type Told = (String, usize);

/// Watches until what was told makes up what there is; says what was asked for.
async fn watched(sentence: &str, faults: &[Fault]) -> Vec<&'static str> {
    let server = Arc::new(Mutex::new(Server::new(faults)));
    let router = Router::new()
        .route("/api/v1/configmaps", get(serve))
        .with_state(Arc::clone(&server));
    let (mut events, shutdown) = follow(router, |object: ConfigMap| -> Told {
        let version = object.resource_version().expect("a version");
        (object.name_any(), version.parse().expect("a number"))
    })
    .await;
    let truth: BTreeMap<String, usize> = {
        let server = server.lock().expect("the server");
        let all = server.after(server.log.len());
        all.into_iter()
            .map(|(name, object)| {
                let version = object["metadata"]["resourceVersion"].as_str();
                (name, version.and_then(|it| it.parse().ok()).expect("one"))
            })
            .collect()
    };
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    let mut latest = 0;
    while known != truth {
        match events.recv().await.expect("an event") {
            Event::Listed { objects, .. } => {
                known = objects.into_iter().collect();
                latest = known.values().copied().fold(latest, usize::max);
            }
            Event::Applied((name, version)) => {
                assert!(version > latest, "{sentence}: {name} {version} comes again");
                latest = version;
                known.insert(name, version);
            }
            Event::Deleted(key) => {
                let was = known.remove(&key.name);
                assert!(was.is_some(), "{sentence}: {} goes twice", key.name);
            }
        }
    }
    shutdown.cancel();
    std::mem::take(&mut server.lock().expect("the server").requests)
}

#[tokio::test]
async fn nothing_is_lost_and_nothing_told_twice_whatever_comes_between() {
    use Fault::{Cut, End, Expired, None, Refuse, Slow};
    // What comes between, and how often everything is listed: twice for each list, which has two
    // pages.
    let rows: [(&str, &[Fault], usize); 15] = [
        ("nothing", &[], 2),
        ("the watch ends, and goes on", &[None, None, End, End], 2),
        (
            "a watch is cut in the middle of an event",
            &[None, None, Cut],
            2,
        ),
        (
            "a watch is cut again and again",
            &[None, None, Cut, Cut, Cut],
            2,
        ),
        (
            "a watch says that its version is forgotten",
            &[None, None, Expired],
            4,
        ),
        (
            "a watch is refused because its version is forgotten",
            &[None, None, Refuse(410)],
            4,
        ),
        ("the list is throttled", &[Refuse(429)], 3),
        ("the watch is throttled", &[None, None, Refuse(429)], 2),
        (
            "the server fails at the list",
            &[Refuse(500), Refuse(503)],
            4,
        ),
        (
            "the server fails at the watch",
            &[None, None, Refuse(500), Refuse(504)],
            2,
        ),
        ("the list takes its time", &[Slow, Slow], 2),
        ("the watch takes its time", &[None, None, Slow], 2),
        ("the list is cut in the middle", &[Cut], 3),
        (
            "the second page of the list is forgotten",
            &[None, Refuse(410)],
            4,
        ),
        (
            "all of it, one after the other",
            &[
                Refuse(429),
                None,
                Cut,
                Slow,
                None,
                Cut,
                Refuse(503),
                Expired,
                None,
                Refuse(410),
                None,
                Slow,
                End,
            ],
            9,
        ),
    ];
    let asked = futures::future::join_all(rows.map(async |(sentence, faults, _)| {
        let patience = Duration::from_mins(1);
        let watched = tokio::time::timeout(patience, watched(sentence, faults)).await;
        watched.unwrap_or_else(|_| panic!("{sentence}: something was lost"))
    }))
    .await;
    for ((sentence, _, lists), asked) in rows.iter().zip(asked) {
        let count = asked.iter().filter(|what| **what == "list").count();
        assert_eq!(count, *lists, "{sentence}: {asked:?}");
    }
}
