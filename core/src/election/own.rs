//! What an owner does: yields, gives up, hands over (R12, R13, election 3.7).

use std::net::IpAddr;
use std::time::Duration;

use super::contest::{Claims, Contest, Heard, Offer};
use super::{Assignment, Election, Output, ReleaseReason, Term};
use crate::frame::beacon::{Entry, Session, Standing};
use crate::link::Links;
use crate::membership::Channel;
use crate::membership::book::Relayed;
use crate::mutation::Mutation;
use crate::name::NodeName;

/// A lower claim is answered with an announcement at most this often (R13).
const ANNOUNCE_AGAIN: Duration = Duration::from_millis(100);

/// After all have refused, they are asked again so much later.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// A node that has been up for less is no target of a planned move if there is another.
pub(super) const YOUNG: Duration = Duration::from_secs(30);

impl Election {
    pub(super) fn look_as_owner(&mut self, address: IpAddr, claims: &Claims) {
        let Some(contest) = self.contests.get(&address) else {
            return;
        };
        let Some(own) = &contest.own else {
            return;
        };
        let mine = self.order(&self.config.node, own.term, address);
        if contest.channels.is_empty() {
            self.release(address, ReleaseReason::LinkDown);
            return;
        }
        if let Some(best) = &claims.best
            && best.proven
            && best.order > mine
            && self.rules.keep(Mutation::NeverYield)
        {
            let best = best.clone();
            self.give_in(address, &best);
            return;
        }
        if self.is_useless(contest) && self.rules.keep(Mutation::DeafOwner) {
            self.release(address, ReleaseReason::Deaf);
            return;
        }
        let due = contest.announce_at.is_some_and(|due| due <= self.now);
        // The claim that was offered to this node is not contested.
        let mine = Standing::Offer {
            to: self.config.session,
        };
        let lower = claims.best.as_ref().or(claims.deaf.as_ref());
        if due || lower.is_some_and(|lower| lower.standing != mine) {
            self.insist(address);
        }
        self.offer(address);
    }

    /// R12: whether nothing is heard where it is announced, though there is a station that would be.
    /// Who owns it gives it up then, and who does not takes it in no case.
    pub(super) fn is_useless(&self, contest: &Contest) -> bool {
        contest.channels.iter().all(|channel| {
            self.membership
                .hearing(*channel)
                .is_some_and(|hearing| hearing.deaf && hearing.has_station(self.now))
        })
    }

    /// R13: a higher claim is heard.
    fn give_in(&mut self, address: IpAddr, best: &Heard) {
        let own = self.contests.get(&address);
        let own = own.and_then(|contest| contest.own.as_ref());
        let offer = own.and_then(|own| own.offer.as_ref());
        let offered = offer.is_some_and(|offer| offer.to == best.session);
        let to = Relayed {
            address,
            term: best.order.0,
            holder: best.session,
            weight: best.order.1,
        };
        self.give_up(to, offered);
        let now = self.now;
        if let Some(contest) = self.contests.get_mut(&address) {
            contest.pass_to(&best.node, now);
            contest.highest = contest.highest.max(best.order.0);
        }
    }

    /// A higher claim ends this node's own: of whom it was offered to, or of somebody else. Those who
    /// hear this node and not the other one learn from it that the address is not free.
    fn give_up(&mut self, to: Relayed, offered: bool) {
        let address = to.address;
        let reason = if offered {
            ReleaseReason::HandedOver
        } else {
            ReleaseReason::Outclaimed
        };
        self.release(address, reason);
        self.say_who_holds(to);
        let came_at = self.came_at;
        if let Some(contest) = self.contests.get_mut(&address) {
            contest.handed_over = offered.then_some(came_at);
        }
    }

    /// R13: a lower claim is heard, or that of a node that hears nobody, or another host speaks as
    /// if it were the owner: the last word has to be the owner's.
    pub(super) fn insist(&mut self, address: IpAddr) {
        let now = self.now;
        let until = now + self.limit;
        if !self.rules.keep(Mutation::NoReannouncement) {
            return;
        }
        let Some(contest) = self.contests.get_mut(&address) else {
            return;
        };
        let Some(own) = &contest.own else {
            return;
        };
        let due = contest
            .announced_again
            .map_or(now, |last| last + ANNOUNCE_AGAIN);
        if now < due {
            // Later, but not never: the last word counts.
            contest.announce_at = Some(due);
            self.timers.insert((due, address));
            return;
        }
        contest.announced_again = Some(now);
        contest.announce_at = None;
        let entry = entry_of(address, own.term, own.offer.as_ref());
        self.book.say(entry, until);
        self.beat.soon(now);
        self.outputs.push_back(Output::Announce { address });
    }

    /// A node that may have announced what this one owns has lost its memory of that: the last word has
    /// to be the owner's (R13).
    pub(super) fn insist_to(&mut self, node: &NodeName) {
        let owned = self.contests.iter().filter(|(_, contest)| {
            contest.own.is_some() && contest.assignment.candidate(node).is_some()
        });
        for address in owned.map(|(&address, _)| address).collect::<Vec<_>>() {
            self.insist(address);
        }
    }

