//! What the node says of itself: the status of the Announcements that it owns, and of its Speaker.
//!
//! [`Reporter`] does no IO. It is told what the L2 thread reports, what the kernel says of links,
//! and what the API server has; it compares what a status should say (`status`) with what it says,
//! and hands out a [`Write`] where they differ. So nothing is written at rest, a change that is
//! undone before it is written is not written at all, and what went wrong once is tried again.
//!
//! An address has one status, and in the end one node owns it; until then two may think so. A node
//! does not write over a higher claim (R4), unless that is of a node that may not announce and this one
//! may, nor does it clear a status that has changed since it was read. So two do not write in turn.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use bellwether_core::election::Recorded;
use bellwether_core::frame::beacon::Session;
use bellwether_core::moment::Moment;
use bellwether_core::name::NodeName;
use bellwether_core::placement::rendezvous_weight;
use bellwether_crds::announcement::{AnnouncementStatus, address_of};
use bellwether_crds::speaker::SpeakerStatus;
use bellwether_daemon::call::CallError;
use bellwether_daemon::watch::Event;
use k8s_openapi::jiff::Timestamp;

use crate::facts::{AnnouncementFacts, SpeakerFacts};
use crate::l2::Report;

mod claims;
mod messages;
mod reason;
mod retries;
mod status;

pub use messages::{Input, Now, Target, Write, Written};

use claims::{Claim, Claims};
use retries::Retries;
use status::Surroundings;

/// What an Announcement says.
#[derive(Clone, Debug)]
struct Record {
    recorded: Option<Recorded>,
    /// The whole status, with the version of the object, if it concerns this node.
    ours: Option<(AnnouncementStatus, String)>,
}

/// Compares what is said with what should be. See the [module](self).
#[derive(Debug)]
pub struct Reporter {
    node: NodeName,
    surroundings: Surroundings,
    links_known: bool,
    assigned: bool,
    stopping: bool,
    claims: Claims,
    records: BTreeMap<IpAddr, Record>,
    /// The status of the node's Speaker, once there is one.
    speaker: Option<SpeakerStatus>,
    /// The nodes that may announce.
    eligible: BTreeSet<NodeName>,
    /// What is to be compared.
    stale: BTreeSet<Target>,
    in_flight: BTreeSet<Target>,
    retries: Retries,
}

impl Reporter {
    /// The reporter of `node`, whose speaker has started as `session`. Other nodes reach it at
    /// `addresses`; if there are none, at those of its links.
    #[must_use]
    pub fn new(node: NodeName, session: Session, addresses: Vec<IpAddr>) -> Self {
        Self {
            node,
            surroundings: Surroundings {
                session: Some(format!("{:016x}", session.0)),
                given: addresses,
                ..Surroundings::default()
            },
            links_known: false,
            assigned: false,
            stopping: false,
            claims: Claims::default(),
            records: BTreeMap::new(),
            speaker: None,
            eligible: BTreeSet::new(),
            stale: BTreeSet::new(),
            in_flight: BTreeSet::new(),
            retries: Retries::default(),
        }
    }

    /// Takes something in.
    pub fn handle(&mut self, input: Input, now: Now) {
        match input {
            Input::Report(report) => self.report(report, now),
            Input::Links(links) => {
                self.surroundings.links = links;
                self.links_known = true;
                self.compare_all();
            }
            Input::KernelAnswers(answers) => {
                self.surroundings.answers = answers;
                self.stale.insert(Target::Speaker);
            }
            Input::Named(named) => {
                self.surroundings.named = named;
                self.stale.insert(Target::Speaker);
            }
            Input::Announcement(event) => self.announcement(event, now.moment),
            Input::Speaker(event) => self.speaker(event),
            Input::Assigned => {
                self.assigned = true;
                let known: Vec<IpAddr> = self.records.keys().copied().collect();
                for address in known {
                    self.look_for_release(address, now.moment);
                }
            }
            Input::Ended => {
                self.stopping = true;
                self.stale.insert(Target::Speaker);
                self.claims.end(now.moment);
            }
            Input::Written { target, result } => self.written(target, result, now.moment),
        }
        self.on_deadline(now.moment);
    }

    /// Makes due what is due by `now`.
    pub fn on_deadline(&mut self, now: Moment) {
        let changed = self.claims.on_deadline(now);
        self.stale
            .extend(changed.into_iter().map(Target::Announcement));
        self.stale.extend(self.retries.due(now));
    }

