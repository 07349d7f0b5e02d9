//! The L2 thread: the one place that answers and announces.
//!
//! ```text
//!   tasks                                       L2 thread
//!   links ------- ArcSwap<Links> ------+
//!   watches ----- ArcSwap<Assignments> +--eventfd--> election --> announcer --> frames out
//!   keys -------- ArcSwap<Keyring> ----+             ^     |         |
//!   run --------- stop ----------------+       beacons in  beacons out
//!                                          frames in --> responder <-+--------> frames out
//!   reporter <--- bounded channel ------------ reports
//! ```
//!
//! It is an OS thread without an async runtime, so that nothing else in the process can delay it.
//! It never waits for the API, a lock, or, at rest, an allocation, but for the one snapshot per second
//! by which it says what it is at: it reads immutable snapshots, and what it has to say it leaves in
//! a channel or counts as dropped. Since one thread both decides who owns an address and sends the
//! answers, no answer goes out after a release (A9), except to what was asked before it was handed
//! over.
//!
//! [`spawn`] starts it; [`Inbox`] is how others hand it what it works on.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bellwether_core::announcer::{self, Announcer};
use bellwether_core::election::{self, Election, Owned};
use bellwether_core::frame::beacon::Session;
use bellwether_core::frame::beacon::keyring::Keyring;
use bellwether_core::frame::probe::probe;
use bellwether_core::link::{LinkIndex, Links};
use bellwether_core::membership::timing::Profile;
use bellwether_core::moment::Moment;
use bellwether_core::name::NodeName;
use bellwether_core::responder::ForeignClaim;
use bellwether_daemon::health::Heartbeat;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{mpsc, watch};

use crate::assignments::Assignments;
use crate::clock;
use crate::contacts::Contacts;
use crate::groups::Memberships;
use crate::metrics::Metrics;
use crate::privileges::take_real_time;
use crate::stamp::control_space;

mod datagrams;
mod inbox;
mod look;
mod pace;
mod party;
mod paths;
mod poller;
mod recorder;
mod report;
mod serve;
mod sockets;

pub use inbox::Inbox;
pub use look::{Beacons, Look, Rejections, Traffic};
pub use paths::Paths;
pub use report::Report;

use datagrams::Datagrams;
use inbox::Shared;
use pace::Pace;
use poller::{Channel, Poller, Source};
use recorder::Recorder;
use report::Reports;
use sockets::Sockets;

/// The thread turns round at least this often, as a sign of life.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// More than any frame that matters; what is longer is cut.
const LONGEST_FRAME: usize = 2048;

/// How often the other speakers are looked at for the metrics and conditions.
const LOOK: Duration = Duration::from_secs(1);

/// Why there is no L2 thread.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Something else listens there, such as a second speaker.
    #[error(
        "cannot listen on UDP port {port} for beacons: {source}; end what uses it, or choose another \
         with --beacon-port, on all nodes"
    )]
    Port {
        /// The port.
        port: u16,
        /// Why.
        source: io::Error,
    },
    /// The kernel gives it no thread, or nothing to wait with.
    #[error("cannot start the L2 thread: {0}")]
    Thread(#[from] io::Error),
}

/// What the thread is to work with.
#[derive(Debug)]
pub struct Config {
    /// The node that it runs on.
    pub node: NodeName,
    /// This start of the speaker: drawn at random.
    pub session: Session,
    /// How fast it beats.
    pub profile: Profile,
    /// Whether the thread takes real-time priority, which is known to be granted.
    pub real_time: bool,
    /// Whether it gives addresses away until all nodes have about as many.
    pub rebalance: bool,
    /// The UDP port of channel B; none, to do without.
    pub port: Option<u16>,
    /// Where it says what it is at, when asked by [`Inbox::look`], and each second while it runs.
    pub looks: watch::Sender<Option<Arc<Look>>>,
    /// When and how fast it announces.
    pub announcer: announcer::Config,
    /// Where it counts.
    pub metrics: Metrics,
    /// What it beats at each turn.
    pub heartbeat: Heartbeat,
    /// Where it reports. When the channel is full a report is dropped and counted; the next one that
    /// fits says all that is owned, so that nothing is missed for good.
    pub reports: mpsc::Sender<Report>,
}

