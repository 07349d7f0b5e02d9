//! Asking the wire: before a first claim (C1, R11), for an owner that is silent (R9), for stations
//! that prove that frames arrive (R8); and what a stranger's answer means (C3).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::contest::{Contest, Probe};
use super::{Election, Output};
use crate::link::LinkIndex;
use crate::mac::MacAddr;
use crate::membership::book::Book;
use crate::membership::{Channel, is_heard};
use crate::moment::Moment;
use crate::mutation::Mutation;
use crate::name::NodeName;

/// C1: how many questions, how far apart, and how long the last answer may take.
const PROBES: u8 = 3;
const PROBE_INTERVAL: Duration = Duration::from_millis(100);
const LAST_ANSWER: Duration = Duration::from_millis(200);

/// C1: an address that a stranger uses is left alone for so long.
const CONFLICT: Duration = Duration::from_mins(1);

/// R11: an address that a speaker answers for whose beacons are not heard is left alone for so long.
const UNPROVEN: Duration = Duration::from_secs(1);

/// C3: a stranger is answered at most this often (RFC 5227 section 1.1, `DEFEND_INTERVAL`).
const DEFEND: Duration = Duration::from_secs(10);

impl Election {
    /// C1, C2: asks whether somebody uses the address, unless it is known whose it was. `Ok` when it
    /// can be claimed, otherwise when to look again.
    pub(super) fn probe(&mut self, address: IpAddr, was_lost: bool) -> Result<(), Moment> {
        let now = self.now;
        if was_lost || !self.must_ask(address) || !self.rules.keep(Mutation::NoProbe) {
            return Ok(());
        }
        let Some(contest) = self.contests.get_mut(&address) else {
            return Ok(());
        };
        let probe = contest.probe.get_or_insert(Probe { sent: 0, next: now });
        if now < probe.next {
            return Err(probe.next);
        }
        if probe.sent == PROBES {
            return Ok(());
        }
        probe.sent += 1;
        probe.next = now
            + if probe.sent == PROBES {
                LAST_ANSWER
            } else {
                PROBE_INTERVAL
            };
        let next = probe.next;
        for channel in &contest.channels {
            if let Channel::Link(link) = *channel {
                self.outputs.push_back(Output::Probe { link, address });
            }
        }
        Err(next)
    }

    pub(super) fn stop_probing(&mut self, address: IpAddr) {
        if let Some(contest) = self.contests.get_mut(&address) {
            contest.probe = None;
        }
    }

    /// Whether nobody who is known to have given it up owned it (C1), or it is recorded as that of
    /// a candidate that was never heard (R11).
    fn must_ask(&self, address: IpAddr) -> bool {
        let Some(contest) = self.contests.get(&address) else {
            return false;
        };
        if contest.last_owner.is_some() {
            return false;
        }
        let Some(recorded) = &contest.assignment.recorded else {
            return true;
        };
        let Some(node) = &recorded.node else {
            return true;
        };
        let knows_all = self
            .membership
            .peer(node)
            .is_some_and(|peer| peer.book.is_synced());
        let is_here =
            *node == self.config.node || (knows_all && self.would_take(node, &contest.channels));
        self.rules.keep(Mutation::NeverUpIsDown) && !is_here && contest.candidate(node).is_some()
    }

    /// Somebody says that it uses `address`.
    pub(super) fn see(&mut self, link: LinkIndex, address: IpAddr, mac: MacAddr) {
        let (now, channel) = (self.now, Channel::Link(link));
        if self.links.send_from(mac) {
            return;
        }
        self.hear(channel, now);
        let station = self
            .links
            .get(link)
            .is_some_and(|link| link.gateways.contains(&address));
        if station && let Some(hearing) = self.membership.hearing_mut(channel) {
            hearing.hear_station(now);
        }
        let owns = self.owns(address);
        if let Some(speaker) = self.speaker_with(link, mac) {
            self.see_speaker(channel, address, &speaker);
            if owns && !self.is_claimed_by(address, &speaker) {
                self.insist(address);
            }
            return;
        }
        let Some(contest) = self.contests.get_mut(&address) else {
            return;
        };
        if owns {
            contest.conflict = Some((mac, now));
            if contest
                .defended
                .is_none_or(|last| now.since(last) >= DEFEND)
            {
                contest.defended = Some(now);
                self.outputs.push_back(Output::Defend { address });
            }
        } else if contest.probe.take().is_some() {
            contest.conflict = Some((mac, now));
            contest.not_before = now + CONFLICT;
            let again = contest.not_before;
            self.outputs.push_back(Output::Conflict { address, mac });
            self.look_again(address, again);
        }
    }

