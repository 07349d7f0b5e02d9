//! An address, and who claims it as this node hears it (R1, R4, R15).

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::damping::Damping;
use super::{Assignment, Election, OwnReason, Owned, Term};
use crate::frame::beacon::{Entry, Session, Standing};
use crate::mac::MacAddr;
use crate::membership::book::Relayed;
use crate::membership::peer::{Path, Peer};
use crate::membership::{Channel, is_heard};
use crate::moment::Moment;
use crate::mutation::Mutation;
use crate::name::NodeName;
use crate::placement::{Candidate, Interfaces, rendezvous_weight};

/// An address that some node may announce.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Contest {
    pub(super) assignment: Assignment,
    /// The links that it may be announced on here.
    pub(super) interfaces: Interfaces,
    /// Those of them that are usable, and have its network (R1).
    pub(super) channels: Vec<Channel>,
    /// The highest term that was ever seen.
    pub(super) highest: Term,
    /// Who owned it last, and since when nobody does.
    pub(super) last_owner: Option<NodeName>,
    pub(super) free_since: Option<Moment>,
    /// When it was last heard, of an address that was not free, that a claim is released: not just found
    /// to be gone with the start of a speaker that made it.
    pub(super) released_at: Option<Moment>,
    pub(super) own: Option<Own>,
    /// Who holds it, as a peer last said that this node may not hear itself (R13).
    pub(super) passed_on: Option<Relayed>,
    /// When the claim came in of the successor that it was handed over to last.
    pub(super) handed_over: Option<Moment>,
    pub(super) probe: Option<Probe>,
    /// A stranger that uses it, when it was seen to last, and until when to leave the address alone.
    pub(super) conflict: Option<(MacAddr, Moment)>,
    pub(super) not_before: Moment,
    /// Since when two others claim it.
    pub(super) contested_since: Option<Moment>,
    pub(super) announced_again: Option<Moment>,
    pub(super) announce_at: Option<Moment>,
    /// Whose claim ended that was heard of last, and its term.
    pub(super) given_up: Option<(Session, Term)>,
    pub(super) defended: Option<Moment>,
    pub(super) damping: Damping,
    pub(super) look_at: Option<Moment>,
}

/// This node's claim of an address.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Own {
    pub(super) term: Term,
    pub(super) since: Moment,
    pub(super) previous: Option<NodeName>,
    pub(super) reason: OwnReason,
    pub(super) takeover: Option<Duration>,
    pub(super) offer: Option<Offer>,
    /// Who did not take it when it was offered.
    pub(super) refused: Vec<NodeName>,
    /// The wish of an operator that has been met or given up.
    pub(super) wish_done: Option<NodeName>,
    pub(super) rebalanced: bool,
}

/// An offer to a successor.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Offer {
    pub(super) to: Session,
    pub(super) node: NodeName,
    pub(super) until: Moment,
}

/// The questions before a first claim (C1).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Probe {
    pub(super) sent: u8,
    pub(super) next: Moment,
}

/// R4: which of two claims holds. The higher term; of equal terms, the higher weight.
pub(super) type Order = (Term, u64);

/// What is claimed of one address.
#[derive(Debug, Default)]
pub(super) struct Claims {
    /// The claim that holds, of those who are heard.
    pub(super) best: Option<Heard>,
    /// There is another one.
    pub(super) contested: bool,
    /// The best claim of a peer that is heard and hears nobody (R12).
    pub(super) deaf: Option<Heard>,
    /// The best claim of a peer that is not heard any more.
    pub(super) silent: Option<Silent>,
    /// Until when the wire is asked whether a peer announces the address here that is only heard by
    /// datagrams, and has claimed it just now (R9).
    pub(super) asked_until: Moment,
}

/// A claim of a peer that is not heard any more.
#[derive(Clone, Debug)]
pub(super) struct Silent {
    pub(super) node: NodeName,
    pub(super) session: Session,
    pub(super) order: Order,
    /// Its last sign of life.
    pub(super) last: Moment,
    /// When it counts as down; at once, if all that was heard on its link was missed meanwhile.
    pub(super) down_at: Moment,
    pub(super) limit: Duration,
}

/// A claim of a peer that is heard.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) node: NodeName,
    pub(super) session: Session,
    pub(super) order: Order,
    pub(super) standing: Standing,
    /// Its sender has shown that it hears this process.
    pub(super) proven: bool,
    /// Its sender is deaf, since then.
    pub(super) deaf_since: Option<Moment>,
}