/// Starts the thread, in the network namespace of the calling thread. It ends after
/// [`Inbox::stop`], and with it its end of the channel of reports.
pub fn spawn(config: Config) -> Result<(Inbox, JoinHandle<io::Result<()>>), StartError> {
    let shared = Arc::new(Shared::new()?);
    let inbox = Inbox(Arc::clone(&shared));
    let real_time = config.real_time;
    let thread = L2::new(config, shared)?;
    let handle = std::thread::Builder::new()
        .name("l2".into())
        .spawn(move || {
            if real_time && let Err(error) = take_real_time() {
                tracing::warn!(error, "real-time priority was granted, and is not any more");
            }
            thread.run()
        })?;
    Ok((inbox, handle))
}

/// What the thread owns.
struct L2 {
    node: NodeName,
    shared: Arc<Shared>,
    /// The snapshots that have been taken in.
    links: Arc<Links>,
    assignments: Arc<Assignments>,
    contacts: Arc<Contacts>,
    keyring: Option<Arc<Keyring>>,
    election: Election,
    recorder: Recorder,
    announcer: Announcer,
    sockets: Sockets,
    datagrams: Option<Datagrams>,
    /// Whether the sockets let through what is about addresses that this node announces until
    /// somebody takes them over, and whether one of those is gone.
    filters_wide: bool,
    filters_stale: bool,
    /// Links on which this node may not answer at present (R6, R7).
    fenced: BTreeSet<LinkIndex>,
    /// When all beacons were read the last time.
    drained_at: Moment,
    leave_until: Option<Moment>,
    left: bool,
    look_at: Moment,
    looks: watch::Sender<Option<Arc<Look>>>,
    traffic: Traffic,
    /// Room for the time that the kernel writes with a frame, and for a beacon.
    control: Vec<u8>,
    frame: Vec<u8>,
    memberships: Memberships,
    poller: Poller,
    pace: Pace,
    reports: Reports,
    metrics: Metrics,
    heartbeat: Heartbeat,
}

impl L2 {
    fn new(config: Config, shared: Arc<Shared>) -> Result<Self, StartError> {
        let now = clock::now();
        let poller = Poller::new(&shared.wake)?;
        let open = |port| Datagrams::open(port).map_err(|source| StartError::Port { port, source });
        let datagrams = config.port.map(open).transpose()?;
        if let Some(datagrams) = &datagrams {
            poller.add(datagrams.as_fd(), Source::Datagrams)?;
        }
        let part = election::Config {
            node: config.node.clone(),
            session: config.session,
            profile: config.profile,
            rebalance: config.rebalance,
        };
        Ok(Self {
            poller,
            pace: Pace::default(),
            election: Election::new(part, now),
            recorder: Recorder::default(),
            datagrams,
            contacts: Arc::default(),
            keyring: None,
            filters_wide: false,
            filters_stale: false,
            fenced: BTreeSet::new(),
            drained_at: now,
            leave_until: None,
            left: false,
            look_at: now,
            looks: config.looks,
            traffic: Traffic::default(),
            control: control_space(),
            frame: Vec::with_capacity(LONGEST_FRAME),
            node: config.node,
            announcer: Announcer::new(config.announcer),
            links: Arc::default(),
            assignments: Arc::default(),
            sockets: Sockets::new(),
            memberships: Memberships::default(),
            reports: Reports::new(config.reports, config.metrics.reports_dropped.clone()),
            metrics: config.metrics,
            heartbeat: config.heartbeat,
            shared,
        })
    }

    fn run(mut self) -> io::Result<()> {
        let mut buffer = vec![0; LONGEST_FRAME];
        loop {
            let ready = self.poller.wait()?;
            let now = clock::now();
            // Before all else: what has come may release what is asked for, and prove who lives.
            self.take_beacons(now, &mut buffer);
            if self
                .poller
                .sources(ready)
                .any(|source| source == Source::Wake)
            {
                self.shared.wake.silence();
                self.take_inbox(now);
            }
            if self.keyring.is_some() {
                self.recorder.deadline(&self.election, now);
                self.election.on_deadline(now);
                self.act(now);
            }
            for index in 0..ready {
                if let Some(Source::Socket(link, channel)) = self.poller.source(index)
                    && channel != Channel::Beacon
                {
                    self.serve(link, channel, now, &mut buffer);
                }
            }
            if self.sockets.should_retry(now) {
                self.follow_links(now);
            }
            self.look_round(now);
            self.announcer.on_deadline(now);
            self.act(now);
            self.reports.catch_up(|| self.election.owned().collect());
            self.heartbeat.beat();
            if self.left {
                return Ok(());
            }
            let alarm = self.pace.next_turn(self.alarm(now), now);
            self.poller.wake_at(alarm)?;
        }
    }

