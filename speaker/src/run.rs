//! Every watch, task and thread of the speaker, by name.
//!
//! ```text
//! 3 watches --Event--> (bounded) --+                      +--> View ------> Inbox --> L2 thread
//! links::follow --latest links-----+--> the one task -----+                               |
//! L2 thread --Report--> (bounded) -+   that owns both     +--> Reporter --> writers       |
//!      ^                                                                                  |
//!      +----------------------------------------------------------------------------------+
//! ```

use std::io;
use std::time::Duration;

use bellwether_core::announcer;
use bellwether_core::link::Links;
use bellwether_core::name::NodeName;
use bellwether_crds::{Announcement, L2Advertisement, Speaker};
use bellwether_daemon::client::{ClientError, connect};
use bellwether_daemon::health::{Check, Health};
use bellwether_daemon::serve::{Endpoints, ServeError, serve};
use bellwether_daemon::telemetry::{self, LogLevelError};
use bellwether_daemon::watch::{Event, Watch, WatchMetrics};
use bellwether_daemon::{VERSION, shutdown};
use k8s_openapi::jiff::Timestamp;
use kube::core::DeserializeGuard;
use kube::{Api, Client, Resource};
use prometheus_client::registry::Registry;
use regex::RegexSet;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::facts::{AdvertisementFacts, AnnouncementFacts, SpeakerFacts};
use crate::l2::{self, Inbox, Report};
use crate::metrics::Metrics;
use crate::options::RunOptions;
use crate::reporter::{Input, Now, Reporter};
use crate::view::View;
use crate::{clock, links, writer};

/// How many events may wait. When they are that many, the watches wait; the API server keeps what
/// they have not read.
const EVENTS: usize = 256;

/// How many reports may wait. When they are that many, the L2 thread drops further ones, and says
/// all there is to say when there is room again.
const REPORTS: usize = 1024;

/// How many statuses are written at once.
const WRITERS: usize = 16;

/// How long the L2 thread may be silent before the speaker counts as dead.
const SILENCE: Duration = Duration::from_secs(10);

