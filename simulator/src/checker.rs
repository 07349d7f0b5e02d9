//! Whether a history is one that may happen: the invariants of the protocol, from the outside.
//!
//! It knows what an all-seeing observer wrote down, and the plan, and shares no code with the
//! election. What it demands of every run:
//!
//! - frames: who announces or answers owns the address, may answer, and has sent a beacon lately
//!   (I4, I8, R6)
//! - terms: no claim repeats the term of an earlier one (I7)
//! - no steady second announcer while two hear each other (I1)
//! - some time after the last fault, each address that has a living candidate has exactly one
//!   announcer, it keeps it, its announcement was the last one, and hosts believe it (I3)
//! - the absence of the API changes no owner (I6)
//!
//! And of a fault that comes alone, after calm: the figures of the design, in [`alone`].

use std::collections::BTreeMap;

use bellwether_core::election::OwnReason;

use crate::history::{Event, Time, What};
use crate::plan::{Fault, Plan};

mod alone;

const MILLISECOND: Time = 1_000_000;
const SECOND: Time = 1000 * MILLISECOND;

/// How long after the last fault all is as it should be: a start (listening, questions, ranks), a
/// doubled patience after flapping, and the announcements after that.
const SETTLED: Time = 5 * SECOND;

/// How late a loop is at most when nothing is wrong with it, and how long a frame takes.
const SLACK: Time = 5 * MILLISECOND;

/// Something that must not happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// When it was noticed.
    pub at: Time,
    /// The invariant: a short name.
    pub rule: &'static str,
    /// What happened, in words.
    pub message: String,
}

/// An address as a node holds it.
#[derive(Clone, Copy, Debug)]
struct Claim {
    since: Time,
    term: u64,
}

#[derive(Clone, Debug, Default)]
struct Speaker {
    running: bool,
    paused: bool,
    answering: bool,
    started: Time,
    last_beacon: Time,
    /// How long its last beacons allow it to be silent.
    promises: [Time; 5],
    /// It was away too long, and must listen until then.
    listens_until: Time,
    claims: BTreeMap<usize, Claim>,
}

#[derive(Clone, Debug, Default)]
struct Address {
    candidates: u32,
    changed: Time,
    last_announced: Option<usize>,
    /// Somebody has owned it since it was assigned.
    was_owned: bool,
    /// By node: the last term that it claimed with, when, and when that claim ended.
    terms: Vec<(usize, u64, Time, Time)>,
    /// Since when nobody announces it.
    silent_since: Option<Time>,
}

impl Speaker {
    /// How long it may be silent in the eyes of a peer that has heard any one of its last beacons.
    fn may_be_silent(&self) -> Time {
        self.promises.into_iter().min().unwrap_or(0)
    }
}

/// The state of the world as far as the invariants are about it.
#[derive(Debug)]
struct Checker<'a> {
    plan: &'a Plan,
    now: Time,
    limit: Time,
    interval: Time,
    speakers: Vec<Speaker>,
    addresses: Vec<Address>,
    hearing: Vec<u32>,
    reaching: Vec<u32>,
    hearing_since: Time,
    /// Pairs that both announce, hear each other, and since when.
    overlaps: BTreeMap<(usize, usize, usize), Time>,
    active: Vec<usize>,
    /// When the last fault ended or began, and what it was.
    disturbed: Time,
    violations: Vec<Violation>,
}

/// All that is wrong with `history`.
#[must_use]
pub fn check(plan: &Plan, history: &[Event]) -> Vec<Violation> {
    let mut checker = Checker::new(plan);
    for event in history {
        checker.advance(event.at);
        checker.take(&event.what);
    }
    checker.advance(plan.length * MILLISECOND);
    checker.violations.extend(alone::check(plan, history));
    checker.violations
}

fn interval_of(plan: &Plan) -> Time {
    Time::try_from(plan.profile.interval.as_nanos()).unwrap_or(Time::MAX)
}

/// R5: how long a node may be silent that says that it is so late at times.
fn allowed_silence(plan: &Plan, lateness: Time) -> Time {
    let interval = interval_of(plan);
    (interval * u64::from(plan.profile.misses))
        .max((3 * interval + 4 * lateness).min(2 * SECOND))
        .max(100 * MILLISECOND)
}

