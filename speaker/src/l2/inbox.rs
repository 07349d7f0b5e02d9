//! What others hand to the L2 thread, and how it takes that in.
//!
//! They leave immutable snapshots and ring; the thread compares what lies there with what it took in
//! last. Nobody waits for anybody, and of two snapshots that are left in a row the second counts.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use bellwether_core::announcer;
use bellwether_core::election;
use bellwether_core::election::trace::Line;
use bellwether_core::frame::beacon::keyring::Keyring;
use bellwether_core::link::Links;
use bellwether_core::moment::Moment;
use tokio::sync::mpsc;

use super::poller::Wake;
use super::{L2, set};
use crate::assignments::Assignments;
use crate::clock;
use crate::contacts::Contacts;

/// How long a speaker that stops waits for others to take its addresses; less than Kubernetes waits.
const LEAVE: Duration = Duration::from_secs(5);

/// What others hand to the thread. Clones share it.
#[derive(Clone, Debug)]
pub struct Inbox(pub(super) Arc<Shared>);

/// Links, and when the kernel told of them; never, before it has.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) links: Arc<Links>,
    pub(super) at: Option<Moment>,
}

/// What they share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) links: ArcSwap<Found>,
    pub(super) assignments: ArcSwap<Assignments>,
    pub(super) contacts: ArcSwap<Contacts>,
    pub(super) keyring: ArcSwapOption<Keyring>,
    pub(super) stop: AtomicBool,
    pub(super) look: AtomicBool,
    pub(super) trace: ArcSwapOption<mpsc::Sender<Line>>,
    pub(super) wake: Wake,
}

impl Shared {
    /// Nothing has been left.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            links: ArcSwap::default(),
            assignments: ArcSwap::default(),
            contacts: ArcSwap::default(),
            keyring: ArcSwapOption::empty(),
            stop: AtomicBool::new(false),
            look: AtomicBool::new(false),
            trace: ArcSwapOption::empty(),
            wake: Wake::new()?,
        })
    }
}

impl Inbox {
    /// These are the keys now. Without any nothing is announced.
    pub fn set_keyring(&self, keyring: Keyring) {
        self.0.keyring.store(Some(Arc::new(keyring)));
        self.0.wake.ring();
    }

    /// Say what you are at, in [`super::Config::looks`], when what was left before has been taken in.
    pub fn look(&self) {
        self.0.look.store(true, Ordering::Release);
        self.0.wake.ring();
    }

    /// Record what the election is told and decides, until nobody receives it any more. A trace that
    /// is going on ends.
    pub fn trace(&self, lines: mpsc::Sender<Line>) {
        self.0.trace.store(Some(Arc::new(lines)));
        self.0.wake.ring();
    }

    /// There are the other speakers now.
    pub fn set_contacts(&self, contacts: Contacts) {
        self.0.contacts.store(Arc::new(contacts));
        self.0.wake.ring();
    }

    /// These are the links of the node now; the kernel has told of it `at` that time.
    pub fn set_links(&self, links: Links, at: Moment) {
        let (links, at) = (Arc::new(links), Some(at));
        self.0.links.store(Arc::new(Found { links, at }));
        self.0.wake.ring();
    }

    /// These are the assignments now.
    pub fn set_assignments(&self, assignments: Assignments) {
        self.0.assignments.store(Arc::new(assignments));
        self.0.wake.ring();
    }

    /// Give everything away, release what nobody takes, and end.
    pub fn stop(&self) {
        self.0.stop.store(true, Ordering::Release);
        self.0.wake.ring();
    }
}

