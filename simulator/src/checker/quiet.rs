//! What may happen to an address when nothing is wrong: nothing, or a move for balance (R2); and who has
//! the last word where two have announced it (R13).

use bellwether_core::election::ReleaseReason;

use super::{Checker, Claim, MILLISECOND, Past, SETTLED, SLACK};
use crate::history::Time;
use crate::plan::Fault;

/// The last word may wait for so long, because an address is not announced more often.
const ANNOUNCED_AGAIN: Time = 100 * MILLISECOND;

impl Checker<'_> {
    /// Somebody takes or gives up the address: that may not be when all has been well for a while.
    pub(super) fn moves(&mut self, address: usize, how: &str) {
        if self.is_quiet(address) {
            let since = (self.now - self.disturbed) / MILLISECOND;
            self.violation(
                "quiet",
                format!("address {address}: {how}, and nothing has happened for {since} ms"),
            );
        }
    }

    fn is_quiet(&self, address: usize) -> bool {
        let settled = self.active.is_empty() && self.now > self.disturbed + SETTLED;
        settled && !self.was_strange(address)
    }

    /// A node has given an address away: when all has been well for a while that is for balance. Where
    /// each address goes to its best candidate at most, none goes twice.
    fn gave_away(&mut self, node: usize, address: usize) {
        let before = std::mem::replace(&mut self.addresses[address].given_away, self.now);
        if !self.is_quiet(address) {
            return;
        }
        if before > self.disturbed + SETTLED {
            let ago = (self.now - before) / MILLISECOND;
            self.violation(
                "R2",
                format!("node {node} gives address {address} away again, after {ago} ms"),
            );
        }
        if self.addresses[address].silent_since.is_some() {
            self.violation(
                "3.7",
                format!("node {node} gives address {address} away, and nobody announces it"),
            );
        }
    }

    /// It has been given to another owner for balance, and not all hosts may have heard of it: those that
    /// have just asked the last owner let a second pass before they believe another one.
    pub(super) fn is_moving(&self, address: usize) -> bool {
        let lately = |claim: &Claim| claim.handed_over && claim.since + SETTLED > self.now;
        let claims = self.speakers.iter().map(|speaker| &speaker.claims);
        self.plan.rebalance && claims.filter_map(|all| all.get(&address)).any(lately)
    }

    /// A node gives up an address that it announced.
    pub(super) fn released(&mut self, node: usize, address: usize, reason: ReleaseReason) {
        let for_balance = self.plan.rebalance && reason == ReleaseReason::HandedOver;
        if !for_balance {
            self.moves(address, &format!("node {node} gives it up ({reason})"));
        }
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
        if for_balance {
            self.gave_away(node, address);
        }
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

#[cfg(test)]
mod tests {
    use bellwether_core::election::OwnReason;

    use super::*;
    use crate::checker::{SECOND, check};
    use crate::history::{Event, What};
    use crate::plan::Plan;

    /// Node 0 owns the address; `moves` says who has it from which second on, and whether its last owner
    /// had stopped before. Which rules are broken then.
    fn broken(rebalance: bool, moves: &[(Time, usize, bool)]) -> Vec<&'static str> {
        let plan = Plan {
            nodes: 2,
            addresses: 1,
            length: 60_000,
            rebalance,
            ..Plan::calm(1)
        };
        let mut history = Vec::new();
        let mut say = |at: Time, what: What| history.push(Event { at, what });
        for node in 0..2 {
            say(0, What::Started(node));
            say(0, What::Answering(node, true));
        }
        say(0, What::Candidates(0, 0b11));
        let mut last = None;
        for (position, &(second, node, stopped)) in [(1, 0, true)].iter().chain(moves).enumerate() {
            let at = second * SECOND;
            if let Some(last) = last {
                let released = What::Released {
                    node: last,
                    address: 0,
                    reason: ReleaseReason::HandedOver,
                };
                say(if stopped { at } else { at + 2 * MILLISECOND }, released);
            }
            let taken = What::Owned {
                node,
                address: 0,
                term: position as u64 + 1,
                reason: last.map_or(OwnReason::Unclaimed, |_| OwnReason::HandedOver),
            };
            for what in [
                What::Beacon { node, lateness: 0 },
                taken,
                What::Announced { node, address: 0 },
            ] {
                say(at + MILLISECOND, what);
            }
            last = Some(node);
        }
        history.sort_by_key(|event| event.at);
        check(&plan, &history)
            .into_iter()
            .map(|violation| violation.rule)
            .collect()
    }

    #[test]
    fn for_balance_an_address_moves_once_and_where_that_is_asked_for_only() {
        assert_eq!(broken(true, &[]), [""; 0]);
        assert_eq!(broken(true, &[(20, 1, false)]), [""; 0]);
        assert_eq!(broken(false, &[(20, 1, false)]), ["quiet"]);
        assert_eq!(broken(true, &[(20, 1, false), (40, 0, false)]), ["R2"]);
    }

    #[test]
    fn for_balance_an_address_is_announced_by_the_next_before_the_last_one_stops() {
        assert_eq!(broken(true, &[(20, 1, true)]), ["3.7"]);
    }
}