impl<'a> Checker<'a> {
    fn new(plan: &'a Plan) -> Self {
        Self {
            plan,
            now: 0,
            limit: allowed_silence(plan, 0),
            interval: interval_of(plan),
            speakers: vec![Speaker::default(); plan.nodes],
            addresses: vec![Address::default(); plan.addresses],
            hearing: vec![0; plan.nodes],
            reaching: vec![0; plan.nodes],
            hearing_since: 0,
            overlaps: BTreeMap::new(),
            active: Vec::new(),
            disturbed: 0,
            violations: Vec::new(),
        }
    }

    fn violation(&mut self, rule: &'static str, message: String) {
        // One of a kind is enough to fail a run.
        if !self.violations.iter().any(|known| known.rule == rule) {
            self.violations.push(Violation {
                at: self.now,
                rule,
                message,
            });
        }
    }

    fn faults(&self) -> impl Iterator<Item = Fault> {
        self.active
            .iter()
            .map(|&index| self.plan.faults[index].fault)
    }

    /// Time passes: what has lasted too long by then is a violation.
    fn advance(&mut self, to: Time) {
        let over: Vec<_> = self
            .overlaps
            .iter()
            .filter(|&(_, &since)| {
                to.saturating_sub(since.max(self.hearing_since)) > self.patience()
            })
            .map(|(&key, &since)| (key, since))
            .collect();
        for ((address, one, other), since) in over {
            let for_ms = (to - since) / MILLISECOND;
            self.violation(
                "I1",
                format!("nodes {one} and {other} both announce address {address} for {for_ms} ms"),
            );
        }
        let settled = self.disturbed + SETTLED;
        if self.now < settled && settled <= to && self.active.is_empty() {
            self.now = settled;
            self.check_settled();
        }
        self.now = to;
    }

    /// How long two that hear each other may both announce: until the next beacon has been heard
    /// and acted upon. Where frames get lost or late, it takes a few.
    fn patience(&self) -> Time {
        if self.is_rough() {
            6 * self.limit + SECOND
        } else {
            self.interval + 10 * MILLISECOND + SLACK
        }
    }

    fn is_rough(&self) -> bool {
        self.plan.loss > 0
            || self.faults().any(|fault| {
                matches!(
                    fault,
                    Fault::Loss(_)
                        | Fault::Bursts(_)
                        | Fault::Delay(_)
                        | Fault::Late(..)
                        | Fault::Duplicates
                        | Fault::SendFails(_)
                )
            })
            || self.now < self.disturbed + 2 * self.limit
    }

