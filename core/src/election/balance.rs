//! R2: addresses that are given away for balance, where that is asked for.

use std::net::IpAddr;
use std::ops::Bound;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Election;
use super::contest::Contest;
use crate::frame::beacon::Session;
use crate::moment::Moment;
use crate::mutation::Mutation;

/// How often an address is given away for balance.
const REBALANCE: Duration = Duration::from_secs(1);

/// When an address is given away next, and which came last.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Balance {
    due: Moment,
    last: Option<IpAddr>,
}

impl Balance {
    pub(super) const fn new(now: Moment) -> Self {
        Self {
            due: now,
            last: None,
        }
    }
}

impl Election {
    /// R2: if asked for, gives one address per second to a candidate that has far fewer.
    pub(super) fn rebalance(&mut self) {
        let now = self.now;
        let asked_for = self.config.rebalance || !self.rules.keep(Mutation::Restless);
        if !asked_for || now < self.balance.due || self.leaving {
            return;
        }
        self.balance.due = now + REBALANCE;
        // Each has its turn: one that nobody takes keeps no other waiting.
        let after = self.balance.last.map_or(Bound::Unbounded, Bound::Excluded);
        let rest = self.contests.range((after, Bound::Unbounded));
        let found = rest
            .chain(&self.contests)
            .find(|(_, contest)| self.is_better_off_elsewhere(contest))
            .map(|(&address, _)| address);
        let Some(address) = found else {
            return;
        };
        self.balance.last = Some(address);
        if let Some(contest) = self.contests.get_mut(&address)
            && let Some(own) = contest.own.as_mut()
        {
            own.rebalanced = true;
        }
        self.dirty.insert(address);
    }

    /// Whether the best candidate of an address that this node owns has far fewer.
    fn is_better_off_elsewhere(&self, contest: &Contest) -> bool {
        let mine = self.book.len();
        // By more than a fifth, and so that the move does not only turn the imbalance round.
        let has_fewer = |session: Session, theirs: usize| {
            session != self.config.session && theirs + 1 < mine && theirs * 6 < mine * 5
        };
        let idle = contest.own.as_ref().is_some_and(|own| own.offer.is_none());
        let best = contest.assignment.candidates.iter().find(|candidate| {
            candidate.node == self.config.node
                || self.would_take(&candidate.node, &contest.channels)
        });
        let peer = best.and_then(|best| Some((&best.node, self.membership.peer(&best.node)?)));
        idle && peer.is_some_and(|(node, peer)| {
            !self.is_young(node, &contest.channels) && has_fewer(peer.session, peer.book.len())
        })
    }
}
