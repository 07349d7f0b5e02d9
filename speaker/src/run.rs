//! Every thread, task and channel of the speaker, by name.
//!
//! ```text
//!  3 watches --Input--> (bounded) --+                 +--Assignments--> L2 thread --+
//!                                   v                 |                  ^          |
//!  links task --Links------------> desk (owns View, Reporter)          Links     reports
//!       |                           ^  |                                 |      (bounded)
//!       |                           |  +--Write--> writers --Written--+  |          |
//!       |                           +---------------------------------+  |          |
//!       |                           +----------------------------------------------+
//!       +-----------------------------------------------------------------+
//! ```
//!
//! The links task also tells the desk for which addresses the kernel answers ARP by itself.
//!
//! The keys task follows the Secret with the keys of beacons.
//!
//! The L2 thread and the links task run from the start, the rest once the API server answers. When
//! it goes away later, what is announced stays announced.

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bellwether_core::frame::beacon::Session;
use bellwether_core::frame::beacon::keyring::Keyring;
use bellwether_core::link::Links;
use bellwether_core::moment::Moment;
use bellwether_crds::announcement::Announcement;
use bellwether_crds::l2advertisement::L2Advertisement;
use bellwether_crds::speaker::Speaker;
use bellwether_daemon::client::{ClientError, connect};
use bellwether_daemon::health::{Health, Heartbeat};
use bellwether_daemon::serve::{Endpoints, ServeError, serve};
use bellwether_daemon::telemetry::{self, LogLevelError};
use bellwether_daemon::watch::{Watch, WatchMetrics};
use bellwether_daemon::{VERSION, shutdown};
use kube::core::DeserializeGuard;
use kube::{Api, Client, Resource};
use prometheus_client::registry::Registry;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::desk::{Checks, Desk, DeskError, Input};
use crate::facts::{AdvertisementFacts, AnnouncementFacts, SpeakerFacts};
use crate::keys::{self, BeaconKeys};
use crate::l2::{self, Inbox, Look, StartError};
use crate::links::{self, KernelAnswers};
use crate::metrics::{self, Metrics};
use crate::options::RunOptions;
use crate::privileges::Privileges;
use crate::reporter::Reporter;
use crate::socket::{self, PermissionError};
use crate::status;
use crate::view::View;
use crate::writer::Writer;

/// How many inputs may wait for the desk. When they are that many, the watches wait; the API server
/// keeps what they have not read.
const INPUTS: usize = 1024;

/// How many reports may wait for the desk. When they are that many, the L2 thread drops and counts
/// them, and says all there is as soon as there is room.
const REPORTS: usize = 4096;

/// The L2 thread turns round each second. If it has not for this long, it never will.
const L2_ALIVE: Duration = Duration::from_secs(10);

