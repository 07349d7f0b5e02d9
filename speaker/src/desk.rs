//! The task between the API server and the L2 thread: it owns what is known of the API ([`View`])
//! and what is said there ([`Reporter`]), and moves things between them, the watches, the L2 thread
//! and the writers.

use std::thread::JoinHandle;
use std::time::Duration;

use bellwether_core::link::Links;
use bellwether_core::moment::Moment;
use bellwether_daemon::call::CallError;
use bellwether_daemon::health::Check;
use bellwether_daemon::watch::Event;
use k8s_openapi::jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::contacts::Contacts;
use crate::facts::{AdvertisementFacts, AnnouncementFacts, SpeakerFacts};
use crate::l2::{Inbox, Paths, Report};
use crate::links::KernelAnswers;
use crate::metrics::Metrics;
use crate::reporter::{self, Now, Reporter, Target, Written};
use crate::view::View;
use crate::writer::Writer;

/// How many writes may be under way at once.
const WRITERS: usize = 16;

/// How many inputs are taken in one step, so that many changes make one set of assignments, and yet
/// writers get their turn.
const INPUTS_PER_STEP: usize = 1024;

/// How long after one set of assignments the next may come: making one takes time in proportion to
/// the number of addresses.
const ASSIGNMENTS_APART: Duration = Duration::from_millis(5);

/// How long the last writes may take after SIGTERM. Without an API server they are given up soon:
/// until a new speaker starts, nobody announces the node's addresses.
const LAST_WRITES: Duration = Duration::from_secs(5);

/// Why the task ends other than by being told to.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// Nothing answers or announces any more.
    #[error("the L2 thread has ended: {0}")]
    L2(String),
}

/// What the watches say.
#[derive(Debug)]
pub enum Input {
    /// Of Announcements.
    Announcement(Event<Option<AnnouncementFacts>>),
    /// Of advertisements.
    Advertisement(Event<AdvertisementFacts>),
    /// Of Speakers.
    Speaker(Event<SpeakerFacts>),
}

/// What has to be so for the speaker to be ready.
#[derive(Debug)]
pub struct Checks {
    /// Every kind has been listed.
    pub listed: Check,
    /// The kernel has told of the links.
    pub links: Check,
    /// The sockets of all links are open, as the L2 thread has said.
    pub sockets: Check,
}

/// How far the task is.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Not told to end.
    Working,
    /// Told to, like the L2 thread.
    Stopping,
    /// The L2 thread has ended; the last statuses are written until then.
    Ended(Instant),
}

impl Phase {
    /// Waits for the last moment, if there is one.
    async fn is_over(self) {
        match self {
            Self::Ended(at) => sleep_until(at).await,
            Self::Working | Self::Stopping => std::future::pending().await,
        }
    }
}

/// Why the L2 thread has ended, which it was not to do.
fn why(l2: JoinHandle<std::io::Result<()>>) -> DeskError {
    DeskError::L2(match l2.join() {
        Ok(Ok(())) => "without being told to".to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "it panicked".to_owned(),
    })
}

/// The task. See the [module](self).
pub struct Desk {
    view: View,
    reporter: Reporter,
    inbox: Inbox,
    writer: Writer,
    writers: JoinSet<(Target, Result<Written, CallError>)>,
    metrics: Metrics,
    checks: Checks,
    /// When the last assignments were handed to the L2 thread.
    assigned_at: Option<Moment>,
    /// Where the other speakers are, as the L2 thread knows it.
    contacts: Contacts,
    links_known: bool,
}

impl Desk {
    /// A desk without anything on it, which hands assignments to `inbox` and writes by `writer`.
    #[must_use]
    pub fn new(
        view: View,
        reporter: Reporter,
        inbox: Inbox,
        writer: Writer,
        metrics: Metrics,
        checks: Checks,
    ) -> Self {
        Self {
            view,
            reporter,
            inbox,
            writer,
            writers: JoinSet::new(),
            metrics,
            checks,
            assigned_at: None,
            contacts: Contacts::new(),
            links_known: false,
        }
    }