impl L2 {
    /// Takes in what other threads have left.
    pub(super) fn take_inbox(&mut self, now: Moment) {
        // First: what was left before the question is there by now.
        if self.shared.look.swap(false, Ordering::AcqRel) {
            self.look_at = now;
        }
        if let Some(lines) = self.shared.trace.swap(None) {
            let lines = mpsc::Sender::clone(&lines);
            self.recorder.begin(lines, &self.election, now);
        }
        self.take_keyring(now);
        self.take_contacts(now);
        self.take_links(now);
        self.take_assignments(now);
        if self.shared.stop.load(Ordering::Acquire) && self.leave_until.is_none() {
            self.leave_until = Some(now + LEAVE);
            if self.keyring.is_some() {
                self.tell(election::Input::Leave, now);
            } else {
                self.left = true;
            }
        }
    }

    fn take_keyring(&mut self, now: Moment) {
        let new = self.shared.keyring.load_full();
        let is_first = self.keyring.is_none() && new.is_some();
        self.keyring = new;
        if is_first {
            // The election listens from here on: before, it could hear nobody.
            self.tell(election::Input::Links(Links::clone(&self.links)), now);
        }
    }

    fn take_contacts(&mut self, now: Moment) {
        let new = self.shared.contacts.load_full();
        if Arc::ptr_eq(&new, &self.contacts) {
            return;
        }
        self.contacts = new;
        let speakers = self.contacts.iter();
        let speakers = speakers.map(|(node, contact)| (node.clone(), contact.macs.clone()));
        self.tell(election::Input::Speakers(speakers.collect()), now);
    }

    /// Takes in the links as they are now.
    fn take_links(&mut self, now: Moment) {
        let found = self.shared.links.load();
        let (links, told) = (Arc::clone(&found.links), found.at);
        if told.is_none() || Arc::ptr_eq(&links, &self.links) {
            return;
        }
        self.links = links;
        self.traffic.follow(&self.links);
        self.follow_links(now);
        self.memberships.retry();
        self.set_filters();
        let links = Links::clone(&self.links);
        self.announcer
            .handle(announcer::Input::Links(links.clone()), now);
        if self.keyring.is_some() {
            self.tell(election::Input::Links(links), now);
        }
        self.act(now);
        set(&self.metrics.groups, self.memberships.count());
        let took = told.map_or(Duration::ZERO, |told| clock::now().since(told));
        self.metrics.link_change.observe(took.as_secs_f64());
        tracing::debug!(?took, "links have changed");
    }

    /// Lets through what is about the addresses that this node may announce or, until others have
    /// taken them over, still does.
    pub(super) fn set_filters(&mut self) {
        let (node, assignments) = (&self.node, &self.assignments);
        let is_candidate = |address| {
            let assignment = assignments.get(address);
            assignment.is_some_and(|assignment| assignment.candidate(node).is_some())
        };
        let owned = self.election.owned().map(|owned| owned.address);
        let leaving: Vec<_> = owned.filter(|&address| !is_candidate(address)).collect();
        self.filters_wide = !leaving.is_empty();
        self.filters_stale = false;
        self.sockets
            .set_filters(assignments, leaving.into_iter(), &self.links);
    }

    pub(super) fn follow_links(&mut self, now: Moment) {
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
            self.set_filters();
        }
        for address in new.gone(&old) {
            self.tell(election::Input::Unassign { address }, now);
            self.announcer
                .handle(announcer::Input::Forget { address }, now);
        }
        for (address, assignment) in new.changed(&old) {
            let candidate = assignment.candidate(&self.node);
            let prepare = candidate.map(|candidate| announcer::Input::Prepare {
                address,
                interfaces: candidate.interfaces.clone(),
            });
            let input = election::Input::Assign {
                address,
                assignment: election::Assignment::clone(assignment),
            };
            self.tell(input, now);
            match prepare {
                Some(prepare) => self.announcer.handle(prepare, now),
                // Until somebody takes it over it is announced here.
                None if self.election.owns(address) => {}
                None => self
                    .announcer
                    .handle(announcer::Input::Forget { address }, now),
            }
        }
        self.act(now);
        set(&self.metrics.groups, self.memberships.count());
    }
}