    /// A speaker answers for an address.
    fn see_speaker(&mut self, channel: Channel, address: IpAddr, speaker: &NodeName) {
        let now = self.now;
        let mut is_back = self.membership.hear_on_wire(speaker, channel, now);
        let claims = self
            .membership
            .peer(speaker)
            .is_some_and(|peer| peer.book.get(address).is_some());
        if claims && self.rules.keep(Mutation::NoQuestion) {
            is_back |= self.membership.hear_answer(speaker, channel, now);
        }
        if is_back {
            self.look_around(speaker);
        }
        self.dirty.insert(address);
        let Some(contest) = self.contests.get_mut(&address) else {
            return;
        };
        if contest.probe.take().is_some() {
            contest.not_before = now + UNPROVEN;
            self.look_again(address, now + UNPROVEN);
        }
    }

    /// Whether a speaker is heard to claim `address`: the two claims then say whose it is.
    fn is_claimed_by(&self, address: IpAddr, speaker: &NodeName) -> bool {
        self.contests.get(&address).is_some_and(|contest| {
            let claims = self.claims(address, contest);
            let mut heard = claims.best.iter().chain(&claims.deaf);
            heard.any(|heard| heard.node == *speaker)
        })
    }

    /// The other speaker that has that MAC address on that link.
    #[must_use]
    pub fn speaker_with(&self, link: LinkIndex, mac: MacAddr) -> Option<NodeName> {
        let channel = Channel::Link(link);
        let heard = self
            .membership
            .peers()
            .find(|(_, peer)| peer.path(channel).is_some_and(|path| path.mac == Some(mac)));
        let heard = heard.map(|(node, _)| node);
        let known = || {
            let mut speakers = self.speakers.iter();
            let found = speakers.find(|(_, macs)| macs.contains(&mac));
            found.map(|(node, _)| node)
        };
        heard
            .or_else(known)
            .filter(|node| **node != self.config.node)
            .cloned()
    }

    /// A frame of anybody came in on `channel`.
    pub(super) fn hear(&mut self, channel: Channel, at: Moment) {
        let (now, limit) = (self.now, self.limit);
        let Some(hearing) = self.membership.hearing_mut(channel) else {
            return;
        };
        let before = hearing.clear_since();
        let was_deaf = hearing.hear(at, now, limit);
        if hearing.clear_since() != before {
            self.ask_who_was_down(channel);
        }
        if was_deaf {
            self.look_at_all();
        }
    }

    /// A speaker was heard on `channel`.
    pub(super) fn hear_speaker(&mut self, channel: Channel, at: Moment) {
        self.hear(channel, at);
        let limit = self.limit;
        let Some(hearing) = self.membership.hearing_mut(channel) else {
            return;
        };
        if hearing.hear_peer(at, limit) && matches!(channel, Channel::Link(_)) {
            // What was announced meanwhile, nobody may have heard.
            let owned: Vec<_> = self.owned().map(|owned| owned.address).collect();
            for address in owned {
                self.insist(address);
            }
        }
    }

    /// Does what silence calls for: asks the silent, and their addresses are looked at when they are
    /// down.
    pub(super) fn notice_silence(&mut self) {
        self.ask_stations();
        let (now, limit) = (self.now, self.limit);
        let is_due = self.membership.silence_at().is_some_and(|at| at <= now);
        if is_due {
            self.ask_silent_owners();
        }
        let mut fell_deaf = false;
        let only_asked = self.rules.keep(Mutation::UnaskedSilence);
        for (channel, hearing) in self.membership.hearings_mut() {
            fell_deaf |= matches!(channel, Channel::Link(_))
                && hearing.notice_deafness(now, limit, only_asked);
        }
        if fell_deaf {
            self.look_at_all();
            self.beat.burst(now);
        }
        if is_due {
            self.notice_who_is_down();
        }
    }

    /// Whoever is down has lost its addresses.
    fn notice_who_is_down(&mut self) {
        let now = self.now;
        let mut fell_silent = Vec::new();
        for (node, peer) in self.membership.peers_mut() {
            if peer.forget_witnesses(now) {
                fell_silent.push(node.clone());
            }
            let paths = peer.paths.iter_mut();
            for path in paths.filter(|path| !path.down && !is_heard(path, now)) {
                path.down = true;
                fell_silent.push(node.clone());
            }
        }
        for node in fell_silent {
            // Its own addresses are free, and of others it would not be the next owner any more.
            self.look_around(&node);
        }
        self.ask_for_witness();
        self.membership.forget_newcomers(now);
        self.membership.plan_silence();
    }

