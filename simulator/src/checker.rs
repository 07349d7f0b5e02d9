//! Whether a history is one that may happen: the invariants of the protocol, from the outside.
//!
//! It knows what an all-seeing observer wrote down, and the plan, and shares no code with the
//! election. What it demands of every run:
//!
//! - a run comes to an end, and so does each turn of a loop: nobody takes twice in one what it has
//!   given up in between (I0)
//! - nobody takes an address that by what has come in belongs to another (R5)
//! - frames: who announces or answers owns the address, may answer, and has sent a beacon lately
//!   (I4, I8, R6)
//! - terms: no claim repeats the term of an earlier one (I7)
//! - no steady second announcer while two hear each other, or while only their beacons are filtered and
//!   they can meet by datagrams (I1, R15), and who remains of two announces
//!   once more (R13)
//! - of an address that is handed over each question is answered by the one whose it was when it came
//! - nothing moves while nothing is wrong, whatever the API repeats; for balance, where that is asked
//!   for, an address moves once, and without a moment in which nobody announces it (R2)
//! - some time after the last fault, each address that has a living candidate has exactly one
//!   announcer, it keeps it, its announcement was the last one, and hosts believe it (I3)
//! - every speaker can read the beacons of every other, of later versions and while keys are exchanged
//! - the absence of the API changes no owner (I6)
//!
//! And of a fault that comes alone, after calm: the figures of the design, in [`alone`]; of one that is
//! always there: [`throughout`].

use std::collections::BTreeMap;

use bellwether_core::election::{OwnReason, ReleaseReason};

use crate::history::{Event, Time, What};
use crate::plan::{Fault, Plan};

mod alone;
mod overlap;
mod quiet;
mod settled;
mod speaking;
mod throughout;

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
    handed_over: bool,
}

/// An address that a node has handed over to another one.
#[derive(Clone, Copy, Debug)]
struct Past {
    since: Time,
    until: Time,
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
    /// What it has handed over, by address.
    past: BTreeMap<usize, Past>,
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
    /// When it was given away last, in a run in which that is done for balance.
    given_away: Time,
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
    reaching_since: Time,
    /// Pairs that both announce, reach each other, and since when.
    overlaps: BTreeMap<(usize, usize, usize), Time>,
    /// Who has to announce an address once more, because another one announced it too, and by when.
    owed: BTreeMap<(usize, usize), Time>,
    active: Vec<usize>,
    /// When the last fault ended or began, and what it was.
    disturbed: Time,
    /// By when the last turn of a loop that was late has ended.
    late_until: Time,
    violations: Vec<Violation>,
}

/// All that is wrong with `history`.
#[must_use]
pub fn check(plan: &Plan, history: &[Event]) -> Vec<Violation> {
    if let Some(Event {
        at,
        what: What::Endless,
    }) = history.last()
    {
        // What has not come about by then would have been said of a whole run only.
        return vec![Violation {
            at: *at,
            rule: "I0",
            message: "the run does not come to an end: more and more happens".to_owned(),
        }];
    }
    let mut checker = Checker::new(plan);
    for event in history {
        checker.advance(event.at);
        checker.take(&event.what);
    }
    checker.advance(plan.length * MILLISECOND);
    checker.violations.extend(alone::check(plan, history));
    checker.violations.extend(throughout::check(plan, history));
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

/// R2: whether an address moves in a planned way in a run in which such moves are made for balance. No
/// fault has to do with those.
fn is_for_balance(plan: &Plan, event: &Event) -> bool {
    let planned = match event.what {
        What::Owned { reason, .. } => reason == OwnReason::HandedOver,
        What::Released { reason, .. } => reason == ReleaseReason::HandedOver,
        _ => false,
    };
    plan.rebalance && planned
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
            reaching_since: 0,
            overlaps: BTreeMap::new(),
            owed: BTreeMap::new(),
            active: Vec::new(),
            disturbed: 0,
            late_until: 0,
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
        self.check_overlaps(to);
        self.check_owed(to);
        let settled = self.disturbed + SETTLED;
        if self.now < settled && settled <= to && self.active.is_empty() {
            self.now = settled;
            self.check_settled();
        }
        self.now = to;
    }

    fn take(&mut self, what: &What) {
        match what {
            What::FaultBegan(fault) => {
                self.active.push(*fault);
                self.disturbed = self.now;
                self.owed.clear();
            }
            What::FaultEnded(fault) => {
                self.active.retain(|active| active != fault);
                self.disturbed = self.now;
                if let Fault::Late(_, late) = self.plan.faults[*fault].fault {
                    self.late_until = self.late_until.max(self.now + late * MILLISECOND);
                }
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
            What::Ended(node) => self.ends(*node),
            What::Paused(node) => {
                self.speakers[*node].paused = true;
                self.renew_overlaps();
            }
            What::Resumed(node, away) => self.goes_on(*node, *away),
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
            What::Released {
                node,
                address,
                reason,
            } => self.released(*node, *address, *reason),
            What::Announced { node, address } => {
                self.addresses[*address].last_announced = Some(*node);
                self.owed.remove(&(*address, *node));
                self.speaks(*node, *address, "announces");
            }
            What::Answered {
                node,
                address,
                asked,
            } => self.answers(*node, *address, *asked),
            // It is judged before all else.
            What::Endless => {}
            What::Alien(node) => self.violation(
                "I8",
                format!("node {node} sent a frame for an address that is none of the run's"),
            ),
            What::Refused(node) => self.violation(
                "keys",
                format!("node {node} refused a beacon of another node"),
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
                self.reaching_since = self.now;
                self.renew_overlaps();
            }
        }
    }

    /// A speaker ends, and its claims with it.
    fn ends(&mut self, node: usize) {
        let claims = std::mem::take(&mut self.speakers[node].claims);
        self.speakers[node].running = false;
        for (address, claim) in claims {
            self.ended(node, address, claim);
        }
        self.renew_overlaps();
    }

    /// R7: a speaker that was stopped for so long goes on, and has to listen first.
    fn goes_on(&mut self, node: usize, away: Time) {
        let speaker = &mut self.speakers[node];
        let listens = away > speaker.may_be_silent() * 8 / 10 + 2 * SLACK;
        speaker.paused = false;
        if listens {
            speaker.listens_until = self.now + 2 * self.interval;
        }
        self.disturbed = self.now;
        self.renew_overlaps();
    }
}