    /// When the thread has to turn round at the latest.
    fn alarm(&self, now: Moment) -> Moment {
        let election = self.keyring.as_ref();
        let election = election.and_then(|_| self.election.next_deadline());
        [
            election,
            self.announcer.next_deadline(),
            self.leave_until,
            Some(now + LONGEST_WAIT),
        ]
        .into_iter()
        .flatten()
        .min()
        .unwrap_or(now)
    }

    /// What is to be done now and then: gives up on those who take nothing, announces again where
    /// this node may answer again, and says what it is at.
    fn look_round(&mut self, now: Moment) {
        if self.leave_until.is_some_and(|until| now >= until) && !self.left {
            self.tell(election::Input::Stop, now);
            self.left = true;
        }
        if self.filters_stale {
            self.set_filters();
        }
        let mut freed = false;
        for link in self.sockets.links() {
            if self.election.may_answer(link, now) {
                freed |= self.fenced.remove(&link);
            } else {
                self.fenced.insert(link);
            }
        }
        if freed {
            // What was announced meanwhile did not leave.
            let owned: Vec<_> = self.election.owned().map(|owned| owned.address).collect();
            for address in owned {
                self.announcer
                    .handle(announcer::Input::Again { address }, now);
            }
        }
        if now >= self.look_at {
            self.look_at = now + LOOK;
            let look = self.look();
            self.reports.paths(Paths::of(&look.election, &self.links));
            self.looks.send_replace(Some(Arc::new(look)));
        }
    }

    fn look(&self) -> Look {
        let mut election = self.election.snapshot();
        look::leave_out_gone(&mut election, &self.contacts);
        Look {
            unheard: look::unheard(&election, &self.contacts),
            election,
            links: Arc::clone(&self.links),
            traffic: self.traffic.clone(),
            signing_key: self.keyring.as_ref().map(|keyring| keyring.signing()),
        }
    }

    /// Does what election and announcer have decided.
    fn act(&mut self, now: Moment) {
        while let Some(decision) = self.election.poll_output() {
            self.recorder.output(&decision, now);
            self.act_on(decision, now);
        }
        while let Some(output) = self.announcer.poll_output() {
            match output {
                announcer::Output::Join { link, group } => self.memberships.join(link, group),
                announcer::Output::Leave { link, group } => self.memberships.leave(link, group),
                // What does not leave now is announced again when it may (R6).
                announcer::Output::Send { link, frame } => {
                    if self.election.may_answer(link, now) {
                        self.send(link, &frame, &self.metrics.announcements);
                    } else {
                        self.fenced.insert(link);
                    }
                }
            }
        }
    }

    fn act_on(&mut self, decision: election::Output, now: Moment) {
        match decision {
            election::Output::Own(owned) => {
                self.metrics.moves.own(&owned);
                self.announce_on(owned, now);
                set(&self.metrics.owned, self.election.owned_count());
            }
            election::Output::Relink(owned) => self.announce_on(owned, now),
            election::Output::Release { address, reason } => {
                let prepared = self
                    .assignments
                    .get(address)
                    .is_some_and(|assignment| assignment.candidate(&self.node).is_some());
                let input = if prepared {
                    announcer::Input::Release { address }
                } else {
                    announcer::Input::Forget { address }
                };
                self.announcer.handle(input, now);
                self.filters_stale |= self.filters_wide && !prepared;
                self.metrics.moves.release(reason);
                self.reports.release(address, reason);
                set(&self.metrics.owned, self.election.owned_count());
            }
            election::Output::Announce { address } => {
                self.announcer
                    .handle(announcer::Input::Again { address }, now);
            }
            election::Output::Defend { address } => {
                self.announcer
                    .handle(announcer::Input::Once { address }, now);
            }
            election::Output::Beacon { channel, beacon } => {
                self.send_beacon(channel, &beacon, now);
                self.election.spares().put(beacon);
            }
            election::Output::Probe { link, address } => {
                if let Some(mac) = self.links.get(link).map(|link| link.mac) {
                    let frame = probe(address, mac);
                    self.send(link, &frame, &self.metrics.probes);
                }
            }
            election::Output::Conflict { address, mac } => {
                self.stranger(ForeignClaim { address, mac }, now);
            }
            election::Output::Left => self.left = true,
        }
    }

    /// Has an address of this node announced on the links that it is for, and reports on which it is.
    fn announce_on(&mut self, owned: Owned, now: Moment) {
        let input = announcer::Input::Own {
            address: owned.address,
            interfaces: owned.interfaces.clone(),
        };
        self.announcer.handle(input, now);
        self.reports.own(owned);
    }
}

fn set(gauge: &Gauge, count: usize) {
    gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
}
