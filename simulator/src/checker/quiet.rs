//! What may happen to an address when nothing is wrong: nothing (R2); and who has the last word where
//! two have announced it (R13).

use bellwether_core::election::ReleaseReason;

use super::{Checker, MILLISECOND, Past, SETTLED, SLACK};
use crate::history::Time;
use crate::plan::Fault;

/// The last word may wait for so long, because an address is not announced more often.
const ANNOUNCED_AGAIN: Time = 100 * MILLISECOND;

impl Checker<'_> {
    /// Somebody takes or gives up the address: that may not be when all has been well for a while.
    pub(super) fn moves(&mut self, address: usize, how: &str) {
        let quiet = self.active.is_empty() && self.now > self.disturbed + SETTLED;
        if quiet && !self.was_strange(address) {
            let since = (self.now - self.disturbed) / MILLISECOND;
            self.violation(
                "quiet",
                format!("address {address}: {how}, and nothing has happened for {since} ms"),
            );
        }
    }

    /// A node gives up an address that it announced.
    pub(super) fn released(&mut self, node: usize, address: usize, reason: ReleaseReason) {
        self.moves(address, &format!("node {node} gives it up ({reason})"));
        self.owed.remove(&(address, node));
        let Some(claim) = self.speakers[node].claims.remove(&address) else {
            return;
        };
        let (since, until) = (claim.since, self.now);
        // A claim that comes by datagram alone counts when a frame of its node is seen on the link (R15).
        // Those are looked at after timers, for the sake of who asks.
        let by_datagram = self.faults().any(|fault| matches!(fault, Fault::Filter(_)));
        if since == until && reason == ReleaseReason::Outclaimed && !by_datagram {
            self.violation(
                "R5",
                format!(
                    "node {node} takes address {address} and gives it up in one turn of its loop: it \
                     had not read all that had come in"
                ),
            );
        }
        let past = &mut self.speakers[node].past;
        if reason == ReleaseReason::HandedOver {
            past.insert(address, Past { since, until });
        } else {
            past.remove(&address);
        }
        if reason == ReleaseReason::Outclaimed && self.active.is_empty() && self.plan.loss == 0 {
            let other = (0..self.plan.nodes).find(|&other| {
                let pair = (address, node.min(other), node.max(other));
                other != node && self.overlaps.contains_key(&pair)
            });
            let due = self.now + ANNOUNCED_AGAIN + self.interval + 10 * MILLISECOND + SLACK;
            self.owed.extend(other.map(|other| ((address, other), due)));
        }
        self.ended(node, address, claim);
        self.renew_overlaps();
    }

    /// R13: who gave in may have announced the address last, or answered for it, so that its owner has
    /// to announce it once more.
    pub(super) fn check_owed(&mut self, to: Time) {
        let over: Vec<_> = self
            .owed
            .iter()
            .filter(|&(_, &due)| due < to)
            .map(|(&key, _)| key)
            .collect();
        for (address, node) in over {
            self.owed.remove(&(address, node));
            if self.announces(node, address) {
                self.violation(
                    "R13",
                    format!(
                        "node {node} has not announced address {address} again since another one \
                         that announced it has given in"
                    ),
                );
            }
        }
    }
}