impl Heard {
    /// The claim of `address`, to be passed on.
    pub(super) const fn relayed(&self, address: IpAddr) -> Relayed {
        Relayed {
            address,
            term: self.order.0,
            holder: self.session,
            weight: self.order.1,
        }
    }
}

impl Contest {
    /// An address of which nothing is known but the `highest` term that was seen.
    pub(super) fn new(highest: Term) -> Self {
        Self {
            assignment: Assignment::default(),
            interfaces: Interfaces::All,
            channels: Vec::new(),
            highest,
            last_owner: None,
            free_since: None,
            released_at: None,
            own: None,
            passed_on: None,
            handed_over: None,
            probe: None,
            conflict: None,
            not_before: Moment::ORIGIN,
            contested_since: None,
            announced_again: None,
            announce_at: None,
            given_up: None,
            defended: None,
            damping: Damping::default(),
            look_at: None,
        }
    }

    /// This node among the candidates.
    pub(super) fn candidate(&self, node: &NodeName) -> Option<&Candidate> {
        self.assignment.candidate(node)
    }

    /// The highest term that was seen, in beacons or in the Announcement.
    pub(super) fn highest_term(&self) -> Term {
        let recorded = self.assignment.recorded.as_ref();
        let recorded = recorded.map_or(Term::default(), |recorded| recorded.term);
        self.highest.max(recorded)
    }

    /// Another node owns it.
    pub(super) fn pass_to(&mut self, holder: &NodeName, now: Moment) {
        if self.last_owner.as_ref() != Some(holder) {
            if self.last_owner.is_some() {
                self.damping.note_move(now);
            }
            self.last_owner = Some(holder.clone());
        }
        self.free_since = None;
    }

    pub(super) fn owned(&self, address: IpAddr) -> Option<Owned> {
        let own = self.own.as_ref()?;
        Some(Owned {
            address,
            interfaces: self.interfaces.clone(),
            term: own.term,
            previous: own.previous.clone(),
            reason: own.reason,
            takeover: own.takeover,
        })
    }
}

impl Election {
    /// R4: where a claim of `node` with that term stands among all.
    pub(super) fn order(&self, node: &NodeName, term: Term, address: IpAddr) -> Order {
        if !self.rules.keep(Mutation::SelfishTieBreak) {
            return (term, u64::from(*node == self.config.node));
        }
        (term, rendezvous_weight(node, address))
    }

    /// What is claimed of `address`, as far as that matters on the channels of its `contest`.
    pub(super) fn claims(&self, address: IpAddr, contest: &Contest) -> Claims {
        let mut claims = Claims::default();
        for (node, peer) in self.membership.claimants(address) {
            let Some(entry) = peer.book.get(address) else {
                continue;
            };
            let met = self.meeting(peer, &contest.channels);
            if met.is_none_or(|path| !is_heard(path, self.now)) {
                claims.asked_until = claims.asked_until.max(self.asked_until(peer, address));
            }
            let Some(path) = met else {
                continue;
            };
            let order = self.order(node, entry.term, address);
            if !is_heard(path, self.now) {
                if entry.term < contest.highest {
                    // Somebody has owned it since.
                    continue;
                }
                let silent = self.silent(node, peer, path, order);
                if claims.silent.as_ref().is_none_or(|old| old.order < order) {
                    claims.silent = Some(silent);
                }
                continue;
            }
            let heard = heard(node, peer, path, entry, order);
            let place = if heard.deaf_since.is_some() {
                &mut claims.deaf
            } else {
                claims.contested |= claims.best.is_some();
                &mut claims.best
            };
            if place.as_ref().is_none_or(|old| old.order < order) {
                *place = Some(heard);
            }
        }
        claims
    }

