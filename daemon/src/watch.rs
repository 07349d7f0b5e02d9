//! A watch: every object of one kind, decoded to a small value, and then every change.
//!
//! The loss of any event is survivable: after each interruption that could have hidden a deletion
//! everything is listed again, and [`Event::Listed`] says all there is. An object that cannot be
//! decoded is left out and named; it never ends the watch.

use std::fmt::Debug;
use std::time::Duration;

use backon::ExponentialBuilder;
use futures::StreamExt;
use kube::core::DeserializeGuard;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, ExponentialBackoff, watcher};
use kube::{Api, Resource, ResourceExt};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::call::CallError;

/// How many objects one page of a list holds. The peak of the first list sets the memory of the
/// process, because freed pages stay mapped.
const PAGE: u32 = 50;

/// After how many seconds without an event the server ends the watch, which is then resumed where it
/// was. A connection that died silently is noticed by then.
const TIMEOUT_SECONDS: u32 = 30;

/// The shortest pause before a watch is tried again.
const SHORTEST_PAUSE: Duration = Duration::from_millis(250);

/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// An object's namespace, if its kind has one, and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The namespace; empty for a cluster-scoped kind.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl Key {
    /// That of `object`.
    #[must_use]
    pub fn of(object: &impl ResourceExt) -> Self {
        Self {
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
        }
    }
}

/// What happened to the objects of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<T> {
    /// These are all objects there are. What was known before and is not among them is gone, except
    /// for what is named as undecodable: of that the last good state stays.
    Listed {
        /// The objects.
        objects: Vec<T>,
        /// Those that are there but cannot be decoded.
        undecodable: Vec<Key>,
    },
    /// An object was created or changed.
    Applied(T),
    /// An object was deleted.
    Deleted(Key),
}

/// Counters of all watches of a process.
#[derive(Clone, Debug, Default)]
pub struct WatchMetrics {
    lists: Family<Kind, Counter>,
    errors: Family<Kind, Counter>,
    undecodable: Family<Kind, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

impl WatchMetrics {
    /// Adds the counters to `registry`.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("watch_lists", "Full lists read", metrics.lists.clone());
        registry.register(
            "watch_errors",
            "Watches interrupted",
            metrics.errors.clone(),
        );
        registry.register(
            "watch_undecodable",
            "Objects left out because they could not be decoded",
            metrics.undecodable.clone(),
        );
        metrics
    }

    /// The counters of `kind` begin: at 0, so that the first interruption is a rise.
    pub fn begin(&self, kind: &'static str) {
        for family in [&self.lists, &self.errors, &self.undecodable] {
            drop(family.get_or_create(&Kind { kind }));
        }
    }
}

/// The watch of one kind.
///
/// `K` is the kind, `T` what each object is decoded to.
pub struct Watch<K> {
    /// Where the objects are; guarded, so that one that cannot be decoded does not end the list.
    pub api: Api<DeserializeGuard<K>>,
    /// The plural name of the kind, for logs and metrics.
    pub kind: &'static str,
    /// Where interruptions are counted.
    pub metrics: WatchMetrics,
}

