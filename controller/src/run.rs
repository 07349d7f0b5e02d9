//! Every watch and task of the controller, by name.
//!
//! ```text
//! 8 watches --Input--> (bounded) --> the session: owns State --Change--> writers (bounded) --+
//!                                        ^                                                   |
//!                                        +------------------- Written -----------------------+
//! ```
//!
//! A session lasts as long as the replica leads. What it knows ends with it.

use std::time::{Duration, Instant};

use bellwether_core::lease::{Contender, Timing};
use bellwether_core::moment::Moment;
use bellwether_crds::{Announcement, IPAddressPool, L2Advertisement, Speaker};
use bellwether_daemon::call::CallError;
use bellwether_daemon::client::{ClientError, connect};
use bellwether_daemon::health::{Check, Health, Heartbeat};
use bellwether_daemon::serve::{Endpoints, ServeError, serve};
use bellwether_daemon::telemetry::{self, LogLevelError};
use bellwether_daemon::watch::{Event, Watch, WatchMetrics};
use bellwether_daemon::{VERSION, shutdown};
use k8s_openapi::api::core::v1::{Namespace, Node, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::jiff::Timestamp;
use kube::core::DeserializeGuard;
use kube::{Api, Client, Resource};
use prometheus_client::registry::Registry;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::apply::Applier;
use crate::beacon_keys;
use crate::change::Written;
use crate::events::Events;
use crate::facts::Target;
use crate::leadership;
use crate::metrics::{Metrics, Write, kind};
use crate::options::RunOptions;
use crate::state::{Input, Settings, State};

/// How many inputs may wait for the session. When they are that many, the watches wait; the API
/// server keeps what they have not read.
const INPUTS: usize = 1024;

/// The session turns round this often at least, so that its sign of life says something at rest too.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What turns round less often than this is stuck, or has ended by a panic: then the kubelet starts the
/// process anew. A step that takes in thousands of Services at once is done in a second.
const ALIVE: Duration = Duration::from_secs(30);

/// Why the controller cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The log level makes no sense.
    #[error(transparent)]
    LogLevel(#[from] LogLevelError),
    /// Signals cannot be waited for.
    #[error("cannot wait for signals: {0}")]
    Signals(std::io::Error),
    /// An address is taken.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// There is no way to the API server.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// The process's clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    /// A clock that starts now.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The moment that it is.
    #[must_use]
    pub fn now(self) -> Moment {
        Moment::ORIGIN + self.0.elapsed()
    }
}

/// What a replica has besides its part in the competition for the Lease.
pub struct Replica {
    /// Its clock.
    pub clock: Clock,
    /// Beats as long as the replica follows the Lease.
    pub heartbeat: Heartbeat,
}

/// Runs a replica until it is told to end.
pub async fn run(options: RunOptions) -> Result<(), RunError> {
    let log_level = telemetry::init(&options.log)?;
    let shutdown = shutdown::on_signal().map_err(RunError::Signals)?;
    tracing::info!(version = VERSION, "starting");
    let health = Health::default();
    let mut registry = Registry::with_prefix("bellwether_controller");
    let watches = WatchMetrics::register(&mut registry);
    let metrics = Metrics::register(&mut registry);
    let endpoints = Endpoints {
        health: options.health_address,
        metrics: options.metrics_address,
    };
    let reachable = health.readiness("api-server", "not reached yet");
    let listed = health.readiness("session", "not started yet");
    // Whoever does not lead has nothing to list.
    listed.set_ok();
    let in_session = health.liveness("session", ALIVE);
    in_session.rest();
    let competing = health.liveness("lease", ALIVE);
    competing.rest();
    serve(endpoints, health, log_level, registry, shutdown.clone())?;
    let client = match connect(&options.client, &shutdown).await {
        Err(ClientError::Cancelled) => return Ok(()),
        connected => connected?,
    };
    reachable.set_ok();

    let clock = Clock::start();
    let identity = options.identity.unwrap_or_else(default_identity);
    let contender = Contender::new(&identity, Timing::default(), clock.now());
    let session = Session {
        applier: Applier::new(client.clone(), Events::start(client.clone(), &identity)),
        client: client.clone(),
        namespace: options.namespace.clone(),
        settings: Settings {
            cordoned_may_announce: options.cordoned_may_announce,
            ..options.class.settings()
        },
        writers: usize::from(options.writers),
        clock,
        watches,
        metrics,
        listed,
        heartbeat: in_session,
    };
    let lead = |token: CancellationToken, unled_since: Option<Timestamp>| {
        session.clone().start(token, unled_since)
    };
    let replica = Replica {
        clock,
        heartbeat: competing,
    };
    leadership::compete(
        client,
        &options.namespace,
        contender,
        replica,
        shutdown,
        lead,
    )
    .await;
    Ok(())
}

/// The host's name and the PID: a pod has one of its own, and on one host two processes differ.
fn default_identity() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}-{}", host.trim(), std::process::id())
}

/// What a replica does while it leads.
#[derive(Clone)]
struct Session {
    client: Client,
    namespace: String,
    applier: Applier,
    settings: Settings,
    writers: usize,
    clock: Clock,
    watches: WatchMetrics,
    metrics: Metrics,
    listed: Check,
    /// Rests while the replica does not lead.
    heartbeat: Heartbeat,
}

