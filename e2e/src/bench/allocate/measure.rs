//! The series of measurements, from within the lab.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bellwether_crds::{IPAddressPool, L2Advertisement};
use futures::{StreamExt, TryStreamExt};
use kube::api::PostParams;
use kube::{Api, Client};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Figures;
use super::watching::Watching;
use super::writes::{IN_FLIGHT, Writer, name_in};
use crate::audit::{AuditLog, AuditedWrite};
use crate::bench::failover::outcome::percentile;
use crate::control::{Action, Folder, Request};
use crate::control_plane;
use crate::error::{Context, Error, Result};

/// How long nothing must have been written until all is at rest: longer than any pace of the product.
const QUIET: Duration = Duration::from_secs(4);

/// How long nothing may be written at rest.
const REST: Duration = Duration::from_secs(10);

/// One by one, and in a burst, more would tell nothing new.
const ONE_BY_ONE: u32 = 300;
const BURST: u32 = 1000;
const ANNOUNCED: u32 = 100;

const CONTROLLER: &str = "controller-0";

/// Which lab, and how much.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Orders {
    /// The folder of the lab.
    pub folder: PathBuf,
    /// How many Services there shall be.
    pub services: u32,
}

/// Measures it all. Runs on the control plane's host.
pub async fn measure(orders: Orders) -> Result<Figures> {
    let folder = Folder::at(&orders.folder);
    let path = folder.inner_kubeconfig();
    let kubeconfig =
        std::fs::read_to_string(&path).context(|| format!("cannot read {}", path.display()))?;
    let client = control_plane::client(&kubeconfig).await?;
    let mut bench = Bench {
        writer: Writer::new(client.clone()),
        watching: Watching::start(client.clone()),
        audit: AuditLog::of(&folder),
        folder,
        services: orders.services,
    };
    apply_pools(&client).await?;
    bench.run().await
}

/// A pool of which nothing is announced, and one of which everything is.
async fn apply_pools(client: &Client) -> Result<()> {
    let parse = |error: serde_json::Error| Error::Unexpected(error.to_string());
    let pools: Api<IPAddressPool> = Api::all(client.clone());
    for (name, addresses) in [("bench", "198.18.0.0/16"), ("announced", "192.0.2.128/25")] {
        let pool = json!({"metadata": {"name": name}, "spec": {"addresses": [addresses]}});
        let pool = serde_json::from_value(pool).map_err(parse)?;
        pools
            .create(&PostParams::default(), &pool)
            .await
            .context(|| format!("cannot create pool {name}"))?;
    }
    let advertisement = json!({
        "metadata": {"name": "announced"}, "spec": {"ipAddressPools": ["announced"]},
    });
    let advertisement = serde_json::from_value(advertisement).map_err(parse)?;
    Api::<L2Advertisement>::all(client.clone())
        .create(&PostParams::default(), &advertisement)
        .await
        .context(|| "cannot create an L2Advertisement".to_owned())
        .map(drop)
}

struct Bench {
    folder: Folder,
    writer: Writer,
    watching: Watching,
    audit: AuditLog,
    services: u32,
}

impl Bench {
    async fn run(&mut self) -> Result<Figures> {
        self.settle().await?;
        self.act(Action::Stop).await?;

        say("the benchmark's own writes, many at once");
        let own = self.writer.create_all("own", self.services).await?;
        let start = Instant::now();
        self.writer.serve_all(&own).await?;
        let own_s = start.elapsed().as_secs_f64();
        drop(own);
        say("the benchmark's own writes, one after the other");
        let api = self.own_one_by_one().await?;
        self.writer.delete_series("own").await?;
        self.writer.delete_series("api").await?;
        self.writer.delete_announcements().await?;

        say("cold");
        self.writer.create_all("cold", self.services).await?;
        let start = Instant::now();
        self.act(Action::Start).await?;
        let count = self.services as usize;
        self.watching.wait_series("cold", count).await?;
        let cold_s = start.elapsed().as_secs_f64();
        self.settle().await?;
        let rss = self.memory()?;

        say("one by one");
        let single = self.one_by_one().await?;
        self.writer.delete_series("single").await?;
        self.settle().await?;

        say("restart");
        let (restart_ms, writes_at_restart) = self.restart().await?;
        let rss = rss.max(self.memory()?);

        say("deletion, and rest");
        let before = self.audit.read()?.len();
        self.writer.delete(&name_in("cold", 0)).await?;
        self.settle().await?;
        let before_rest = self.audit.read()?.len();
        tokio::time::sleep(REST).await;
        let writes_at_rest = self.audit.read()?.len() - before_rest;

        say("announced Services");
        let [all, controller, events] = self.announced().await?;

        say("a burst");
        let burst = self.burst().await?;
        let [api_p50_ms, api_p99_ms] = [50, 99].map(|percent| percentile(&api, percent));
        Ok(Figures {
            services: self.services,
            api_p50_ms,
            api_p99_ms,
            p50_ms: percentile(&single, 50),
            p99_ms: percentile(&single, 99),
            over_api_p50_ms: percentile(&single, 50) - api_p50_ms,
            over_api_p99_ms: percentile(&single, 99) - api_p99_ms,
            cold_s,
            own_s,
            cold_over_api: cold_s / own_s,
            burst_lag_p50_ms: percentile(&burst, 50),
            burst_lag_p99_ms: percentile(&burst, 99),
            restart_ms,
            rss_mib: rss,
            writes_per_service: all,
            controller_writes_per_service: controller,
            events_per_service: events,
            writes_per_delete: before_rest - before,
            writes_at_restart,
            writes_at_rest,
        })
    }