/// How long the last statuses may take when the speaker ends. Less than any grace period.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Why the speaker cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The log level makes no sense.
    #[error(transparent)]
    LogLevel(#[from] LogLevelError),
    /// An expression makes no sense.
    #[error("--exclude-interfaces: {0}; write regular expressions with commas between")]
    Excluded(#[from] regex::Error),
    /// Signals cannot be waited for.
    #[error("cannot wait for signals: {0}")]
    Signals(io::Error),
    /// An address is taken.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// There is no way to the API server.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The thread that announces could not start, or has ended by itself.
    #[error("the L2 thread: {0}")]
    L2(io::Error),
}

/// What the API says, of any kind.
enum FromApi {
    Announcement(Event<Option<AnnouncementFacts>>),
    Advertisement(Event<AdvertisementFacts>),
    Speaker(Event<SpeakerFacts>),
}

/// Runs the speaker of a node until it is told to end.
pub async fn run(options: RunOptions) -> Result<(), RunError> {
    let log_level = telemetry::init(&options.log)?;
    let excluded = RegexSet::new(&options.exclude_interfaces)?;
    let shutdown = shutdown::on_signal().map_err(RunError::Signals)?;
    let node = NodeName::from(&options.node_name);
    tracing::info!(version = VERSION, %node, "starting");

    let health = Health::default();
    let mut registry = Registry::with_prefix("bellwether_speaker");
    let watches = WatchMetrics::register(&mut registry);
    let metrics = Metrics::register(&mut registry);
    let endpoints = Endpoints {
        health: options.health_address,
        metrics: options.metrics_address,
    };
    let listed = health.readiness("api", "nothing listed yet");
    let known = health.readiness("links", "not known yet");
    let open = health.readiness("sockets", "not open yet");
    let heartbeat = health.liveness("l2", SILENCE);
    serve(endpoints, health, log_level, registry, shutdown.clone()).await?;

    let (sender, reports) = mpsc::channel(REPORTS);
    let config = l2::Config {
        node: node.clone(),
        announcer: announcer::Config {
            refresh: options.refresh,
            frames_per_second: options.frames_per_second,
            ..announcer::Config::default()
        },
        metrics: metrics.clone(),
        heartbeat,
        reports: sender,
    };
    let (inbox, thread) = l2::spawn(config).map_err(RunError::L2)?;
    // The links go on being followed while the last statuses are written.
    let tasks = CancellationToken::new();
    let _stop_tasks = tasks.clone().drop_guard();
    let (publish, links) = watch::channel(None);
    let to_thread = inbox.clone();
    tokio::spawn(links::follow(
        excluded,
        metrics.clone(),
        move |links: Links| {
            to_thread.set_links(links.clone());
            publish.send_replace(Some(links));
        },
        tasks.clone(),
    ));

    let client = match connect(&options.client, &shutdown).await {
        Err(ClientError::Cancelled) => return Ok(()),
        connected => connected?,
    };
    let events = watch_everything(&client, &node, &watches, &tasks);
    let desk = Desk {
        view: View::new(node.clone()),
        reporter: Reporter::new(node.clone()),
        node,
        client,
        inbox: inbox.clone(),
        metrics,
        checks: Checks {
            listed,
            known,
            open,
        },
        writers: JoinSet::new(),
    };
    desk.work(events, links, reports, shutdown).await;
    inbox.stop();
    let ended = tokio::task::spawn_blocking(move || thread.join()).await;
    match ended {
        Ok(Ok(result)) => result.map_err(RunError::L2),
        Ok(Err(_)) | Err(_) => Err(RunError::L2(io::Error::other("it panicked"))),
    }
}

fn watch_everything(
    client: &Client,
    node: &NodeName,
    metrics: &WatchMetrics,
    stop: &CancellationToken,
) -> mpsc::Receiver<FromApi> {
    let (sender, events) = mpsc::channel(EVENTS);
    let node = node.clone();
    tokio::spawn(
        guarded::<Announcement>(client, "announcements", metrics).run(
            AnnouncementFacts::of,
            FromApi::Announcement,
            sender.clone(),
            stop.clone(),
        ),
    );
    tokio::spawn(
        guarded::<L2Advertisement>(client, "l2advertisements", metrics).run(
            AdvertisementFacts::from,
            FromApi::Advertisement,
            sender.clone(),
            stop.clone(),
        ),
    );
    tokio::spawn(guarded::<Speaker>(client, "speakers", metrics).run(
        move |speaker| SpeakerFacts::of(speaker, &node),
        FromApi::Speaker,
        sender,
        stop.clone(),
    ));
    events
}

fn guarded<K>(client: &Client, kind: &'static str, metrics: &WatchMetrics) -> Watch<K>
where
    K: Resource<DynamicType = ()> + DeserializeOwned,
{
    Watch {
        api: Api::<DeserializeGuard<K>>::all(client.clone()),
        kind,
        metrics: metrics.clone(),
    }
}

/// The conditions for being ready.
struct Checks {
    listed: Check,
    known: Check,
    open: Check,
}

/// The one task that owns what is known of the API and what is said to it.
struct Desk {
    node: NodeName,
    client: Client,
    view: View,
    reporter: Reporter,
    inbox: Inbox,
    metrics: Metrics,
    checks: Checks,
    writers: JoinSet<Input>,
}

impl Desk {
    /// Works until it is told to end; then has the L2 thread release everything, and says so.
    async fn work(
        mut self,
        mut events: mpsc::Receiver<FromApi>,
        mut links: watch::Receiver<Option<Links>>,
        mut reports: mpsc::Receiver<Report>,
        shutdown: CancellationToken,
    ) {
        let mut is_stopping = false;
        let mut last_words = None;
        loop {
            self.write_what_differs();
            if is_stopping && self.reporter.is_done() && reports.is_closed() {
                return;
            }
            let due = self.reporter.next_deadline();
            let pause = due.map(|due| due.since(clock::now()));
            tokio::select! {
                () = shutdown.cancelled(), if !is_stopping => {
                    is_stopping = true;
                    last_words = Some(tokio::time::Instant::now() + LAST_WORDS);
                    self.inbox.stop();
                }
                () = until(last_words) => {
                    tracing::warn!("ending, although not every status could be written");
                    return;
                }
                Some(event) = events.recv() => self.take_in(event),
                Ok(()) = links.changed() => self.take_links(&mut links),
                report = reports.recv(), if !reports.is_closed() || !reports.is_empty() => {
                    let Some(report) = report else {
                        // The thread holds the other end for as long as it lives.
                        self.reporter.handle(Input::Ended, now());
                        if !is_stopping {
                            return;
                        }
                        continue;
                    };
                    self.take_report(report);
                }
                Some(Ok(written)) = self.writers.join_next() => {
                    self.reporter.handle(written, now());
                }
                () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {
                    self.reporter.on_deadline(clock::now());
                }
            }
        }
    }

    fn take_in(&mut self, event: FromApi) {
        match event {
            FromApi::Announcement(event) => {
                self.view.announcement(&event);
                self.reporter.handle(Input::Announcement(event), now());
            }
            FromApi::Advertisement(event) => self.view.advertisement(event),
            FromApi::Speaker(event) => {
                self.view.speaker(&event);
                self.reporter.handle(Input::Speaker(event), now());
            }
        }
        let missing: Vec<&str> = self.view.missing().collect();
        if !missing.is_empty() {
            let reason = format!("not listed yet: {}", missing.join(", "));
            self.checks.listed.set_failing(&reason);
            return;
        }
        self.checks.listed.set_ok();
        if let Some(assignments) = self.view.assignments() {
            self.inbox.set_assignments(assignments);
            self.reporter.handle(Input::Assigned, now());
        }
    }

    fn take_links(&mut self, links: &mut watch::Receiver<Option<Links>>) {
        let latest = links.borrow_and_update().clone();
        if let Some(links) = latest {
            self.checks.known.set_ok();
            self.checks.open.set_ok();
            self.reporter.handle(Input::Links(links), now());
        }
    }

    fn take_report(&mut self, report: Report) {
        match &report {
            Report::Own(owned) => {
                tracing::info!(address = %owned.address, reason = %owned.reason, "announcing");
            }
            Report::Release { address, reason } => {
                tracing::info!(%address, %reason, "not announcing any more");
            }
            // Two speakers that overlap for a moment are no foreign station.
            Report::Foreign(claim) if self.view.is_speakers_mac(claim.mac) => return,
            Report::Foreign(claim) => {
                tracing::warn!(address = %claim.address, mac = %claim.mac, "claimed by a stranger");
            }
            Report::Closed(closed) | Report::All { closed, .. } if closed.is_empty() => {
                self.checks.open.set_ok();
            }
            Report::Closed(closed) | Report::All { closed, .. } => {
                for (link, reason) in closed {
                    tracing::warn!(%link, reason, "cannot listen");
                    self.checks.open.set_failing(&format!("{link}: {reason}"));
                }
            }
        }
        self.reporter.handle(Input::Report(report), now());
    }

    fn write_what_differs(&mut self) {
        while self.writers.len() < WRITERS
            && let Some(write) = self.reporter.poll_output(now())
        {
            let (client, node) = (self.client.clone(), self.node.clone());
            let metrics = self.metrics.clone();
            self.writers.spawn(async move {
                let target = write.target();
                let result = writer::write(client, &node, write).await;
                metrics.status_writes.inc();
                if let Err(error) = &result {
                    metrics.status_errors.inc();
                    tracing::debug!(?target, %error, "a status was not written; trying again");
                }
                Input::Written { target, result }
            });
        }
    }
}

fn now() -> Now {
    Now {
        moment: clock::now(),
        time: Timestamp::now(),
    }
}

/// Waits until `deadline`; for ever without one.
async fn until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
