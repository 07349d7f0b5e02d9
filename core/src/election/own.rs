//! What an owner does: it yields, and gives up (R12, R13). How it hands over is in `handover`.

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
    /// Who owns it gives it up then, and who does not takes it in no case, however long that lasts.
    pub(super) fn is_useless(&self, contest: &Contest) -> bool {
        contest.channels.iter().all(|channel| {
            self.membership
                .hearing(*channel)
                .is_some_and(|hearing| hearing.ignored)
        })
    }

    /// R13: a higher claim is heard.
    fn give_in(&mut self, address: IpAddr, best: &Heard) {
        let own = self.contests.get(&address);
        let own = own.and_then(|contest| contest.own.as_ref());
        let offer = own.and_then(|own| own.offer.as_ref());
        let offered = offer.is_some_and(|offer| offer.to == best.session);
        self.give_up(best.relayed(address), offered);
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
    pub(super) fn hear_release(
        &mut self,
        address: IpAddr,
        from: Session,
        term: Term,
        goes_on: bool,
    ) {
        self.note_release(address, goes_on);
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

    /// Notes when an address was released, by a start that `goes_on`: with the first beacon of a start the
    /// claims of the start before are gone, and nobody knows since when.
    fn note_release(&mut self, address: IpAddr, goes_on: bool) {
        let now = self.now;
        let Some(contest) = self.contests.get_mut(&address) else {
            return;
        };
        if contest.free_since.is_some() || contest.assignment.candidates.is_empty() {
            // Each release is said several times, and whom nobody may own nobody misses.
            return;
        }
        contest.released_at = goes_on.then_some(now);
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
        contest.released_at = Some(now);
        contest.conflict = None;
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

    /// These are the candidates from now on.
    pub(super) fn assign(&mut self, address: IpAddr, assignment: Assignment) {
        let me = self.config.node.clone();
        let known = self.contests.remove(&address);
        let mut contest = known.unwrap_or_else(|| {
            let owner = assignment.recorded.as_ref();
            let owner = owner.and_then(|recorded| recorded.node.as_ref());
            let highest = self.membership.forget_claims(address, owner, self.now);
            Contest::new(highest.unwrap_or_default())
        });
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
            self.outputs.push_back(Output::Relink(owned));
        }
        let nobody = contest.assignment.candidates.is_empty();
        self.contests.insert(address, contest);
        if nobody {
            self.release(address, ReleaseReason::NoCandidate);
            if let Some(contest) = self.contests.get_mut(&address) {
                // Until there is one nobody misses it.
                contest.released_at = None;
            }
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