    async fn own_one_by_one(&self) -> Result<Vec<f64>> {
        let mut times = Vec::new();
        for number in 0..self.services.min(ONE_BY_ONE) {
            let start = Instant::now();
            let service = self.writer.create("api", number, "bench").await?;
            self.writer.serve(&service, self.services + number).await?;
            times.push(ms(start.elapsed()));
        }
        Ok(sorted(times))
    }

    async fn one_by_one(&self) -> Result<Vec<f64>> {
        let mut times = Vec::new();
        for number in 0..self.services.min(ONE_BY_ONE) {
            let start = Instant::now();
            self.writer.create("single", number, "bench").await?;
            let served = self
                .watching
                .wait_served(&name_in("single", number))
                .await?;
            times.push(ms(served - start));
        }
        Ok(sorted(times))
    }

    /// How long a new Service waits, and how often something was written that had not changed.
    async fn restart(&mut self) -> Result<(f64, usize)> {
        self.act(Action::Stop).await?;
        self.writer.create("new", 0, "bench").await?;
        let before = self.audit.read()?.len();
        let start = Instant::now();
        self.act(Action::Start).await?;
        let new = name_in("new", 0);
        let served = self.watching.wait_served(&new).await?;
        self.settle().await?;
        let writes = &self.audit.read()?[before..];
        // The new one has its Announcement, its status and its event, and its pool counts it.
        let mut created = 0;
        let is_of_new = |write: &&AuditedWrite| match write.resource.as_str() {
            "services/status" => write.name == new,
            "announcements" if write.verb == "create" => {
                created += 1;
                created == 1
            }
            "events" => write.name.is_empty() || write.name.starts_with(&new),
            "ipaddresspools/status" => true,
            _ => false,
        };
        let of_new = writes.iter().filter(is_of_new).count();
        Ok((ms(served - start), writes.len() - of_new))
    }

    /// Writes per Service that is announced in the end: all, those of the controller, and events.
    async fn announced(&mut self) -> Result<[f64; 3]> {
        let count = self.services.min(ANNOUNCED);
        let before = self.audit.read()?.len();
        let numbers = futures::stream::iter(0..count);
        let writer = &self.writer;
        let creations = numbers.map(|number| writer.create("seen", number, "announced"));
        let _created: Vec<_> = creations.buffer_unordered(IN_FLIGHT).try_collect().await?;
        for number in 0..count {
            self.watching
                .wait_announced(&name_in("seen", number))
                .await?;
        }
        self.settle().await?;
        let audited = &self.audit.read()?[before..];
        let kinds = BTreeSet::from(["services", "services/status", "announcements"]);
        let counts = |write: &AuditedWrite| {
            kinds.contains(write.resource.as_str()) || write.resource == "announcements/status"
        };
        let per_service = |is_such: &dyn Fn(&AuditedWrite) -> bool| {
            let found = audited.iter().filter(|write| is_such(write)).count();
            f64::from(u32::try_from(found).unwrap_or(u32::MAX)) / f64::from(count)
        };
        Ok([
            per_service(&counts),
            per_service(&|write| counts(write) && write.by == "bellwether-controller"),
            per_service(&|write| write.resource == "events"),
        ])
    }

    /// How long each of many waits that are created as fast as the API server takes them.
    async fn burst(&self) -> Result<Vec<f64>> {
        let count = self.services.min(BURST);
        let accepted: Vec<(u32, Instant)> = futures::stream::iter(0..count)
            .map(async |number| {
                self.writer.create("burst", number, "bench").await?;
                Ok::<_, Error>((number, Instant::now()))
            })
            .buffer_unordered(IN_FLIGHT)
            .try_collect()
            .await?;
        let mut times = Vec::new();
        for (number, accepted) in accepted {
            let served = self.watching.wait_served(&name_in("burst", number)).await?;
            times.push(ms(served.saturating_duration_since(accepted)));
        }
        Ok(sorted(times))
    }

    /// Waits until the product writes nothing any more.
    async fn settle(&mut self) -> Result<()> {
        let mut count = self.audit.read()?.len();
        loop {
            tokio::time::sleep(QUIET).await;
            let now = self.audit.read()?.len();
            if now == count {
                return Ok(());
            }
            count = now;
        }
    }

    async fn act(&self, action: Action) -> Result<()> {
        let name = CONTROLLER.to_owned();
        self.folder
            .ask(&Request::Program { name, action })
            .await
            .map(drop)
    }

    /// The resident memory of the controller, in MiB.
    fn memory(&self) -> Result<f64> {
        let failed = || "cannot read the memory of the controller".to_owned();
        let folder = self.folder.path().display().to_string();
        for entry in std::fs::read_dir("/proc").context(failed)?.flatten() {
            let read = |file: &str| std::fs::read_to_string(entry.path().join(file));
            let command = read("cmdline").unwrap_or_default();
            if !(command.contains("bellwether-controller\0run")
                && command.contains(&format!("--identity={CONTROLLER}"))
                && command.contains(&folder))
            {
                continue;
            }
            let status = read("status").context(failed)?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
            let number = line.and_then(|line| line.trim().split(' ').next()?.parse::<u32>().ok());
            return number
                .map(|kib| f64::from(kib) / 1024.0)
                .ok_or_else(|| Error::Unexpected(failed()));
        }
        Err(Error::Unexpected(
            "the controller does not run; see its log".to_owned(),
        ))
    }
}

fn say(step: &str) {
    eprintln!("measuring: {step}");
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn sorted(mut times: Vec<f64>) -> Vec<f64> {
    times.sort_by(f64::total_cmp);
    times
}
