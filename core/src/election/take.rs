//! How a node that does not own an address comes to own it (R2, R3, R8, R10, R11).

use std::net::IpAddr;
use std::time::Duration;

use super::contest::{Claims, Contest, Heard, Own, Silent};
use super::{Election, Output, OwnReason, Recorded, Term};
use crate::frame::beacon::{Entry, Standing};
use crate::membership::book::Relayed;
use crate::membership::{Channel, is_heard};
use crate::moment::Moment;
use crate::mutation::Mutation;

/// Why an address can be taken, and from when on.
struct Free {
    reason: OwnReason,
    since: Moment,
    /// The owner before, if it has fallen silent.
    lost: Option<Silent>,
    /// Since when the owner before does not serve it, if that is known: since its last sign of life, or
    /// since it said that it is deaf or has released it.
    gap_since: Option<Moment>,
    /// Until when the wire is asked whether somebody announces it.
    asked_until: Moment,
}

impl Election {
    /// Takes `address`, if that is what the rules say.
    pub(super) fn look_as_other(&mut self, address: IpAddr, claims: &Claims) {
        self.relay(address, claims);
        let me = self.config.node.clone();
        let Some(contest) = self.contests.get(&address) else {
            return;
        };
        let stranger = contest.candidate(&me).is_none() && self.rules.keep(Mutation::AnyNode);
        if self.leaving || stranger || contest.channels.is_empty() {
            self.stop_probing(address);
            return;
        }
        if let Some(best) = &claims.best {
            self.stop_probing(address);
            self.consider_offer(address, best);
            let contest = &self.contests[&address];
            let sticky = self.rules.keep(Mutation::NotSticky) || self.is_useless(contest);
            if !sticky && self.rank(contest) == 0 {
                self.take(address, OwnReason::OwnerReleased, None);
            }
            return;
        }
        let Some(free) = self.free(address, claims) else {
            return;
        };
        if let Err(again) = self.may_take(address, &free) {
            self.look_again(address, again);
            return;
        }
        if let Err(again) = self.probe(address, free.lost.is_some()) {
            self.look_again(address, again);
            return;
        }
        let takeover = free.gap_since.map(|since| self.now.since(since));
        self.take(address, free.reason, takeover);
    }

    /// Whether nobody owns it, and since when.
    fn free(&self, address: IpAddr, claims: &Claims) -> Option<Free> {
        let contest = self.contests.get(&address)?;
        let interval = self.interval();
        let asked_until = claims.asked_until;
        let silent = claims.silent.as_ref().map(|silent| silent.order);
        if let Some(Heard {
            deaf_since: Some(since),
            order,
            ..
        }) = claims.deaf
            && silent.is_none_or(|silent| silent < order)
        {
            return Some(Free {
                reason: OwnReason::OwnerDeaf,
                since: since + interval * 2,
                lost: None,
                gap_since: Some(since),
                asked_until,
            });
        }
        if let Some(silent) = &claims.silent {
            return Some(Free {
                reason: OwnReason::OwnerSilent,
                since: silent.down_at,
                lost: Some(silent.clone()),
                gap_since: Some(silent.last),
                asked_until,
            });
        }
        let since = contest.free_since?;
        let listened = self.listened_at(&contest.channels);
        let known = contest.last_owner.is_some();
        let reason = if known {
            OwnReason::OwnerReleased
        } else {
            OwnReason::Unclaimed
        };
        // Unless its release was heard, and everything since, somebody may be about to be heard who
        // owns it (R3, R8).
        let missed = listened > since + self.limit + self.interval() * 2;
        let heard = known && !missed;
        let gap_since = Some(since).filter(|_| heard && contest.released_at == Some(since));
        let since = if heard { since } else { since.max(listened) };
        Some(Free {
            reason,
            since,
            lost: None,
            gap_since,
            asked_until,
        })
    }

    /// When this node has listened for long enough to know who is there (R3, R8).
    fn listened_at(&self, channels: &[Channel]) -> Moment {
        let clear = channels
            .iter()
            .filter_map(|channel| self.membership.hearing(*channel))
            .map(crate::membership::hearing::Hearing::clear_since)
            .max()
            .unwrap_or(self.started);
        clear + self.limit + self.interval() * 2
    }

    /// Whether it may be taken now; if not, when to look again.
    fn may_take(&mut self, address: IpAddr, free: &Free) -> Result<(), Moment> {
        let (now, interval) = (self.now, self.interval());
        let contest = &self.contests[&address];
        let channels = contest.channels.clone();
        let rank = if self.rules.keep(Mutation::NoRank) {
            self.rank(contest)
        } else {
            0
        };
        let since = free
            .since
            .max(contest.not_before)
            .max(self.caught_up_at)
            .max(free.asked_until);
        let mut due = since + interval * 2 * rank;
        if let Some(lost) = &free.lost
            && let Some(contest) = self.contests.get_mut(&address)
        {
            due += contest.damping.extra(lost.limit, now);
        }
        if now < due {
            return Err(due);
        }
        let shortly = now + interval / 2;
        if self.is_blind(&channels, due) && self.rules.keep(Mutation::ClaimBlind) {
            return Err(shortly);
        }
        if self.is_useless(&self.contests[&address]) && self.rules.keep(Mutation::DeafTaker) {
            return Err(shortly);
        }
        if self.is_unsynced(&channels) && now < due + self.limit {
            return Err(shortly);
        }
        let is_down = |lost: &Silent| !self.membership.is_vouched_for(lost.session, &channels, now);
        let is_free = free.lost.as_ref().is_none_or(is_down)
            && !self.is_held_unheard(&self.contests[&address]);
        if !is_free && self.rules.keep(Mutation::NoCorroboration) {
            return Err(shortly);
        }
        Ok(())
    }