    /// Where a peer is met as far as an address on `channels` is concerned: on that of them where it
    /// was heard last or, if it was never heard on any, by datagrams (R15).
    pub(super) fn meeting<'a>(&self, peer: &'a Peer, channels: &[Channel]) -> Option<&'a Path> {
        let on_links = peer
            .paths
            .iter()
            .filter(|path| channels.contains(&path.channel));
        on_links.max_by_key(|path| path.last).or_else(|| {
            let is_here = peer.is_witnessed(channels, self.now);
            peer.path(Channel::Unicast)
                .filter(|_| is_here && self.rules.keep(Mutation::NoUnicast))
        })
    }

    /// R9: a peer that is not heard here, but by datagrams, may have taken the address over where this
    /// node answers too. That shows on the wire, before it would count as down.
    fn asked_until(&self, peer: &Peer, address: IpAddr) -> Moment {
        let alive = peer.path(Channel::Unicast);
        let alive = alive.is_some_and(|path| peer.proven && is_heard(path, self.now));
        let claimed = peer.book.claimed_at(address).filter(|_| alive);
        claimed.map_or(Moment::ORIGIN, |claimed| claimed + self.limit)
    }

    fn silent(&self, node: &NodeName, peer: &Peer, path: &Path, order: Order) -> Silent {
        let clear = self.membership.hearing(path.channel).map_or(
            path.last,
            super::super::membership::hearing::Hearing::clear_since,
        );
        Silent {
            node: node.clone(),
            session: peer.session,
            order,
            last: path.last,
            down_at: path.last.max(clear) + path.limit,
            limit: path.limit,
        }
    }

    /// How many candidates that are heard, and would take the address, go before this node (R3).
    pub(super) fn rank(&self, contest: &Contest) -> u32 {
        let me = &self.config.node;
        let before = contest
            .assignment
            .candidates
            .iter()
            .take_while(|candidate| candidate.node != *me)
            .filter(|candidate| self.would_take(&candidate.node, &contest.channels));
        u32::try_from(before.count()).unwrap_or(u32::MAX)
    }

    /// Whether a peer is there to take an address on one of `channels`.
    pub(super) fn would_take(&self, node: &NodeName, channels: &[Channel]) -> bool {
        self.membership.peer(node).is_some_and(|peer| {
            peer.proven
                && self.meeting(peer, channels).is_some_and(|path| {
                    is_heard(path, self.now) && !path.flags.leaving && !path.flags.deaf
                })
        })
    }

    /// Looks at an address of which something may have changed.
    pub(super) fn look(&mut self, address: IpAddr) {
        let Some(contest) = self.contests.get(&address) else {
            return;
        };
        let claims = self.claims(address, contest);
        let highest = [
            claims.best.as_ref().map(|heard| heard.order.0),
            claims.deaf.as_ref().map(|heard| heard.order.0),
            claims.silent.as_ref().map(|silent| silent.order.0),
        ];
        let highest = highest.into_iter().flatten().max();
        let owns = contest.own.is_some();
        self.note_owner(address, &claims, highest);
        if owns {
            self.look_as_owner(address, &claims);
        } else {
            self.look_as_other(address, &claims);
        }
    }

    fn note_owner(&mut self, address: IpAddr, claims: &Claims, highest: Option<Term>) {
        let now = self.now;
        let Some(contest) = self.contests.get_mut(&address) else {
            return;
        };
        contest.highest = contest.highest.max(highest.unwrap_or_default());
        if contest.own.is_some() {
            // Until this node gives in, no claim of another moves the address: not a lower one, nor
            // that of an owner which was replaced because it is silent.
            return;
        }
        let holder = claims.best.as_ref().or(claims.deaf.as_ref());
        let holder = holder.map(|heard| &heard.node);
        match holder.or(claims.silent.as_ref().map(|silent| &silent.node)) {
            Some(holder) => contest.pass_to(holder, now),
            None if contest.free_since.is_none() => contest.free_since = Some(now),
            None => {}
        }
    }

    /// R1: the links on which `address` is announced here, or would be.
    pub(super) fn usable_channels(&self, address: IpAddr, contest: &Contest) -> Vec<Channel> {
        self.links
            .announcing(address, &contest.interfaces)
            .into_iter()
            .filter(|&index| {
                self.links.get(index).is_some_and(|link| {
                    link.carrier && (address.is_ipv4() || link.link_local.is_some())
                })
            })
            .map(Channel::Link)
            .collect()
    }
}

fn heard(node: &NodeName, peer: &Peer, path: &Path, entry: &Entry, order: Order) -> Heard {
    Heard {
        node: node.clone(),
        session: peer.session,
        order,
        standing: entry.standing,
        proven: peer.proven,
        deaf_since: path.deaf_since,
    }
}
