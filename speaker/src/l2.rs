//! The L2 thread: the one place that answers and announces.
//!
//! ```text
//!   tasks                                       L2 thread
//!   links ------- ArcSwap<Links> ------+
//!   watches ----- ArcSwap<Assignments> +--eventfd--> election --> announcer --> frames out
//!   run --------- stop ----------------+                             |
//!                                          frames in --> responder <-+--------> frames out
//!   reporter <--- bounded channel ------------ reports
//! ```
//!
//! It is an OS thread without an async runtime, so that nothing else in the process can delay it.
//! It never waits for the API, a lock, or, at rest, an allocation: it reads immutable snapshots, and
//! what it has to say it leaves in a channel or counts as dropped. Since one thread both decides who
//! owns an address and sends the answers, no answer goes out after a release (A9).
//!
//! [`spawn`] starts it; [`Inbox`] is how others hand it what it works on.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use bellwether_core::announcer::{self, Announcer};
use bellwether_core::election::{self, FirstCandidate};
use bellwether_core::frame::Frame;
use bellwether_core::link::{LinkIndex, Links};
use bellwether_core::moment::Moment;
use bellwether_core::name::NodeName;
use bellwether_core::responder::{Verdict, respond};
use bellwether_daemon::health::Heartbeat;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::mpsc;

use crate::assignments::Assignments;
use crate::clock;
use crate::groups::Memberships;
use crate::metrics::{Metrics, PerProtocol};

mod poller;
mod report;
mod sockets;

pub use report::Report;

use poller::{Channel, Poller, Source, Wake};
use report::Reports;
use sockets::Sockets;

/// The thread turns round at least this often, as a sign of life.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// How many frames of one socket are taken before others have their turn.
const FRAMES_PER_TURN: usize = 64;

/// More than any frame that matters; what is longer is cut.
const LONGEST_FRAME: usize = 2048;

/// What the thread is to work with.
#[derive(Debug)]
pub struct Config {
    /// The node that it runs on.
    pub node: NodeName,
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

/// What others hand to the thread. Clones share it.
#[derive(Clone, Debug)]
pub struct Inbox(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    links: ArcSwap<Links>,
    assignments: ArcSwap<Assignments>,
    stop: AtomicBool,
    wake: Wake,
}

impl Inbox {
    /// These are the links of the node now.
    pub fn set_links(&self, links: Links) {
        self.0.links.store(Arc::new(links));
        self.0.wake.ring();
    }

    /// These are the assignments now.
    pub fn set_assignments(&self, assignments: Assignments) {
        self.0.assignments.store(Arc::new(assignments));
        self.0.wake.ring();
    }

