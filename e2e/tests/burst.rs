//! Something happens to the leading controller in the middle of a burst of Services: all are served,
//! none twice, and an address that was once shown never changes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bellwether_crds::Announcement;
use bellwether_e2e::audit::{AuditLog, AuditedWrite};
use bellwether_e2e::cluster::ingress;
use bellwether_e2e::control::Action;
use bellwether_e2e::error::{Context, Error};
use bellwether_e2e::lab::wait_for;
use bellwether_e2e::{Lab, Result};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Service;
use kube::api::{ListParams, PostParams};
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt};
use serde_json::json;

const LAB: &str = env!("CARGO_BIN_EXE_bellwether-lab");

/// Nothing announces its addresses, so that speakers do not write at the same time.
const POOL: &str = "\
apiVersion: bellwether.dev/v1beta1
kind: IPAddressPool
metadata: {name: burst}
spec: {addresses: [198.18.0.0/16]}
";

/// How many Services are created at once.
const SERVICES: usize = 500;

/// How many of them are served when something happens.
const SERVED: usize = 150;

/// How many writes of a controller are under way at most.
const IN_FLIGHT: usize = 32;

/// A leader that is gone is succeeded after 15 s; the rest is for a slow machine.
const LIMIT: Duration = Duration::from_mins(2);

/// The addresses of Services, as a watch sees them.
#[derive(Clone, Default)]
struct Seen(
    Arc<Mutex<BTreeMap<String, Vec<IpAddr>>>>,
    Arc<Mutex<Vec<String>>>,
);

impl Seen {
    fn watch(client: Client) -> Self {
        let seen = Self::default();
        let to = seen.clone();
        tokio::spawn(async move {
            let stream = watcher(Api::<Service>::all(client), watcher::Config::default());
            let mut stream = pin!(stream);
            while let Some(event) = stream.next().await {
                if let Ok(watcher::Event::Apply(service) | watcher::Event::InitApply(service)) =
                    event
                {
                    to.note(&service);
                }
            }
        });
        seen
    }

    fn note(&self, service: &Service) {
        let (name, now) = (service.name_any(), ingress(service));
        let mut all = lock(&self.0);
        let before = all.get(&name).cloned().unwrap_or_default();
        if !before.is_empty() && before != now {
            lock(&self.1).push(format!("{name}: {before:?} became {now:?}"));
        }
        all.insert(name, now);
    }

    /// How many of a series have an address.
    fn served(&self, series: &str) -> usize {
        let all = lock(&self.0);
        let of_series = all.iter().filter(|(name, _)| is_of(name, series));
        of_series.filter(|(_, shown)| !shown.is_empty()).count()
    }

    async fn wait_served(&self, series: &str, count: usize) -> Result<()> {
        let what = format!("{count} Services {series} having an address");
        wait_for(&what, LIMIT, async || match self.served(series) {
            served if served >= count => Ok(()),
            served => Err(format!("{served} have")),
        })
        .await
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_of(name: &str, series: &str) -> bool {
    name.rsplit_once('-').map(|(series, _)| series) == Some(series)
}

/// Creates the Services of a series, as fast as the API server takes them.
async fn create(client: Client, series: &'static str) -> Result<()> {
    let api: Api<Service> = Api::namespaced(client, "default");
    futures::stream::iter(0..SERVICES)
        .map(async |number| {
            // kube-proxy leaves them alone, and they take none of the few node ports.
            let service = json!({
                "metadata": {
                    "name": format!("{series}-{number}"),
                    "labels": {"service.kubernetes.io/service-proxy-name": "none"},
                },
                "spec": {
                    "type": "LoadBalancer", "allocateLoadBalancerNodePorts": false,
                    "ports": [{"port": 80}],
                },
            });
            let service = serde_json::from_value(service)
                .map_err(|error| Error::Unexpected(error.to_string()))?;
            api.create(&PostParams::default(), &service)
                .await
                .context(|| "cannot create a Service".to_owned())
                .map(drop)
        })
        .buffer_unordered(16)
        .try_collect()
        .await
}

/// What happens to the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Killed,
    Paused,
    CutOff,
}

impl Fate {
    const fn series(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Paused => "paused",
            Self::CutOff => "cutoff",
        }
    }

    async fn strike(self, lab: &Lab, leader: &str) -> Result<()> {
        match self {
            Self::Killed => lab.act(leader, Action::Kill).await,
            Self::Paused => lab.act(leader, Action::Pause).await,
            Self::CutOff => lab.cut_controller(number(leader)).await,
        }
    }