    /// Works until `shutdown`, and then until the L2 thread has ended and the last status is written.
    pub async fn work(
        mut self,
        mut inputs: mpsc::Receiver<Input>,
        mut reports: mpsc::Receiver<Report>,
        mut links: watch::Receiver<Option<Links>>,
        mut answers: watch::Receiver<KernelAnswers>,
        l2: JoinHandle<std::io::Result<()>>,
        shutdown: CancellationToken,
    ) -> Result<(), DeskError> {
        self.take_links(&mut links);
        let mut phase = Phase::Working;
        loop {
            if matches!(phase, Phase::Working) {
                self.assign();
            }
            self.write();
            if matches!(phase, Phase::Ended(_)) && self.reporter.is_done() {
                tracing::info!("ended");
                return Ok(());
            }
            let assign_at = self.assign_at().filter(|_| matches!(phase, Phase::Working));
            let deadline = assign_at.into_iter().chain(self.reporter.next_deadline());
            let pause = deadline.min().map(|at| at.since(clock::now()));
            tokio::select! {
                // In this order: what is announced no more is known before what should be.
                biased;
                () = shutdown.cancelled(), if matches!(phase, Phase::Working) => {
                    phase = Phase::Stopping;
                    self.inbox.stop();
                }
                report = reports.recv(), if !matches!(phase, Phase::Ended(_)) => match report {
                    Some(report) => self.report(report),
                    None if shutdown.is_cancelled() => {
                        phase = Phase::Ended(Instant::now() + LAST_WRITES);
                        self.tell(reporter::Input::Ended);
                    }
                    None => return Err(why(l2)),
                },
                Ok(()) = links.changed() => self.take_links(&mut links),
                Ok(()) = answers.changed() => {
                    let answers = answers.borrow_and_update().clone();
                    self.tell(reporter::Input::KernelAnswers(answers));
                }
                Some(written) = self.writers.join_next() => self.take_written(written),
                Some(input) = inputs.recv() => {
                    self.take(input);
                    for _ in 1..INPUTS_PER_STEP {
                        let Ok(input) = inputs.try_recv() else { break };
                        self.take(input);
                    }
                }
                () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {
                    self.reporter.on_deadline(clock::now());
                }
                () = phase.is_over() => {
                    tracing::warn!("ended before everything could be reported");
                    return Ok(());
                }
            }
        }
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Announcement(event) => {
                self.view.announcement(&event);
                self.tell(reporter::Input::Announcement(event));
            }
            Input::Advertisement(event) => {
                self.view.advertisement(event);
                self.tell(reporter::Input::Named(self.view.named_links()));
            }
            Input::Speaker(event) => {
                self.view.speaker(&event);
                self.introduce();
                self.tell(reporter::Input::Speaker(event));
            }
        }
    }

    fn report(&mut self, report: Report) {
        match &report {
            Report::Foreign(claim) => {
                tracing::warn!(
                    address = %claim.address,
                    mac = %claim.mac,
                    "another station uses an address that is to be announced here"
                );
            }
            Report::Own(owned) => {
                tracing::info!(
                    address = %owned.address,
                    term = owned.term.0,
                    reason = %owned.reason,
                    "announcing"
                );
            }
            Report::Release { address, reason } => {
                tracing::info!(%address, %reason, "not announcing any more");
            }
            Report::Paths(paths) if *paths == Paths::default() => {
                tracing::info!("the beacons of all speakers that are heard come in on their links");
            }
            Report::Paths(paths) => {
                tracing::warn!(?paths, "beacons do not come in as they should");
            }
            Report::Closed(closed) | Report::All { closed, .. } => match closed.iter().next() {
                None => self.checks.sockets.set_ok(),
                Some((link, error)) => self
                    .checks
                    .sockets
                    .set_failing(&format!("cannot listen on {link}: {error}")),
            },
        }
        self.tell(reporter::Input::Report(report));
    }

    fn take_links(&mut self, links: &mut watch::Receiver<Option<Links>>) {
        let Some(links) = links.borrow_and_update().clone() else {
            return;
        };
        if !self.links_known {
            self.links_known = true;
            self.checks.links.set_ok();
        }
        self.tell(reporter::Input::Links(links));
    }

    fn take_written(
        &mut self,
        written: Result<(Target, Result<Written, CallError>), tokio::task::JoinError>,
    ) {
        // A writer is not cancelled, and does not panic.
        let Ok((target, result)) = written else {
            return;
        };
        match &result {
            Ok(_) => {
                self.metrics.status_writes.inc();
            }
            Err(error) => {
                self.metrics.status_errors.inc();
                tracing::warn!(?target, %error, "a status could not be written");
            }
        }
        self.tell(reporter::Input::Written { target, result });
    }

    fn tell(&mut self, input: reporter::Input) {
        self.reporter.handle(input, now());
    }

    /// Hands the L2 thread what follows from the API, if that has changed.
    fn assign(&mut self) {
        if self.must_wait_to_assign() {
            return;
        }
        let Some(assignments) = self.view.assignments() else {
            return;
        };
        self.inbox.set_assignments(assignments);
        if self.assigned_at.is_none() {
            tracing::info!("all is listed");
            self.checks.listed.set_ok();
            self.tell(reporter::Input::Assigned);
        }
        self.assigned_at = Some(clock::now());
    }

    /// Hands the L2 thread where the other speakers are, if that has changed.
    fn introduce(&mut self) {
        let contacts = self.view.contacts();
        if contacts != self.contacts {
            self.contacts.clone_from(&contacts);
            self.inbox.set_contacts(contacts);
        }
    }

    fn must_wait_to_assign(&self) -> bool {
        self.assigned_at
            .is_some_and(|at| clock::now().since(at) < ASSIGNMENTS_APART)
    }

    /// Has written what is to be written, as far as there are writers.
    fn write(&mut self) {
        while self.writers.len() < WRITERS
            && let Some(write) = self.reporter.poll_output(now())
        {
            let writer = self.writer.clone();
            self.writers.spawn(async move {
                let result = writer.write(&write).await;
                (write.target(), result)
            });
        }
    }

    /// When assignments that have changed may be handed out.
    fn assign_at(&self) -> Option<Moment> {
        let last = self.assigned_at.filter(|_| self.view.has_changed())?;
        Some(last + ASSIGNMENTS_APART)
    }
}

fn now() -> Now {
    Now {
        moment: clock::now(),
        time: Timestamp::now(),
    }
}
