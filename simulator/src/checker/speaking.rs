//! Who claims an address and speaks for it (I4, I7, R6, C1).

use bellwether_core::election::OwnReason;

use super::{Checker, Claim, MILLISECOND, SECOND};
use crate::history::Time;
use crate::plan::Fault;

impl Checker<'_> {
    pub(super) fn owned(&mut self, node: usize, address: usize, term: u64, reason: OwnReason) {
        let now = self.now;
        if let Some(claim) = self.speakers[node].claims.get(&address)
            && claim.term == term
        {
            return;
        }
        if reason != OwnReason::HandedOver || !self.plan.rebalance {
            let how = format!("node {node} takes it, with term {term} ({reason})");
            self.moves(address, &how);
        }
        // What is true when it takes it is true when it gives it up.
        let terms = self.addresses[address].terms.iter();
        let at_once = terms.filter(|&&(owner, _, since, _)| owner == node && since == now);
        if at_once.count() > 0 {
            self.violation(
                "I0",
                format!("node {node} takes address {address} twice in one turn of its loop"),
            );
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
        self.speakers[node].claims.insert(
            address,
            Claim {
                since: now,
                term,
                handed_over: reason == OwnReason::HandedOver,
            },
        );
        self.renew_overlaps();
    }

    pub(super) fn ended(&mut self, node: usize, address: usize, claim: Claim) {
        let now = self.now;
        for known in &mut self.addresses[address].terms {
            if (known.0, known.1, known.2) == (node, claim.term, claim.since) {
                known.3 = now;
            }
        }
    }

    /// A node answers a question that had reached it at that time.
    pub(super) fn answers(&mut self, node: usize, address: usize, asked: Time) {
        let speaker = &self.speakers[node];
        match (speaker.claims.get(&address), speaker.past.get(&address)) {
            (Some(claim), _) if claim.handed_over && asked < claim.since => self.violation(
                "3.7",
                format!(
                    "node {node} answers for address {address} what was asked before it was handed \
                     over to it"
                ),
            ),
            // It was its own when it was asked.
            (None, Some(past))
                if (past.since..past.until).contains(&asked)
                    && self.now < past.until + speaker.may_be_silent() =>
            {
                return;
            }
            _ => {}
        }
        self.speaks(node, address, "answers for");
    }

    /// A node speaks for an address.
    pub(super) fn speaks(&mut self, node: usize, address: usize, does: &str) {
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
}