impl Session {
    /// Nobody has led since then, if anybody ever has.
    fn start(self, token: CancellationToken, unled_since: Option<Timestamp>) -> JoinHandle<()> {
        tokio::spawn(async move {
            self.metrics.leader.set(1);
            let (sender, inputs) = mpsc::channel(INPUTS);
            let mut tasks = self.watch_everything(&sender, &token);
            drop(sender);
            tasks.spawn(beacon_keys::keep(
                self.client.clone(),
                self.namespace.clone(),
            ));
            self.work(inputs, unled_since, &token).await;
            drop(tasks);
            self.metrics.forget();
            self.listed.set_ok();
            self.heartbeat.rest();
        })
    }

    fn watch_everything(
        &self,
        inputs: &mpsc::Sender<Input>,
        token: &CancellationToken,
    ) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        let mut to = (&mut tasks, inputs, token);
        self.watch::<IPAddressPool, _>("ipaddresspools", &mut to, Input::Pool);
        self.watch::<L2Advertisement, _>("l2advertisements", &mut to, Input::Advertisement);
        self.watch::<Announcement, _>("announcements", &mut to, Input::Announcement);
        self.watch::<Speaker, _>("speakers", &mut to, Input::Speaker);
        self.watch::<Namespace, _>("namespaces", &mut to, Input::Namespace);
        self.watch::<Node, _>("nodes", &mut to, Input::Node);
        self.watch::<EndpointSlice, _>("endpointslices", &mut to, Input::Slice);
        self.watch::<Service, _>("services", &mut to, Input::Service);
        tasks
    }

    fn watch<K, T>(
        &self,
        kind: &'static str,
        (tasks, inputs, token): &mut (&mut JoinSet<()>, &mpsc::Sender<Input>, &CancellationToken),
        input: impl Fn(Event<T>) -> Input + Send + 'static,
    ) where
        K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned + Send + 'static,
        T: From<K> + Send + 'static,
    {
        let watch = Watch::<K> {
            api: Api::<DeserializeGuard<K>>::all(self.client.clone()),
            kind,
            metrics: self.watches.clone(),
        };
        tasks.spawn(watch.run(T::from, input, inputs.clone(), token.clone()));
    }

    /// Owns the state. Ends when told to; writes that are under way then are dropped, and whoever
    /// leads next sees what came of them.
    async fn work(
        &self,
        mut inputs: mpsc::Receiver<Input>,
        unled_since: Option<Timestamp>,
        token: &CancellationToken,
    ) {
        let seed = self.clock.now().as_nanos() ^ u64::from(std::process::id());
        let mut state = State::new(self.settings.clone(), seed)
            .at(self.clock.now(), Timestamp::now())
            .unled_since(unled_since);
        let mut writers = JoinSet::new();
        let mut begun = Instant::now();
        loop {
            self.heartbeat.beat();
            self.dispatch(&mut state, &mut writers);
            self.report(&mut state);
            self.metrics
                .plan_duration
                .observe(begun.elapsed().as_secs_f64());
            let pause = state.next_deadline().map_or(LONGEST_PAUSE, |deadline| {
                deadline.since(self.clock.now()).min(LONGEST_PAUSE)
            });
            tokio::select! {
                () = token.cancelled() => return,
                input = inputs.recv() => {
                    let Some(input) = input else { return };
                    begun = Instant::now();
                    state.handle(input, self.clock.now());
                    // What has come meanwhile is one step: a list of a thousand is not a thousand.
                    while let Ok(input) = inputs.try_recv() {
                        state.handle(input, self.clock.now());
                    }
                }
                Some(ended) = writers.join_next() => {
                    begun = Instant::now();
                    if let Ok((target, result)) = ended {
                        state.handle(Input::Written { target, result }, self.clock.now());
                    }
                }
                () = tokio::time::sleep(pause) => {
                    begun = Instant::now();
                    state.on_deadline(self.clock.now());
                }
            }
        }
    }

    /// Hands out changes as long as there are writers.
    fn dispatch(
        &self,
        state: &mut State,
        writers: &mut JoinSet<(Target, Result<Written, CallError>)>,
    ) {
        while writers.len() < self.writers
            && let Some((target, change)) = state.poll_output(Timestamp::now())
        {
            tracing::debug!(?target, ?change, "writing");
            let (applier, metrics) = (self.applier.clone(), self.metrics.clone());
            writers.spawn(async move {
                let start = Instant::now();
                let result = applier.apply(change).await;
                metrics
                    .write_duration
                    .observe(start.elapsed().as_secs_f64());
                let outcome = if result.is_ok() { "ok" } else { "failed" };
                let write = Write {
                    kind: kind(&target),
                    result: outcome,
                };
                metrics.writes.get_or_create(&write).inc();
                if let Err(error) = &result {
                    say(&target, error);
                }
                (target, result)
            });
        }
    }

    fn report(&self, state: &mut State) {
        self.metrics.follow(state);
        if state.is_complete() {
            self.listed.set_ok();
        } else {
            let missing: Vec<&str> = state.not_listed().collect();
            self.listed
                .set_failing(&format!("not listed yet: {}", missing.join(", ")));
        }
    }
}

/// A conflict is the ordinary way in which two writers meet; anything else is worth a line.
fn say(target: &Target, error: &CallError) {
    match error {
        CallError::Conflict(_) | CallError::AlreadyExists(_) | CallError::NotFound(_) => {
            tracing::debug!(?target, %error, "not written; looking at it again");
        }
        error => tracing::warn!(?target, %error, "not written; trying again"),
    }
}

#[cfg(test)]
mod tests;
