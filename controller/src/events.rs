//! Events on Services, told one after the other beside the writes.
//!
//! No Service waits for an event, its own or another's: that of an address is told when the address
//! is there, and a thousand of them are one request at a time. An event that cannot be told is no
//! reason to stop, because the condition says the same.

use std::sync::Arc;

use bellwether_core::name::ServiceName;
use bellwether_daemon::call::{CallError, TIMEOUT, with_timeout};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::mpsc;

use crate::apply::FIELD_MANAGER;
use crate::change::Note;

/// How many events may wait to be told. When they are that many, some four megabytes, further ones
/// are dropped, and the log says so.
const WAITING: usize = 16_384;

/// The longest note that the API server takes, in bytes.
const LONGEST_NOTE: usize = 1024;

/// Where events are handed in.
#[derive(Clone)]
pub struct Events(mpsc::Sender<Happened>);

/// What is needed to write an event, and no more: thousands may wait.
struct Happened {
    note: Note,
    service: ServiceName,
    /// The `metadata.uid` of the Service.
    uid: Arc<str>,
    at: Timestamp,
}

impl Events {
    /// Begins to tell events through `client`; `identity` is the replica. Ends with the last handle.
    #[must_use]
    pub fn start(client: Client, identity: &str) -> Self {
        let (sender, mut waiting) = mpsc::channel(WAITING);
        let instance = identity.to_owned();
        tokio::spawn(async move {
            while let Some(happened) = waiting.recv().await {
                if let Err(error) = tell(&client, &instance, happened).await {
                    tracing::warn!(%error, "an event could not be written");
                }
            }
        });
        Self(sender)
    }

    /// Hands an event on `service` in, which has this `metadata.uid`. It happened now, whenever it is
    /// told.
    pub fn publish(&self, note: Note, service: ServiceName, uid: Arc<str>) {
        let at = Timestamp::now();
        let happened = Happened {
            note,
            service,
            uid,
            at,
        };
        if self.0.try_send(happened).is_err() {
            tracing::warn!("an event was dropped: too many wait to be written");
        }
    }
}

async fn tell(client: &Client, instance: &str, happened: Happened) -> Result<(), CallError> {
    let api: Api<Event> = Api::namespaced(client.clone(), &happened.service.namespace);
    let event = event(instance, happened);
    with_timeout(TIMEOUT, api.create(&PostParams::default(), &event))
        .await
        .map(drop)
}

/// The event, named as Kubernetes' own components name theirs: after the object and the time.
fn event(instance: &str, happened: Happened) -> Event {
    let Happened {
        note,
        service,
        uid,
        at,
    } = happened;
    let mut text = note.message;
    text.truncate(text.floor_char_boundary(LONGEST_NOTE));
    let type_ = if note.is_warning { "Warning" } else { "Normal" };
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{}.{:x}", service.name, at.as_nanosecond())),
            namespace: Some(service.namespace.to_string()),
            ..ObjectMeta::default()
        },
        action: Some(note.action.to_owned()),
        event_time: Some(MicroTime(at)),
        note: Some(text),
        reason: Some(note.reason),
        regarding: Some(ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Service".to_owned()),
            namespace: Some(service.namespace.to_string()),
            name: Some(service.name.to_string()),
            uid: Some(uid.to_string()),
            ..ObjectReference::default()
        }),
        reporting_controller: Some(FIELD_MANAGER.to_owned()),
        reporting_instance: Some(instance.to_owned()),
        type_: Some(type_.to_owned()),
        ..Event::default()
    }
}

#[cfg(test)]
mod tests {
    use http::{Request, Response};
    use kube::client::Body;
    use tower_test::mock::pair;

    use super::*;

    fn note(message: &str) -> Note {
        Note {
            action: "Allocate",
            is_warning: false,
            reason: "Allocated".to_owned(),
            message: message.to_owned(),
        }
    }

    fn publish(events: &Events, message: &str, service: &str) {
        let service = ServiceName::new("default", service);
        events.publish(note(message), service, Arc::from("uid"));
    }

    #[test]
    fn a_note_that_is_too_long_is_cut_between_two_characters() {
        let long = note(&format!("x{}", "é".repeat(600)));
        let happened = Happened {
            note: long,
            service: ServiceName::new("default", "web"),
            uid: Arc::from("uid"),
            at: Timestamp::UNIX_EPOCH,
        };
        let event = event("replica", happened);
        assert_eq!(event.note.map(|note| note.len()), Some(1023));
    }

    #[tokio::test]
    async fn an_event_that_is_refused_stops_no_other() {
        let (client, mut server) = pair::<Request<Body>, Response<Body>>();
        let events = Events::start(Client::new(client, "default"), "replica");
        publish(&events, "one", "web");
        publish(&events, "two", "mail");
        let mut told = Vec::new();
        for _ in 0..2 {
            let (request, respond) = server.next_request().await.expect("a request");
            assert_eq!(
                request.uri().path(),
                "/apis/events.k8s.io/v1/namespaces/default/events"
            );
            let body = request.into_body().collect_bytes().await.expect("a body");
            let event: Event = serde_json::from_slice(&body).expect("an event");
            told.push((event.regarding.and_then(|it| it.name), event.note));
            let refused = Response::builder().status(500).body(Body::empty());
            respond.send_response(refused.expect("a response"));
        }
        let of = |name: &str, note: &str| (Some(name.to_owned()), Some(note.to_owned()));
        assert_eq!(told, [of("web", "one"), of("mail", "two")]);
    }
}