impl<K> Watch<K>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
    K::DynamicType: Default,
{
    /// Watches until `shutdown`, or until nobody receives any more.
    ///
    /// When `events` is full the watch waits. It then falls behind, and when the API server has
    /// forgotten what it missed it lists anew: late, but never wrong.
    pub async fn run<T, M>(
        self,
        decode: impl Fn(K) -> T,
        message: impl Fn(Event<T>) -> M,
        events: mpsc::Sender<M>,
        shutdown: CancellationToken,
    ) {
        let all = watcher::Config::default();
        self.follow(all, decode, message, events, shutdown).await;
    }

    /// Like [`Watch::run`], of the object `name` alone. That needs the permission to list and watch
    /// this one name, and no other.
    pub async fn run_one<T, M>(
        self,
        name: &str,
        decode: impl Fn(K) -> T,
        message: impl Fn(Event<T>) -> M,
        events: mpsc::Sender<M>,
        shutdown: CancellationToken,
    ) {
        let one = watcher::Config::default().fields(&format!("metadata.name={name}"));
        self.follow(one, decode, message, events, shutdown).await;
    }

    async fn follow<T, M>(
        self,
        config: watcher::Config,
        decode: impl Fn(K) -> T,
        message: impl Fn(Event<T>) -> M,
        events: mpsc::Sender<M>,
        shutdown: CancellationToken,
    ) {
        self.metrics.begin(self.kind);
        let kind = Kind { kind: self.kind };
        let config = config.page_size(PAGE).timeout(TIMEOUT_SECONDS);
        let begin = || {
            let stream = watcher(self.api.clone(), config.clone());
            stream.backoff(pauses()).boxed()
        };
        let mut stream = begin();
        let mut objects = Vec::new();
        let mut undecodable = Vec::new();
        let mut said: Option<String> = None;
        loop {
            let next = tokio::select! {
                next = stream.next() => next,
                () = shutdown.cancelled() => return,
            };
            let event = match next {
                None => return,
                Some(Ok(event)) => event,
                Some(Err(error)) => {
                    self.metrics.errors.get_or_create(&kind).inc();
                    say_once(&mut said, self.kind, &error);
                    // The stream would ask for the same version for ever.
                    if is_forgotten(&error) {
                        tokio::select! {
                            () = tokio::time::sleep(SHORTEST_PAUSE) => stream = begin(),
                            () = shutdown.cancelled() => return,
                        }
                    }
                    continue;
                }
            };
            if said.take().is_some() {
                tracing::info!(kind = self.kind, "watching again");
            }
            let decoded = match event {
                watcher::Event::Init => {
                    objects.clear();
                    undecodable.clear();
                    continue;
                }
                watcher::Event::InitApply(DeserializeGuard(Ok(object))) => {
                    objects.push(decode(object));
                    continue;
                }
                watcher::Event::InitApply(object) => {
                    self.leave_out(&kind, &object);
                    undecodable.push(Key::of(&object));
                    continue;
                }
                watcher::Event::InitDone => {
                    self.metrics.lists.get_or_create(&kind).inc();
                    Event::Listed {
                        objects: std::mem::take(&mut objects),
                        undecodable: std::mem::take(&mut undecodable),
                    }
                }
                watcher::Event::Apply(DeserializeGuard(Ok(object))) => {
                    Event::Applied(decode(object))
                }
                watcher::Event::Apply(object) => {
                    self.leave_out(&kind, &object);
                    continue;
                }
                watcher::Event::Delete(object) => Event::Deleted(Key::of(&object)),
            };
            if events.send(message(decoded)).await.is_err() {
                return;
            }
        }
    }

    fn leave_out(&self, kind: &Kind, object: &DeserializeGuard<K>) {
        self.metrics.undecodable.get_or_create(kind).inc();
        if let Err(invalid) = &object.0 {
            let Key { namespace, name } = Key::of(object);
            tracing::warn!(
                kind = self.kind,
                namespace,
                name,
                error = invalid.error,
                "left out, because it cannot be decoded"
            );
        }
    }
}

/// How long to wait before trying again. What a speaker says of its addresses has to be true within
/// 5 s of the API server's return, so it may not sleep longer than [`LONGEST_PAUSE`]; a handful of
/// watches for each node that try as often are no load for a server that starts.
fn pauses() -> ExponentialBackoff {
    let builder = ExponentialBuilder::default()
        .with_min_delay(SHORTEST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .with_factor(2.0)
        .with_jitter()
        .without_max_times();
    builder.into()
}

/// Whether a watch was refused because the server has forgotten the version that it was to begin at.
fn is_forgotten(error: &watcher::Error) -> bool {
    matches!(
        error,
        watcher::Error::WatchStartFailed(kube::Error::Api(status)) if status.code == 410
    )
}

/// Logs an error unless it is the one that was logged last: a server that stays away is one line,
/// not one for each try.
fn say_once(said: &mut Option<String>, kind: &str, error: &watcher::Error) {
    let error = match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => CallError::from(error),
        watcher::Error::WatchError(status) => CallError::from(&**status),
        error @ watcher::Error::NoResourceVersion => CallError::Other(error.to_string()),
    };
    let text = match &error {
        // An expired resourceVersion is the ordinary way in which a watch that slept long ends.
        CallError::Gone(_) => return,
        CallError::NotFound(_) => {
            format!("the API server does not know {kind}; apply manifests/install.yaml")
        }
        error => error.to_string(),
    };
    if said.as_deref() != Some(&text) {
        tracing::warn!(kind, error = text, "cannot watch; trying again");
        *said = Some(text);
    }
}

#[cfg(test)]
mod tests;