/// Why the speaker cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The log level makes no sense.
    #[error(transparent)]
    LogLevel(#[from] LogLevelError),
    /// The expressions are too large together.
    #[error("--exclude-interfaces cannot be used: {0}")]
    Excluded(#[from] regex::Error),
    /// Signals cannot be waited for.
    #[error("cannot wait for signals: {0}")]
    Signals(std::io::Error),
    /// It must not send frames.
    #[error(transparent)]
    Permission(#[from] PermissionError),
    /// An address is taken.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The system has no random numbers.
    #[error("cannot draw a session at random: {0}")]
    Random(getrandom::Error),
    /// There is no L2 thread.
    #[error(transparent)]
    L2(#[from] StartError),
    /// There is no way to the API server.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// It cannot go on.
    #[error(transparent)]
    Desk(#[from] DeskError),
}

/// Runs the speaker until it is told to end.
pub async fn run(options: RunOptions) -> Result<(), RunError> {
    let log_level = telemetry::init(&options.log)?;
    let shutdown = shutdown::on_signal().map_err(RunError::Signals)?;
    let excluded = options.excluded()?;
    let node = options.node_name.clone();
    tracing::info!(version = VERSION, %node, "starting");
    socket::check_permission()?;

    let health = Health::default();
    let mut registry = Registry::with_prefix("bellwether_speaker");
    let watches = WatchMetrics::register(&mut registry);
    let metrics = Metrics::register(&mut registry);
    let (looks_sender, looks) = watch::channel(None);
    metrics::look::register(&mut registry, looks.clone());
    let reachable = health.readiness("api-server", "not reached yet");
    let checks = checks(&health);
    let heartbeat = health.liveness("l2", L2_ALIVE);
    let endpoints = Endpoints {
        health: options.health_address,
        metrics: options.metrics_address,
    };
    serve(endpoints, health, log_level, registry, shutdown.clone())?;

    let (reporter, reports) = mpsc::channel(REPORTS);
    let L2 {
        session,
        inbox,
        thread: l2,
        process,
    } = start_l2(&options, metrics.clone(), heartbeat, reporter, looks_sender)?;
    // Links and objects go on being followed while the last statuses are written.
    let tasks = CancellationToken::new();
    let _end_tasks = tasks.clone().drop_guard();
    let (links_sender, links) = watch::channel(None);
    let (answers_sender, answers) = watch::channel(KernelAnswers::default());
    let sources = status::Sources {
        inbox: inbox.clone(),
        looks,
        process,
    };
    serve_status(&options.socket, sources, shutdown.clone());
    let publish = {
        let inbox = inbox.clone();
        move |links: Links, at: Moment| {
            inbox.set_links(links.clone(), at);
            links_sender.send_replace(Some(links));
        }
    };
    let following = links::follow(
        excluded,
        metrics.clone(),
        publish,
        answers_sender,
        tasks.clone(),
    );
    tokio::spawn(following);

    let client = match connect(&options.client, &shutdown).await {
        Err(ClientError::Cancelled) => return Ok(()),
        connected => connected?,
    };
    reachable.set_ok();
    tokio::spawn(keys::follow(
        client.clone(),
        options.namespace,
        watches.clone(),
        metrics.clone(),
        hand_keys(inbox.clone()),
        tasks.clone(),
    ));
    let (sender, inputs) = mpsc::channel(INPUTS);
    let watch = Watches {
        client: client.clone(),
        metrics: watches,
        inputs: sender,
        end: tasks.clone(),
    };
    watch.spawn::<Announcement, _>("announcements", AnnouncementFacts::of, Input::Announcement);
    watch.spawn::<L2Advertisement, _>(
        "l2advertisements",
        AdvertisementFacts::from,
        Input::Advertisement,
    );
    let own = node.clone();
    watch.spawn::<Speaker, _>(
        "speakers",
        move |object| SpeakerFacts::of(object, &own),
        Input::Speaker,
    );
    drop(watch);
    let desk = Desk::new(
        View::new(node.clone()),
        Reporter::new(node.clone(), session, options.node_addresses),
        inbox,
        Writer::new(client, node),
        metrics,
        checks,
    );
    desk.work(inputs, reports, links, answers, l2, shutdown)
        .await?;
    Ok(())
}

/// What has to be known before the speaker is ready.
fn checks(health: &Health) -> Checks {
    Checks {
        listed: health.readiness("lists", "nothing is listed yet"),
        links: health.readiness("links", "the node's links are not known yet"),
        sockets: health.readiness("sockets", "no socket is open yet"),
    }
}

/// The L2 thread, and what others need of it.
struct L2 {
    session: Session,
    inbox: Inbox,
    thread: JoinHandle<std::io::Result<()>>,
    process: status::Process,
}

fn start_l2(
    options: &RunOptions,
    metrics: Metrics,
    heartbeat: Heartbeat,
    reports: mpsc::Sender<l2::Report>,
    looks: watch::Sender<Option<Arc<Look>>>,
) -> Result<L2, RunError> {
    let session = Session(getrandom::u64().map_err(RunError::Random)?);
    let privileges = Privileges::take(options.real_time);
    let profile = privileges.profile(options.profile.profile(), options.real_time);
    let (inbox, thread) = l2::spawn(l2::Config {
        node: options.node_name.clone(),
        session,
        profile,
        real_time: privileges.real_time,
        rebalance: options.rebalance,
        port: Some(options.beacon_port),
        looks,
        announcer: options.announcer(),
        metrics,
        heartbeat,
        reports,
    })?;
    Ok(L2 {
        session,
        inbox,
        thread,
        process: status::Process {
            version: VERSION.to_owned(),
            profile,
            privileges,
        },
    })
}

/// Answers `bellwether-speaker status`, unless `socket` is empty.
fn serve_status(socket: &Path, sources: status::Sources, shutdown: CancellationToken) {
    if socket.as_os_str().is_empty() {
        return;
    }
    if let Err(error) = status::serve(socket, sources, shutdown) {
        // Nothing depends on it but a person who asks.
        let socket = socket.display();
        tracing::warn!(%socket, %error, "bellwether-speaker status will not work");
    }
}

/// Hands keys to the L2 thread.
fn hand_keys(inbox: Inbox) -> impl FnMut(BeaconKeys) {
    move |keys| {
        tracing::info!(?keys, "keys for beacons");
        match Keyring::new(&keys.cluster, keys.secrets, keys.signing) {
            Ok(keyring) => inbox.set_keyring(keyring),
            Err(error) => tracing::warn!(%error, "the keys for beacons cannot be used"),
        }
    }
}

/// What all watches share.
struct Watches {
    client: Client,
    metrics: WatchMetrics,
    inputs: mpsc::Sender<Input>,
    end: CancellationToken,
}

impl Watches {
    fn spawn<K, T>(
        &self,
        kind: &'static str,
        decode: impl Fn(K) -> T + Send + 'static,
        input: impl Fn(bellwether_daemon::watch::Event<T>) -> Input + Send + 'static,
    ) where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
        T: Send + 'static,
    {
        let watch = Watch::<K> {
            api: Api::<DeserializeGuard<K>>::all(self.client.clone()),
            kind,
            metrics: self.metrics.clone(),
        };
        let (inputs, end) = (self.inputs.clone(), self.end.clone());
        tokio::spawn(watch.run(decode, input, inputs, end));
    }
}