    /// When a peer may have fallen silent, or somebody is to be asked.
    pub(super) fn next_silence(&self) -> Option<Moment> {
        let (now, interval, limit) = (self.now, self.interval(), self.limit);
        let stations = self
            .membership
            .channels()
            .filter(|channel| self.has_stations(*channel))
            .filter_map(|channel| self.membership.hearing(channel))
            .map(|hearing| hearing.next_question(now, interval, limit));
        stations.chain(self.membership.silence_at()).min()
    }

    fn has_stations(&self, channel: Channel) -> bool {
        let Channel::Link(link) = channel else {
            return false;
        };
        self.links
            .get(link)
            .is_some_and(|link| !link.gateways.is_empty())
    }

    /// R8, R12: asks the gateways of a link whether they can be heard.
    fn ask_stations(&mut self) {
        let (now, interval, limit) = (self.now, self.interval(), self.limit);
        for (index, link) in self.links.iter() {
            let channel = Channel::Link(index);
            let Some(hearing) = self.membership.hearing_mut(channel) else {
                continue;
            };
            if link.gateways.is_empty() || now < hearing.next_question(now, interval, limit) {
                continue;
            }
            hearing.asked(now);
            for &address in &link.gateways {
                let link = index;
                self.outputs.push_back(Output::Probe { link, address });
            }
        }
    }

    /// R15: asks on each link for an address of each peer that is heard by datagrams, and on no link of
    /// that address: one that this node owns too, if there is one.
    fn ask_for_witness(&mut self) {
        let (now, interval) = (self.now, self.interval());
        let links = self.membership.links();
        for (_, peer) in self.membership.peers_mut() {
            if peer.witness_at(interval, links).is_none_or(|due| due > now) {
                continue;
            }
            if let Some(path) = peer.path_mut(Channel::Unicast) {
                path.asked = Some(now);
            }
            for (link, _) in self.links.iter() {
                let is_up = |channel: &Channel| peer.path(*channel).is_some_and(|path| !path.down);
                let wanted = wanted(&self.contests, &self.config.node, &peer.book, link)
                    .filter(|(_, contest)| !contest.channels.iter().any(is_up))
                    .max_by_key(|(_, contest)| contest.own.is_some());
                if let Some((address, _)) = wanted {
                    peer.note_question(Channel::Link(link), now);
                    self.outputs.push_back(Output::Probe { link, address });
                }
            }
        }
    }

    /// R9: asks for one address of each owner that has fallen silent.
    fn ask_silent_owners(&mut self) {
        let (now, interval) = (self.now, self.interval());
        for (_, peer) in self.membership.peers_mut() {
            for path in &mut peer.paths {
                let silent = now.since(path.last_beacon) >= path.suspect;
                let due = path.asked.is_none_or(|asked| now >= asked + interval);
                if path.down || !silent || !due {
                    continue;
                }
                let Channel::Link(link) = path.channel else {
                    continue;
                };
                path.asked = Some(now);
                self.beat.ask(now);
                let mut wanted = wanted(&self.contests, &self.config.node, &peer.book, link);
                if let Some((address, _)) = wanted.next() {
                    self.outputs.push_back(Output::Probe { link, address });
                }
            }
        }
    }

    /// R9, R15: who fell silent while nothing was heard on `channel`, or is met there by datagrams, could
    /// not be asked. It is now.
    fn ask_who_was_down(&mut self, channel: Channel) {
        let Channel::Link(link) = channel else {
            return;
        };
        for (_, peer) in self.membership.peers() {
            let down = peer.path(channel).is_some_and(|path| path.down);
            let mut wanted = wanted(&self.contests, &self.config.node, &peer.book, link);
            if down && let Some((address, _)) = wanted.next() {
                self.outputs.push_back(Output::Probe { link, address });
            }
        }
        self.membership.ask_for_witnesses();
    }
}

/// The addresses of a peer that `me` may announce on that link too; without one there is nothing to ask
/// for there.
fn wanted<'a>(
    contests: &'a BTreeMap<IpAddr, Contest>,
    me: &'a NodeName,
    book: &'a Book,
    link: LinkIndex,
) -> impl Iterator<Item = (IpAddr, &'a Contest)> {
    book.addresses().filter_map(move |address| {
        let contest = contests.get(&address)?;
        contest.candidate(me)?;
        contest
            .channels
            .contains(&Channel::Link(link))
            .then_some((address, contest))
    })
}