    fn take(&mut self, what: &What) {
        match what {
            What::FaultBegan(fault) => {
                self.active.push(*fault);
                self.disturbed = self.now;
            }
            What::FaultEnded(fault) => {
                self.active.retain(|active| active != fault);
                self.disturbed = self.now;
            }
            What::Started(node) => {
                self.speakers[*node] = Speaker {
                    running: true,
                    started: self.now,
                    promises: [self.limit; 5],
                    ..Speaker::default()
                };
                self.disturbed = self.now;
            }
            What::Ended(node) => {
                let claims = std::mem::take(&mut self.speakers[*node].claims);
                self.speakers[*node].running = false;
                for (address, claim) in claims {
                    self.ended(*node, address, claim);
                }
                self.renew_overlaps();
            }
            What::Paused(node) => {
                self.speakers[*node].paused = true;
                self.renew_overlaps();
            }
            What::Resumed(node, away) => {
                let speaker = &mut self.speakers[*node];
                let listens = *away > speaker.may_be_silent() * 8 / 10 + 2 * SLACK;
                speaker.paused = false;
                if listens {
                    speaker.listens_until = self.now + 2 * self.interval;
                }
                self.disturbed = self.now;
                self.renew_overlaps();
            }
            What::Answering(node, answering) => {
                self.speakers[*node].answering = *answering;
                self.renew_overlaps();
            }
            What::Beacon { node, lateness } => {
                let limit = allowed_silence(self.plan, *lateness);
                let speaker = &mut self.speakers[*node];
                speaker.last_beacon = self.now;
                speaker.promises.rotate_right(1);
                speaker.promises[0] = limit;
            }
            What::Owned {
                node,
                address,
                term,
                reason,
            } => self.owned(*node, *address, *term, *reason),
            What::Released { node, address, .. } => {
                if let Some(claim) = self.speakers[*node].claims.remove(address) {
                    self.ended(*node, *address, claim);
                }
                self.renew_overlaps();
            }
            What::Announced { node, address } => {
                self.addresses[*address].last_announced = Some(*node);
                self.speaks(*node, *address, "announces");
            }
            What::Answered { node, address } => self.speaks(*node, *address, "answers for"),
            What::Alien(node) => self.violation(
                "I8",
                format!("node {node} sent a frame for an address that is none of the run's"),
            ),
            What::Candidates(address, candidates) => {
                self.addresses[*address].candidates = *candidates;
                self.addresses[*address].changed = self.now;
                self.addresses[*address].was_owned &= *candidates != 0;
                self.disturbed = self.now;
            }
            What::Believed {
                host,
                address,
                node,
            } => self.believed(*host, *address, *node),
            What::Hearing(rows) => {
                self.hearing.clone_from(rows);
                self.hearing_since = self.now;
                self.renew_overlaps();
            }
            What::Reaching(rows) => {
                self.reaching.clone_from(rows);
                self.renew_overlaps();
            }
        }
    }

    fn owned(&mut self, node: usize, address: usize, term: u64, reason: OwnReason) {
        let now = self.now;
        if let Some(claim) = self.speakers[node].claims.get(&address)
            && claim.term == term
        {
            return;
        }
        // A term of somebody else that could be known here.
        let repeated = self.addresses[address]
            .terms
            .iter()
            .find(|&&(other, old, since, ended)| {
                let ended_long_ago = ended != 0 && ended - since > SECOND && ended + SECOND < now;
                let known_for_long = ended == 0 && since + 3 * SECOND < now;
                old >= term && (ended_long_ago || known_for_long) && (other != node || old == term)
            });
        let all_forgot = self.plan.faults.iter().any(|timed| {
            matches!(
                timed.fault,
                Fault::NoApi(_)
                    | Fault::KillAll
                    | Fault::Split(_)
                    | Fault::Unassign(_)
                    | Fault::Crash(_)
            )
        });
        if let Some(&(other, old, ..)) = repeated
            && !all_forgot
        {
            self.violation(
                "I7",
                format!(
                    "node {node} claims address {address} with term {term} ({reason}), though node \
                     {other} had term {old}"
                ),
            );
        }
        let stranger = self.faults().any(|fault| fault == Fault::Stranger(address));
        let since = self
            .active
            .iter()
            .filter(|&&index| self.plan.faults[index].fault == Fault::Stranger(address))
            .map(|&index| self.plan.faults[index].at * MILLISECOND)
            .min();
        if stranger
            && reason == OwnReason::Unclaimed
            && !self.addresses[address].was_owned
            && since.is_some_and(|since| now > since + 600 * MILLISECOND)
            && self.plan.loss == 0
            && self.active.len() == 1
        {
            self.violation(
                "C1",
                format!("node {node} takes address {address}, though a stranger uses it"),
            );
        }
        self.addresses[address].was_owned = self.addresses[address].candidates != 0;
        self.addresses[address].terms.push((node, term, now, 0));
        self.speakers[node]
            .claims
            .insert(address, Claim { since: now, term });
        self.renew_overlaps();
    }

    fn ended(&mut self, node: usize, address: usize, claim: Claim) {
        let now = self.now;
        for known in &mut self.addresses[address].terms {
            if (known.0, known.1, known.2) == (node, claim.term, claim.since) {
                known.3 = now;
            }
        }
    }