    /// Release everything and end.
    pub fn stop(&self) {
        self.0.stop.store(true, Ordering::Release);
        self.0.wake.ring();
    }
}

/// Starts the thread, in the network namespace of the calling thread. It ends after
/// [`Inbox::stop`], and with it its end of the channel of reports.
pub fn spawn(config: Config) -> io::Result<(Inbox, JoinHandle<io::Result<()>>)> {
    let shared = Arc::new(Shared {
        links: ArcSwap::default(),
        assignments: ArcSwap::default(),
        stop: AtomicBool::new(false),
        wake: Wake::new()?,
    });
    let inbox = Inbox(Arc::clone(&shared));
    let thread = L2::new(config, shared)?;
    let handle = std::thread::Builder::new()
        .name("l2".into())
        .spawn(move || thread.run())?;
    Ok((inbox, handle))
}

/// What the thread owns.
struct L2 {
    node: NodeName,
    shared: Arc<Shared>,
    /// The snapshots that have been taken in.
    links: Arc<Links>,
    assignments: Arc<Assignments>,
    election: FirstCandidate,
    announcer: Announcer,
    sockets: Sockets,
    memberships: Memberships,
    poller: Poller,
    reports: Reports,
    metrics: Metrics,
    heartbeat: Heartbeat,
}

impl L2 {
    fn new(config: Config, shared: Arc<Shared>) -> io::Result<Self> {
        Ok(Self {
            poller: Poller::new(&shared.wake)?,
            election: FirstCandidate::new(config.node.clone()),
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
            // Before any answer: what has come may release the address that is asked for.
            if self
                .poller
                .sources(ready)
                .any(|source| source == Source::Wake)
            {
                self.shared.wake.silence();
                if self.shared.stop.load(Ordering::Acquire) {
                    self.election.handle(election::Input::Stop, now);
                    self.act(now);
                    return Ok(());
                }
                self.take_links(now);
                self.take_assignments(now);
            }
            for index in 0..ready {
                if let Some(Source::Socket(link, channel)) = self.poller.source(index) {
                    self.serve(link, channel, now, &mut buffer);
                }
            }
            if self.sockets.should_retry(now) {
                self.follow_links(now);
            }
            self.announcer.on_deadline(now);
            self.act(now);
            self.reports.catch_up(self.election.snapshot());
            self.heartbeat.beat();
            let longest = now + LONGEST_WAIT;
            let deadline = self.announcer.next_deadline();
            let alarm = deadline.map_or(longest, |deadline| deadline.min(longest));
            self.poller.wake_at(alarm)?;
        }
    }

    /// Takes in the links as they are now.
    fn take_links(&mut self, now: Moment) {
        let links = self.shared.links.load_full();
        if Arc::ptr_eq(&links, &self.links) {
            return;
        }
        self.links = links;
        self.follow_links(now);
        self.memberships.retry();
        let links = Links::clone(&self.links);
        self.announcer.handle(announcer::Input::Links(links), now);
        self.act(now);
        set(&self.metrics.groups, self.memberships.count());
    }

    fn follow_links(&mut self, now: Moment) {
        self.sockets.follow(&self.links, &self.poller, now);
        self.reports.closed(self.sockets.failed(&self.links));
        set(&self.metrics.open_links, self.sockets.len());
    }

    /// Takes in who may announce what now.
    fn take_assignments(&mut self, now: Moment) {
        let new = self.shared.assignments.load_full();
        if Arc::ptr_eq(&new, &self.assignments) {
            return;
        }
        let old = std::mem::replace(&mut self.assignments, Arc::clone(&new));
        if new.ipv4_networks() != old.ipv4_networks() || new.ipv6_networks() != old.ipv6_networks()
        {
            self.sockets.set_filters(&new);
        }
        for address in new.gone(&old) {
            self.election
                .handle(election::Input::Unassign { address }, now);
            self.act(now);
            self.announcer
                .handle(announcer::Input::Forget { address }, now);
        }
        for (address, assignment) in new.changed(&old) {
            let input = election::Input::Assign {
                address,
                candidates: assignment.candidates.clone(),
                recorded: assignment.recorded.clone(),
            };
            self.election.handle(input, now);
            self.act(now);
            let input = match assignment.candidate(&self.node) {
                Some(candidate) => announcer::Input::Prepare {
                    address,
                    interfaces: candidate.interfaces.clone(),
                },
                None => announcer::Input::Forget { address },
            };
            self.announcer.handle(input, now);
        }
        self.act(now);
        set(&self.metrics.groups, self.memberships.count());
    }

    /// Does what election and announcer have decided.
    fn act(&mut self, now: Moment) {
        while let Some(decision) = self.election.poll_output() {
            match decision {
                election::Output::Own(owned) => {
                    let input = announcer::Input::Own {
                        address: owned.address,
                        interfaces: owned.interfaces.clone(),
                    };
                    self.announcer.handle(input, now);
                    self.reports.own(owned);
                }
                election::Output::Release { address, reason } => {
                    self.announcer
                        .handle(announcer::Input::Release { address }, now);
                    self.reports.release(address, reason);
                }
            }
            set(&self.metrics.owned, self.election.snapshot().len());
        }
        while let Some(output) = self.announcer.poll_output() {
            match output {
                announcer::Output::Join { link, group } => self.memberships.join(link, group),
                announcer::Output::Leave { link, group } => self.memberships.leave(link, group),
                announcer::Output::Send { link, frame } => {
                    self.send(link, &frame, &self.metrics.announcements);
                }
            }
        }
    }

    /// Answers what has come in on a socket.
    fn serve(&mut self, index: LinkIndex, channel: Channel, now: Moment, buffer: &mut [u8]) {
        for _ in 0..FRAMES_PER_TURN {
            // The link may have gone, and its socket with it, since the event was taken.
            let Some(socket) = self.sockets.get(index, channel) else {
                return;
            };
            let Some(link) = self.links.get(index) else {
                return;
            };
            let received = match socket.receive(buffer) {
                Ok(Some(received)) => received,
                Ok(None) => return,
                Err(error) => {
                    // ENETDOWN, once, when the link goes down.
                    tracing::debug!(link = %link.name, %error, "cannot receive");
                    return;
                }
            };
            channel.of(&self.metrics.received).inc();
            let announces = |address| self.announcer.announces(address, index);
            match respond(&received, link, &self.links, announces) {
                Verdict::Answer(frame) => self.send(index, &frame, &self.metrics.replies),
                Verdict::Foreign(claim) => {
                    self.metrics.foreign_claims.inc();
                    self.reports.foreign(claim, now);
                }
                Verdict::Ignore(cause) => {
                    channel.of(&self.metrics.ignored).inc();
                    tracing::trace!(link = %link.name, %cause, "a frame is ignored");
                }
            }
        }
    }

    fn send(&self, link: LinkIndex, frame: &Frame, sent: &PerProtocol) {
        match self.sockets.send(link, frame) {
            Ok(()) => {
                sent.of(&frame.packet).inc();
            }
            Err(error) => {
                self.metrics.send_errors.inc();
                tracing::debug!(%link, %error, "cannot send");
            }
        }
    }
}

fn set(gauge: &Gauge, count: usize) {
    gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
}