    /// When [`Self::on_deadline`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Moment> {
        let claims = self.claims.next_deadline();
        claims.into_iter().chain(self.retries.next()).min()
    }

    /// The next status to write. What comes of it is to be handed in as [`Input::Written`].
    pub fn poll_output(&mut self, now: Now) -> Option<Write> {
        let mut later = Vec::new();
        let mut found = None;
        while found.is_none()
            && let Some(target) = self.stale.pop_first()
        {
            if self.in_flight.contains(&target) {
                later.push(target);
                continue;
            }
            found = self
                .difference(target, now.time)
                .filter(|_| !self.retries.must_wait(target, now.moment));
        }
        self.stale.extend(later);
        self.in_flight.extend(found.as_ref().map(Write::target));
        found
    }

    /// Whether all that is to be said has been.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.stale.is_empty() && self.in_flight.is_empty() && self.retries.next().is_none()
    }

    fn report(&mut self, report: Report, now: Now) {
        match report {
            Report::Own(owned) => {
                self.stale.insert(Target::Announcement(owned.address));
                self.claims.own(owned, now.time);
            }
            Report::Release { address, reason } => {
                self.claims.release(address, reason, now.moment);
            }
            Report::Foreign(claim) => {
                self.stale.insert(Target::Announcement(claim.address));
                self.claims.foreign(claim.address, claim.mac, now.moment);
            }
            Report::Closed(closed) => {
                self.surroundings.closed = closed;
                self.compare_all();
            }
            Report::Paths(paths) => {
                self.surroundings.paths = Some(paths);
                self.stale.insert(Target::Speaker);
            }
            Report::All {
                owned,
                closed,
                paths,
            } => {
                self.claims.replace(owned, now.time, now.moment);
                self.surroundings.closed = closed;
                self.surroundings.paths = paths;
                self.compare_all();
            }
        }
    }

    fn compare_all(&mut self) {
        self.stale.insert(Target::Speaker);
        self.stale
            .extend(self.claims.addresses().map(Target::Announcement));
    }

    fn announcement(&mut self, event: Event<Option<AnnouncementFacts>>, now: Moment) {
        match event {
            Event::Listed {
                objects,
                undecodable,
            } => {
                let kept: BTreeSet<IpAddr> = objects
                    .iter()
                    .flatten()
                    .map(|facts| facts.address)
                    .chain(undecodable.iter().filter_map(|key| address_of(&key.name)))
                    .collect();
                let gone = self.records.keys().filter(|known| !kept.contains(known));
                for address in gone.copied().collect::<Vec<_>>() {
                    self.forget(address);
                }
                for facts in objects.into_iter().flatten() {
                    self.record(facts, now);
                }
            }
            Event::Applied(Some(facts)) => self.record(facts, now),
            Event::Applied(None) => {}
            Event::Deleted(key) => {
                if let Some(address) = address_of(&key.name) {
                    self.forget(address);
                }
            }
        }
    }

    fn forget(&mut self, address: IpAddr) {
        if self.records.remove(&address).is_some() {
            self.look_at_holder(address);
        }
        self.claims.forget_release(address);
        self.claims.forget_stranger(address);
    }

    /// Takes in what an Announcement says.
    fn record(&mut self, facts: AnnouncementFacts, now: Moment) {
        let address = facts.address;
        let recorded = facts.recorded();
        let owned = self.claims.get(address).is_some();
        if facts.status.node.is_some() {
            self.claims.forget_stranger(address);
        } else if status::names_some_stranger(&facts.status) {
            self.claims.stranger_was_told(address);
        }
        // What nobody announces concerns all: each may find out why.
        let concerns_us = owned || facts.status.node.is_none() || names(&facts.status, &self.node);
        let record = Record {
            recorded,
            ours: concerns_us.then_some((facts.status, facts.resource_version)),
        };
        if self.records.insert(address, record).is_none() {
            self.look_at_holder(address);
        }
        self.stale.insert(Target::Announcement(address));
        self.look_for_release(address, now);
    }

    /// If a link holds an address that is new or gone, the Speaker may have to say something else.
    fn look_at_holder(&mut self, address: IpAddr) {
        if self.surroundings.answers.holder(address).is_some() {
            self.stale.insert(Target::Speaker);
        }
    }

    /// If a status names this node though it does not own the address, that ends in a while.
    fn look_for_release(&mut self, address: IpAddr, now: Moment) {
        if !self.assigned || self.claims.get(address).is_some() {
            return;
        }
        let record = self.records.get(&address);
        let ours = record.and_then(|record| record.ours.as_ref());
        if ours.is_some_and(|(status, _)| names(status, &self.node)) {
            self.claims.outlived(address, now);
        } else {
            self.claims.forget_release(address);
        }
    }

    fn speaker(&mut self, event: Event<SpeakerFacts>) {
        let before = self.eligible.clone();
        match event {
            Event::Listed { objects, .. } => {
                self.eligible.clear();
                for facts in objects {
                    self.one_speaker(facts);
                }
            }
            Event::Applied(facts) => self.one_speaker(facts),
            Event::Deleted(key) => {
                self.eligible.retain(|node| node.as_str() != key.name);
                if key.name == self.node.as_str() {
                    self.speaker = None;
                }
            }
        }
        if self.eligible != before {
            self.compare_all();
        }
    }

    fn one_speaker(&mut self, facts: SpeakerFacts) {
        if facts.eligible {
            self.eligible.insert(facts.name.clone());
        } else {
            self.eligible.remove(&facts.name);
        }
        self.own_speaker(facts);
    }

    fn own_speaker(&mut self, facts: SpeakerFacts) {
        if let Some(status) = facts.own_status {
            self.speaker = Some(status);
            self.stale.insert(Target::Speaker);
        }
    }

    fn written(&mut self, target: Target, result: Result<Written, CallError>, now: Moment) {
        self.in_flight.remove(&target);
        match result {
            Ok(written) => {
                self.retries.succeeded(target, now);
                match written {
                    Written::Speaker(facts) => self.own_speaker(facts),
                    Written::Announcement(Some(facts)) => self.record(facts, now),
                    Written::Announcement(None) => {}
                }
            }
            // Gone; the watch will say so too.
            Err(CallError::NotFound(_)) => self.retries.succeeded(target, now),
            Err(error) if error.is_transient() => self.retries.unreachable(target, now),
            Err(_) => self.retries.refused(target, now),
        }
    }

    /// What to write so that `target` says what it should.
    fn difference(&self, target: Target, now: Timestamp) -> Option<Write> {
        match target {
            Target::Speaker => {
                let old = self.speaker.as_ref().filter(|_| self.links_known)?;
                let announced = self.records.keys().copied();
                let answered = self.surroundings.answered(&self.node, announced);
                let new = status::speaker(
                    &self.node,
                    &self.surroundings,
                    answered,
                    self.stopping,
                    old,
                    now,
                );
                (new != *old).then_some(Write::Speaker(new))
            }
            Target::Announcement(address) => {
                let record = self.records.get(&address)?;
                match self.claims.get(address) {
                    Some(claim) => self.claim_difference(claim, record, now),
                    None => self.release_difference(address, record, now),
                }
            }
        }
    }

    fn claim_difference(&self, claim: &Claim, record: &Record, now: Timestamp) -> Option<Write> {
        if !self.links_known || self.is_outdone(claim, record) {
            return None;
        }
        let nothing = AnnouncementStatus::default();
        let old = record.ours.as_ref().map(|(status, _)| status);
        let new = status::owned(
            &self.node,
            claim,
            &self.surroundings,
            old.unwrap_or(&nothing),
            now,
        );
        (old != Some(&new)).then_some(Write::Announcement {
            address: claim.owned.address,
            status: new,
            resource_version: None,
        })
    }

    fn release_difference(
        &self,
        address: IpAddr,
        record: &Record,
        now: Timestamp,
    ) -> Option<Write> {
        let (old, version) = record.ours.as_ref()?;
        if let Some(mac) = self.claims.stranger(address)
            && old.node.is_none()
            && !status::names_stranger(old, mac)
            && (self.claims.is_news(address) || !status::names_some_stranger(old))
        {
            return Some(Write::Announcement {
                address,
                status: status::used_by_stranger(mac, old, now),
                resource_version: Some(version.clone()),
            });
        }
        let reason = self.claims.ended(address)?;
        names(old, &self.node).then(|| Write::Announcement {
            address,
            status: status::released(&self.node, reason, old, now),
            resource_version: Some(version.clone()),
        })
    }

    /// Whether another node has a claim that goes before this node's. That of a node which may announce
    /// goes before that of one which may not: that one has died, perhaps while nobody heard it, or is
    /// about to hand the address over. Of two that may, or may not, the higher claim does (R4).
    fn is_outdone(&self, claim: &Claim, record: &Record) -> bool {
        let Some(recorded) = record.recorded.as_ref().filter(|recorded| recorded.stands) else {
            return false;
        };
        let others = recorded.node.as_ref().filter(|node| **node != self.node);
        others.is_some_and(|node| {
            let order = |node, term| {
                let weight = rendezvous_weight(node, claim.owned.address);
                (self.eligible.contains(node), term, weight)
            };
            order(node, recorded.term) > order(&self.node, claim.owned.term)
        })
    }
}

/// Whether a status says that `node` announces the address.
fn names(status: &AnnouncementStatus, node: &NodeName) -> bool {
    status.node.as_deref() == Some(node.as_str())
}

#[cfg(test)]
mod tests;