    /// A node speaks for an address.
    fn speaks(&mut self, node: usize, address: usize, does: &str) {
        let speaker = &self.speakers[node];
        if !speaker.claims.contains_key(&address) {
            self.violation(
                "owner",
                format!("node {node} {does} address {address}, which it does not own"),
            );
            return;
        }
        if !speaker.running || speaker.paused {
            self.violation(
                "dead",
                format!("node {node} {does} address {address} while it does not run"),
            );
        } else if self.now < speaker.listens_until {
            self.violation(
                "I4",
                format!("node {node} {does} address {address} before it has listened"),
            );
        } else if self.now > speaker.last_beacon + speaker.may_be_silent()
            && self.now > speaker.started + self.limit
        {
            let for_ms = (self.now - speaker.last_beacon) / MILLISECOND;
            self.violation(
                "R6",
                format!(
                    "node {node} {does} address {address}, and its last beacon is {for_ms} ms old"
                ),
            );
        }
    }

    fn announces(&self, node: usize, address: usize) -> bool {
        let speaker = &self.speakers[node];
        speaker.running
            && !speaker.paused
            && speaker.answering
            && speaker.claims.contains_key(&address)
    }

    fn hear_each_other(&self, one: usize, other: usize) -> bool {
        self.hearing[one] & (1 << other) != 0 && self.hearing[other] & (1 << one) != 0
    }

    fn renew_overlaps(&mut self) {
        let mut overlaps = BTreeMap::new();
        for address in 0..self.addresses.len() {
            let announcers: Vec<_> = (0..self.plan.nodes)
                .filter(|&node| self.announces(node, address))
                .collect();
            for (position, &one) in announcers.iter().enumerate() {
                for &other in &announcers[position + 1..] {
                    if self.hear_each_other(one, other) {
                        let key = (address, one, other);
                        let since = self.overlaps.get(&key).copied().unwrap_or(self.now);
                        overlaps.insert(key, since);
                    }
                }
            }
            let silent = announcers.is_empty();
            let known = &mut self.addresses[address];
            known.silent_since = silent.then(|| known.silent_since.unwrap_or(self.now));
        }
        self.overlaps = overlaps;
    }

    /// Nothing has been wrong for long enough.
    fn check_settled(&mut self) {
        for address in 0..self.addresses.len() {
            if self.was_strange(address) {
                continue;
            }
            let candidates = self.addresses[address].candidates;
            let announcers: Vec<_> = (0..self.plan.nodes)
                .filter(|&node| self.announces(node, address))
                .collect();
            let living = (0..self.plan.nodes)
                .any(|node| candidates & (1 << node) != 0 && self.speakers[node].running);
            match announcers[..] {
                [] if living => {
                    self.violation("none", format!("nobody announces address {address}"));
                }
                [] => {}
                [announcer] => {
                    if candidates & (1 << announcer) == 0 {
                        self.violation(
                            "R1",
                            format!(
                                "node {announcer} announces address {address}, and is no candidate"
                            ),
                        );
                    }
                    let last = self.addresses[address].last_announced;
                    if last != Some(announcer) {
                        self.violation(
                            "I3",
                            format!("node {last:?} announced address {address} last, not its owner {announcer}"),
                        );
                    }
                }
                _ => self.violation("I1", format!("{announcers:?} announce address {address}")),
            }
        }
    }

    /// A stranger has used the address in the last minute, so that it may rest.
    fn was_strange(&self, address: usize) -> bool {
        self.plan.faults.iter().any(|timed| {
            timed.fault == Fault::Stranger(address)
                && (timed.at + timed.lasts + 62_000) * MILLISECOND > self.now
                && timed.at * MILLISECOND < self.now
        })
    }

    fn believed(&mut self, host: usize, address: usize, node: Option<usize>) {
        if !self.active.is_empty() || self.was_strange(address) {
            return;
        }
        if self.now < self.disturbed + SETTLED + 2 * SECOND {
            return;
        }
        let announcer = (0..self.plan.nodes).find(|&node| self.announces(node, address));
        if announcer.is_some() && node != announcer && self.plan.loss == 0 {
            self.violation(
                "caches",
                format!("host {host} believes that {node:?} has address {address}, and {announcer:?} does"),
            );
        }
    }
}
