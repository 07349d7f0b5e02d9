//! What this node may answer and announce, and whose a question is (R6, R7, election 3.7).

use std::net::IpAddr;

use super::{Election, OwnReason};
use crate::link::LinkIndex;
use crate::membership::Channel;
use crate::moment::Moment;
use crate::mutation::Mutation;

impl Election {
    /// R6, R7: whether this node may answer and announce on that link: it has said lately that it
    /// lives, and nobody can have taken its place without its having heard of it. To be asked right
    /// before sending.
    #[must_use]
    pub fn may_answer(&self, link: LinkIndex, now: Moment) -> bool {
        let Some(hearing) = self.membership.hearing(Channel::Link(link)) else {
            return false;
        };
        let fenced = now < hearing.fenced_until() && self.rules.keep(Mutation::NoGap);
        let lapsed = !hearing.is_alive(now) && self.rules.keep(Mutation::NoFence);
        !fenced && !lapsed
    }

    /// Whether a question for `address` that came in on `link` at `asked_at` is still this node's to
    /// answer: it has handed the address over meanwhile, and its successor leaves to it what was
    /// asked before that claimed (3.7). `asked_at` is when the kernel received it.
    #[must_use]
    pub fn was_owner(&self, address: IpAddr, link: LinkIndex, asked_at: Moment) -> bool {
        self.contests.get(&address).is_some_and(|contest| {
            contest.own.is_none()
                && contest.channels.contains(&Channel::Link(link))
                && contest.handed_over.is_some_and(|until| {
                    asked_at < until && self.now.since(until) <= self.beat.promised()
                })
        })
    }

    /// Whether a question for `address` that came in at `asked_at` is its last owner's to answer,
    /// which has handed it over to this node (3.7).
    #[must_use]
    pub fn was_others(&self, address: IpAddr, asked_at: Moment) -> bool {
        let own = self.contests.get(&address);
        let own = own.filter(|_| self.rules.keep(Mutation::TwoAnswers));
        own.and_then(|contest| contest.own.as_ref())
            .is_some_and(|own| own.reason == OwnReason::HandedOver && asked_at < own.since)
    }
}