    /// Somebody has given up a claim. Whoever has given in may have announced the address last, so
    /// its owner has to do so once more (R13).
    pub(super) fn hear_release(&mut self, address: IpAddr, from: Session, term: Term) {
        let Some(contest) = self.contests.get_mut(&address) else {
            return;
        };
        contest.highest = contest.highest.max(term);
        contest
            .passed_on
            .take_if(|passed| passed.holder == from && passed.term <= term);
        // Each release is said several times.
        if contest.own.is_some() && contest.given_up != Some((from, term)) {
            contest.given_up = Some((from, term));
            self.insist(address);
        }
    }

    /// A peer says that somebody has a higher claim, whom this node may not hear (R13).
    pub(super) fn hear_of(&mut self, relayed: Relayed) {
        let Relayed {
            address,
            term,
            holder,
            weight,
        } = relayed;
        if holder == self.config.session {
            return;
        }
        let Some(contest) = self.contests.get_mut(&address) else {
            return;
        };
        if term >= contest.highest {
            contest.highest = term;
            contest.passed_on = Some(relayed);
        }
        let Some(own) = &contest.own else {
            return;
        };
        let offered = own.offer.as_ref().is_some_and(|offer| offer.to == holder);
        let mine = own.term;
        let mine = self.order(&self.config.node, mine, address);
        if (term, weight) > mine && self.rules.keep(Mutation::NeverYield) {
            self.give_up(relayed, offered);
        }
    }

    /// Ends this node's claim, and says so.
    pub(super) fn release(&mut self, address: IpAddr, reason: ReleaseReason) {
        let now = self.now;
        let until = now + self.limit;
        let Some(contest) = self.contests.get_mut(&address) else {
            return;
        };
        let Some(own) = contest.own.take() else {
            return;
        };
        contest.free_since = Some(now);
        contest.last_owner = Some(self.config.node.clone());
        self.book.say(
            Entry {
                address,
                term: own.term,
                standing: Standing::Released,
            },
            until,
        );
        self.beat.burst(now);
        self.outputs.push_back(Output::Release { address, reason });
        self.dirty.insert(address);
    }

    /// 3.7: gives the address to somebody else, if it should be somebody else's.
    fn offer(&mut self, address: IpAddr) {
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
        self.note_refusal(address);
        let targets = self.targets(&self.contests[&address]);
        self.offer_to_next(address, &targets);
    }

    /// The offer that there was, if there was one, does not stand any more. Who has not taken it in time
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
        let rebalanced = contest.own.as_ref().is_some_and(|own| own.rebalanced);
        if !self.must_go(contest) && !rebalanced {
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
        if !self.must_go(contest) {
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

    /// These are the candidates from now on.
    pub(super) fn assign(&mut self, address: IpAddr, assignment: Assignment) {
        let me = self.config.node.clone();
        let mut contest = self.contests.remove(&address).unwrap_or_else(Contest::new);
        let seen = assignment.recorded.as_ref().map(|recorded| recorded.term);
        contest.highest = contest.highest.max(seen.unwrap_or_default());
        let before = contest.interfaces.clone();
        contest.assignment = assignment;
        if let Some(candidate) = contest.candidate(&me) {
            contest.interfaces = candidate.interfaces.clone();
        }
        contest.channels = self.usable_channels(address, &contest);
        if contest.interfaces != before
            && let Some(owned) = contest.owned(address)
        {
            self.outputs.push_back(Output::Own(owned));
        }
        let nobody = contest.assignment.candidates.is_empty();
        self.contests.insert(address, contest);
        if nobody {
            self.release(address, ReleaseReason::NoCandidate);
        }
        if !self.rules.keep(Mutation::ClaimAgain) {
            self.release(address, ReleaseReason::NoCandidate);
        }
        self.dirty.insert(address);
    }

    pub(super) fn unassign(&mut self, address: IpAddr) {
        self.release(address, ReleaseReason::Unassigned);
        if let Some(contest) = self.contests.remove(&address)
            && let Some(at) = contest.look_at
        {
            self.timers.remove(&(at, address));
        }
    }

    pub(super) fn replace_links(&mut self, links: Links) {
        self.links = links;
        let mut channels: Vec<_> = self
            .links
            .iter()
            .filter(|(_, link)| link.carrier)
            .map(|(index, _)| Channel::Link(index))
            .collect();
        channels.push(Channel::Unicast);
        self.membership.set_channels(&channels, self.now);
        let addresses: Vec<_> = self.contests.keys().copied().collect();
        for address in addresses {
            let channels = self.usable_channels(address, &self.contests[&address]);
            if let Some(contest) = self.contests.get_mut(&address) {
                contest.channels = channels;
            }
        }
        self.look_at_all();
        self.beat.soon(self.now);
    }

    pub(super) fn leave(&mut self) {
        self.leaving = true;
        self.look_at_all();
        self.beat.burst(self.now);
    }

    pub(super) fn stop(&mut self) {
        self.leaving = true;
        let all: Vec<_> = self.contests.keys().copied().collect();
        for address in all {
            self.release(address, ReleaseReason::Stopping);
        }
    }
}

pub(super) fn entry_of(address: IpAddr, term: Term, offer: Option<&Offer>) -> Entry {
    Entry {
        address,
        term,
        standing: offer.map_or(Standing::Own, |offer| Standing::Offer { to: offer.to }),
    }
}
