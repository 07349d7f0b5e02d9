//! Planned moves (3.7): an owner offers an address to who is to have it, and keeps it until that has
//! claimed it.

use std::net::IpAddr;
use std::time::Duration;

use super::contest::{Contest, Offer};
use super::own::entry_of;
use super::{Election, ReleaseReason};
use crate::membership::Channel;
use crate::mutation::Mutation;
use crate::name::NodeName;

/// After all have refused, they are asked again so much later.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// A node that has been up for less is no target of a planned move if there is another.
pub(super) const YOUNG: Duration = Duration::from_secs(30);

impl Election {
    pub(super) fn leave(&mut self) {
        self.leaving = true;
        self.look_at_all();
        self.beat.burst(self.now);
    }

    /// 3.7: gives the address to somebody else, if it should be somebody else's.
    pub(super) fn offer(&mut self, address: IpAddr) {
        let Some(contest) = self.contests.get(&address) else {
            return;
        };
        let Some(own) = &contest.own else {
            return;
        };
        let targets = self.targets(contest);
        if targets.is_empty() && !self.must_go(contest) {
            if own.offer.is_some() {
                self.withdraw_offer(address);
            }
            return;
        }
        if !self.rules.keep(Mutation::NoHandover) && self.must_go(contest) {
            self.release(address, ReleaseReason::Stopping);
            return;
        }
        if let Some(offer) = &own.offer {
            let stands = targets.contains(&offer.node)
                && self
                    .membership
                    .peer(&offer.node)
                    .is_some_and(|peer| peer.session == offer.to);
            if stands && self.now < offer.until {
                let until = offer.until;
                self.look_again(address, until);
                return;
            }
        }
        if own.offer.is_none() {
            self.offer_to_next(address, &targets);
            return;
        }
        self.note_refusal(address);
        let targets = self.targets(&self.contests[&address]);
        self.offer_to_next(address, &targets);
    }

    /// The offer that there was does not stand any more. Who has not taken it in time
    /// is not asked again for the same reason.
    fn note_refusal(&mut self, address: IpAddr) {
        let now = self.now;
        let Some(contest) = self.contests.get_mut(&address) else {
            return;
        };
        let wish = contest.assignment.move_to.clone();
        let Some(own) = contest.own.as_mut() else {
            return;
        };
        let Some(refused) = own.offer.take() else {
            return;
        };
        own.rebalanced = false;
        if now < refused.until {
            return;
        }
        if wish.as_ref() == Some(&refused.node) {
            own.wish_done = wish;
        }
        own.refused.push(refused.node);
    }

    /// Whether this node should not own it any more.
    fn must_go(&self, contest: &Contest) -> bool {
        let outside = contest.candidate(&self.config.node).is_none();
        self.leaving || (outside && self.rules.keep(Mutation::AnyNode))
    }

    /// Who is to take an address of this node, best first; nobody, if it is to stay.
    fn targets(&self, contest: &Contest) -> Vec<NodeName> {
        let me = &self.config.node;
        let heard = |node: &NodeName| node != me && self.would_take(node, &contest.channels);
        let wish = contest.assignment.move_to.as_ref().filter(|wish| {
            let done = contest.own.as_ref().and_then(|own| own.wish_done.as_ref());
            done != Some(wish) && heard(wish) && contest.candidate(wish).is_some()
        });
        if let Some(wish) = wish {
            return vec![wish.clone()];
        }
        let must_go = self.must_go(contest);
        let rebalanced = contest.own.as_ref().is_some_and(|own| own.rebalanced);
        if !must_go && !rebalanced {
            return Vec::new();
        }
        let mut targets: Vec<NodeName> = contest
            .assignment
            .candidates
            .iter()
            .map(|candidate| candidate.node.clone())
            .filter(heard)
            .collect();
        // Stable: of the old ones, and of the young ones, the best come first.
        targets.sort_by_key(|node| self.is_young(node, &contest.channels));
        if !must_go {
            // For balance (R2), to the best candidate or to nobody.
            targets.truncate(1);
        }
        targets
    }

    pub(super) fn is_young(&self, node: &NodeName, channels: &[Channel]) -> bool {
        self.membership
            .peer(node)
            .and_then(|peer| self.meeting(peer, channels))
            .is_none_or(|path| path.flags.young)
    }

    /// The first who has not refused it is asked to take it.
    fn offer_to_next(&mut self, address: IpAddr, targets: &[NodeName]) {
        let (now, interval) = (self.now, self.interval());
        let limit = self.limit;
        let leaving = self.leaving;
        let Some(contest) = self.contests.get_mut(&address) else {
            return;
        };
        let Some(own) = contest.own.as_mut() else {
            return;
        };
        let next = targets.iter().find(|node| !own.refused.contains(node));
        let session = next.and_then(|node| Some((self.membership.peer(node)?.session, node)));
        let Some((to, node)) = session else {
            if leaving {
                self.release(address, ReleaseReason::Stopping);
                return;
            }
            // It stays, and they are asked again.
            own.refused.clear();
            let term = own.term;
            self.book.say(entry_of(address, term, None), now + limit);
            self.look_again(address, now + ASK_AGAIN);
            return;
        };
        let until = now + interval * 3;
        own.offer = Some(Offer {
            to,
            node: node.clone(),
            until,
        });
        let entry = entry_of(address, own.term, own.offer.as_ref());
        self.book.say(entry, now + limit);
        self.beat.burst(now);
        self.look_again(address, until);
    }

    fn withdraw_offer(&mut self, address: IpAddr) {
        let until = self.now + self.limit;
        let Some(contest) = self.contests.get_mut(&address) else {
            return;
        };
        if let Some(own) = contest.own.as_mut() {
            own.offer = None;
            own.refused.clear();
            let term = own.term;
            self.book.say(entry_of(address, term, None), until);
            self.beat.soon(self.now);
        }
    }
}
