//! Whether two announce an address at once, and for how long they may (I1).

use std::collections::BTreeMap;

use super::{Checker, MILLISECOND, SECOND, SLACK};
use crate::history::Time;
use crate::plan::Fault;

/// How long two may both announce whose beacons do not pass, but datagrams and all else: until it is
/// plain that they are filtered, and one has heard of the other by datagrams (R15).
const FILTERED: Time = 3 * SECOND / 2;

impl Checker<'_> {
    /// How long two that hear each other may both announce: until the next beacon has been heard
    /// and acted upon. Where frames get lost or late, it takes a few.
    pub(super) fn patience(&self) -> Time {
        if self.is_rough() {
            6 * self.limit + SECOND
        } else {
            self.interval + 10 * MILLISECOND + SLACK
        }
    }

    pub(super) fn is_rough(&self) -> bool {
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
            || self.now < self.late_until
    }

    pub(super) fn announces(&self, node: usize, address: usize) -> bool {
        let speaker = &self.speakers[node];
        speaker.running
            && !speaker.paused
            && speaker.answering
            && speaker.claims.contains_key(&address)
    }

    pub(super) fn hear_each_other(&self, one: usize, other: usize) -> bool {
        self.hearing[one] & (1 << other) != 0 && self.hearing[other] & (1 << one) != 0
    }

    /// Whether frames and datagrams pass between them, whatever becomes of beacons, and each knows whose
    /// the frames are.
    fn meet_by_datagrams(&self, one: usize, other: usize) -> bool {
        let reach =
            self.reaching[one] & (1 << other) != 0 && self.reaching[other] & (1 << one) != 0;
        let unknown = |fault| {
            matches!(
                fault,
                Fault::NewMac(_) | Fault::NoApi(_) | Fault::Disorder(_)
            )
        };
        let known = !self.plan.faults.iter().any(|timed| unknown(timed.fault));
        reach && known && !self.faults().any(|fault| fault == Fault::NoDatagrams)
    }

    pub(super) fn renew_overlaps(&mut self) {
        let mut overlaps = BTreeMap::new();
        for address in 0..self.addresses.len() {
            let announcers: Vec<_> = (0..self.plan.nodes)
                .filter(|&node| self.announces(node, address))
                .collect();
            for (position, &one) in announcers.iter().enumerate() {
                for &other in &announcers[position + 1..] {
                    if self.hear_each_other(one, other) || self.meet_by_datagrams(one, other) {
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

    /// Both have announced for too long by then.
    pub(super) fn check_overlaps(&mut self, to: Time) {
        let over: Vec<_> = self
            .overlaps
            .iter()
            .filter(|&(&(_, one, other), &since)| {
                let (from, patience) = if self.hear_each_other(one, other) {
                    (self.hearing_since, self.patience())
                } else {
                    let from = self.hearing_since.max(self.reaching_since);
                    (from, self.patience() + FILTERED)
                };
                to.saturating_sub(since.max(from)) > patience
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
    }
}
