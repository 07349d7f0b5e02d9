//! Since when which Services have their addresses, as a watch tells it.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bellwether_crds::condition::SERVICE_ANNOUNCED;
use futures::StreamExt;
use k8s_openapi::api::core::v1::Service;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client, ResourceExt};
use tokio::sync::Notify;

use super::writes::series_of;
use crate::cluster::ingress;
use crate::error::{Error, Result};

/// How long is waited for the last of many.
const LIMIT: Duration = Duration::from_mins(20);

/// A watch of all Services.
#[derive(Clone, Default)]
pub(super) struct Watching(Arc<Shared>);

#[derive(Default)]
struct Shared {
    seen: Mutex<Seen>,
    changed: Notify,
}

#[derive(Default)]
struct Seen {
    /// When each was first seen with an address.
    served: HashMap<String, Instant>,
    /// How many of each series are served.
    count: HashMap<String, usize>,
    /// When each was first seen announced.
    announced: HashMap<String, Instant>,
}

impl Watching {
    /// Begins to watch.
    pub(super) fn start(client: Client) -> Self {
        let watching = Self::default();
        let to = watching.clone();
        tokio::spawn(async move {
            let config = watcher::Config::default();
            let stream = watcher(Api::<Service>::all(client), config).default_backoff();
            let mut stream = pin!(stream);
            while let Some(event) = stream.next().await {
                if let Ok(watcher::Event::Apply(service) | watcher::Event::InitApply(service)) =
                    event
                {
                    to.note(&service);
                }
            }
        });
        watching
    }

    fn note(&self, service: &Service) {
        let now = Instant::now();
        let name = service.name_any();
        let mut seen = self.seen();
        if !ingress(service).is_empty() && !seen.served.contains_key(&name) {
            *seen.count.entry(series_of(&name).to_owned()).or_default() += 1;
            seen.served.insert(name.clone(), now);
            self.0.changed.notify_waiters();
        }
        let status = service.status.as_ref();
        let mut conditions = status
            .iter()
            .flat_map(|status| status.conditions.iter().flatten());
        if conditions.any(|one| one.type_ == SERVICE_ANNOUNCED && one.status == "True") {
            seen.announced.entry(name).or_insert(now);
            self.0.changed.notify_waiters();
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a Service has its address; since when it has.
    pub(super) async fn wait_served(&self, name: &str) -> Result<Instant> {
        self.wait(name, |seen| seen.served.get(name).copied()).await
    }

    /// Waits until `count` of a series have their addresses.
    pub(super) async fn wait_series(&self, series: &str, count: usize) -> Result<()> {
        self.wait(series, |seen| {
            (seen.count.get(series).copied() >= Some(count)).then_some(())
        })
        .await
    }

    /// Waits until a Service is announced.
    pub(super) async fn wait_announced(&self, name: &str) -> Result<Instant> {
        self.wait(name, |seen| seen.announced.get(name).copied())
            .await
    }

    async fn wait<T>(&self, what: &str, find: impl Fn(&Seen) -> Option<T>) -> Result<T> {
        let waiting = async {
            loop {
                let mut changed = pin!(self.0.changed.notified());
                // From now on no change is missed.
                changed.as_mut().enable();
                if let Some(found) = find(&self.seen()) {
                    return found;
                }
                changed.await;
            }
        };
        tokio::time::timeout(LIMIT, waiting)
            .await
            .map_err(|_| Error::TimedOut {
                what: format!("Service {what} being served"),
                limit: LIMIT,
                seen: format!("{:?}", self.seen().count),
            })
    }
}