    async fn undo(self, lab: &Lab, leader: &str) -> Result<()> {
        match self {
            Self::Killed => lab.act(leader, Action::Start).await,
            Self::Paused => lab.act(leader, Action::Resume).await,
            Self::CutOff => lab.join_controller(number(leader)).await,
        }
    }
}

fn number(controller: &str) -> u16 {
    controller
        .trim_start_matches("controller-")
        .parse()
        .unwrap_or_default()
}

async fn wait_leader(lab: &Lab, other_than: &str) -> Result<String> {
    let what = format!("a leader other than {other_than:?}");
    wait_for(&what, LIMIT, async || {
        match lab.leader().await.map_err(|error| error.to_string())? {
            Some(leader) if leader != other_than => Ok(leader),
            leader => Err(format!("{leader:?}")),
        }
    })
    .await
}

#[tokio::test]
async fn weakness_4_31_a_burst_is_served_once_and_for_good_whatever_happens_to_the_leader()
-> Result<()> {
    let lab = Lab::for_test(LAB, |options| options.nodes = 1).await?;
    lab.apply(POOL).await?;
    let seen = Seen::watch(lab.client());
    let mut audit = AuditLog::of(lab.folder());
    let mut taken = BTreeSet::new();
    for fate in [Fate::Killed, Fate::Paused, Fate::CutOff] {
        audit.settle().await?;
        let before = audit.read()?.len();
        let leader = wait_leader(&lab, "").await?;
        let series = fate.series();
        let creating = tokio::spawn(create(lab.client(), series));
        seen.wait_served(series, SERVED).await?;
        fate.strike(&lab, &leader).await?;
        // Else it would not be in the middle.
        assert!(seen.served(series) < SERVICES, "{fate:?} came too late");
        let ended = creating.await;
        ended.map_err(|error| Error::Unexpected(error.to_string()))??;
        wait_leader(&lab, &leader).await?;
        seen.wait_served(series, SERVICES).await?;
        fate.undo(&lab, &leader).await?;
        audit.settle().await?;

        assert_eq!(*lock(&seen.1), Vec::<String>::new(), "{fate:?}");
        let all = addresses_of(&lab, series).await?;
        assert_eq!(all.len(), SERVICES, "{fate:?}");
        for (name, shown) in &all {
            let [address] = shown[..] else {
                return Err(Error::Unexpected(format!("{name} shows {shown:?}")));
            };
            assert!(taken.insert(address), "{fate:?}: {address} was given twice");
        }
        assert_writes(fate, &audit.read()?[before..]);
        let announcements: Api<Announcement> = Api::all(lab.client());
        let list = announcements.list(&ListParams::default()).await;
        let list = list.context(|| "cannot list Announcements".to_owned())?;
        let reserved: BTreeSet<IpAddr> = list.iter().map(|one| one.spec.address).collect();
        assert_eq!(reserved, taken, "{fate:?}");
    }
    Ok(())
}

async fn addresses_of(lab: &Lab, series: &str) -> Result<BTreeMap<String, Vec<IpAddr>>> {
    let api: Api<Service> = Api::namespaced(lab.client(), "default");
    let list = api.list(&ListParams::default()).await;
    let list = list.context(|| "cannot list Services".to_owned())?;
    let of_series = list.iter().filter(|one| is_of(&one.name_any(), series));
    Ok(of_series
        .map(|service| (service.name_any(), ingress(service)))
        .collect())
}

/// One status and one Announcement for each Service, whoever leads, and nothing else but counters and
/// events.
fn assert_writes(fate: Fate, writes: &[AuditedWrite]) {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for write in writes.iter().filter(|write| write.took_effect()) {
        let count = counts.entry((&write.verb, &write.resource)).or_default();
        *count += 1;
    }
    counts.remove(&("patch", "ipaddresspools/status"));
    let events = counts.remove(&("create", "events")).unwrap_or_default();
    assert!(events <= SERVICES, "{fate:?}: {events} events");
    for needed in [("create", "announcements"), ("patch", "services/status")] {
        let count = counts.remove(&needed).unwrap_or_default();
        // Of writes under way when their writer was killed, the log does not tell what came of them.
        let untold = if fate == Fate::Killed { IN_FLIGHT } else { 0 };
        let told = SERVICES - untold..=SERVICES;
        assert!(told.contains(&count), "{fate:?}: {count} of {needed:?}");
    }
    assert_eq!(counts, BTreeMap::new(), "{fate:?}");
}