    /// R10: whether it was passed on to a peer that this node does not hear, and another one does, or
    /// whose claims it does not know yet.
    fn is_held_unheard(&self, contest: &Contest) -> bool {
        let passed = contest.passed_on.as_ref();
        let passed = passed.filter(|passed| passed.term == contest.highest_term());
        passed.is_some_and(|passed| {
            let channels = &contest.channels;
            let heard = self.membership.peer_of(passed.holder).filter(|peer| {
                let met = self.meeting(peer, channels);
                met.is_some_and(|path| is_heard(path, self.now))
            });
            let by_others = || {
                self.membership
                    .is_vouched_for(passed.holder, channels, self.now)
            };
            heard.map_or_else(by_others, |peer| !peer.book.is_synced())
        })
    }

    /// R8: whether nothing proves that frames arrive. If there is no station but speakers that
    /// could prove it, the silence of all of them is believed after three times as long: somebody
    /// has to be the last. Whoever is wrong in that says that it is deaf, and nobody yields to it.
    fn is_blind(&mut self, channels: &[Channel], due: Moment) -> bool {
        let (now, limit) = (self.now, self.limit);
        let mut blind = true;
        for channel in channels {
            let Some(hearing) = self.membership.hearing_mut(*channel) else {
                continue;
            };
            let last_resort = !hearing.has_station(now) && now >= due + limit * 2;
            if !hearing.is_blind(now, limit) || last_resort {
                blind = false;
            } else {
                hearing.need_proof(now);
            }
        }
        blind
    }

    /// Whether a peer is heard whose claims are not all known.
    fn is_unsynced(&self, channels: &[Channel]) -> bool {
        self.membership.peers().any(|(_, peer)| {
            !peer.book.is_synced()
                && self
                    .meeting(peer, channels)
                    .is_some_and(|path| is_heard(path, self.now))
        })
    }

    /// 3.7: takes what it is offered.
    fn consider_offer(&mut self, address: IpAddr, best: &Heard) {
        let for_me = matches!(best.standing, Standing::Offer { to } if to == self.config.session);
        if !for_me || !best.proven {
            return;
        }
        let Some(contest) = self.contests.get(&address) else {
            return;
        };
        // In the highest term of all there is none above: a claim that does not hold against the offer
        // would be given up at once, and the offer taken again.
        let mine = self.order(&self.config.node, contest.highest_term().next(), address);
        if mine <= best.order {
            return;
        }
        let alive = contest.channels.iter().any(|channel| {
            self.membership
                .hearing(*channel)
                .is_some_and(|hearing| hearing.may_answer(self.now))
        });
        let useless = self.is_useless(contest) && self.rules.keep(Mutation::DeafTaker);
        if alive && !useless {
            self.take(address, OwnReason::HandedOver, Some(Duration::ZERO));
        }
    }

    /// Claims `address` (R4), as soon as all is read that has come in (R5): the next beacon may say that
    /// somebody else has claimed it already.
    fn take(&mut self, address: IpAddr, reason: OwnReason, takeover: Option<Duration>) {
        let now = self.now;
        if !self.all_read && self.rules.keep(Mutation::Hasty) {
            self.look_again(address, now);
            return;
        }
        let repeat = now + self.limit;
        let me = self.config.node.clone();
        // A hand-over with the same term would never end.
        let next = if self.rules.keep(Mutation::SameTerm) || reason == OwnReason::HandedOver {
            Term::next
        } else {
            |term: Term| term
        };
        let Some(contest) = self.contests.get_mut(&address) else {
            return;
        };
        let recorded = contest.assignment.recorded.as_ref();
        let term = next(contest.highest_term());
        let previous = contest.last_owner.clone();
        let previous = previous.or_else(|| recorded.and_then(|Recorded { node, .. }| node.clone()));
        if previous.is_some() {
            contest.damping.note_move(now);
        }
        contest.highest = contest.highest.max(term);
        contest.last_owner = Some(me.clone());
        contest.free_since = None;
        contest.handed_over = None;
        contest.probe = None;
        contest.conflict = None;
        contest.own = Some(Own {
            term,
            since: now,
            previous: previous.filter(|previous| *previous != me),
            reason,
            takeover,
            offer: None,
            refused: Vec::new(),
            wish_done: None,
            rebalanced: false,
        });
        let owned = contest.owned(address);
        self.book.say(
            Entry {
                address,
                term,
                standing: Standing::Own,
            },
            repeat,
        );
        self.beat.burst(now);
        self.taken.extend(owned.map(Output::Own));
        self.dirty.insert(address);
    }

    /// Passes on who holds an address to those who may not hear each other (R13); not the claim of
    /// somebody who may be a recording.
    fn relay(&mut self, address: IpAddr, claims: &Claims) {
        let (now, limit, interval) = (self.now, self.limit, self.interval());
        let Some(contest) = self.contests.get_mut(&address) else {
            return;
        };
        let best = claims.best.as_ref().filter(|best| best.proven);
        let Some(best) = best.filter(|_| claims.contested) else {
            contest.contested_since = None;
            return;
        };
        // Those who hear each other settle it within an interval.
        let since = *contest.contested_since.get_or_insert(now);
        if now < since + interval * 2 {
            self.look_again(address, since + interval * 2);
            return;
        }
        contest.contested_since = None;
        self.say_who_holds(best.relayed(address));
        self.look_again(address, now + limit);
    }

    /// Passes on a claim of somebody else.
    pub(super) fn say_who_holds(&mut self, relayed: Relayed) {
        let entry = Entry {
            address: relayed.address,
            term: relayed.term,
            standing: Standing::Relayed {
                holder: relayed.holder,
                weight: relayed.weight,
            },
        };
        self.book.say(entry, self.now + self.limit);
    }
}
