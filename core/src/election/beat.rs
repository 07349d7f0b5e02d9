//! When beacons go out, and what is in them.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::handover::YOUNG;
use super::{Config, Election, Output};
use crate::frame::beacon::wire::room_for_entries;
use crate::frame::beacon::{Beacon, Entry, Flags, Heard, Pulse};
use crate::membership::book::Changes;
use crate::membership::peer::Peer;
use crate::membership::timing::{Profile, silence_limit};
use crate::membership::{Channel, Ignored, is_heard};
use crate::moment::Moment;

/// A change is said at once and twice more: three in a row are rarely lost.
const REPEATS: [Duration; 3] = [
    Duration::ZERO,
    Duration::from_millis(3),
    Duration::from_millis(10),
];

/// Beacons out of turn are at least this far apart.
const SPACING: Duration = Duration::from_millis(2);

/// On channel B one beacon goes out for so many on the links.
const UNICAST_EVERY: u32 = 4;

/// How many parts of the book go out at a time to those who do not know it.
const PARTS: usize = 8;

/// Beyond so many speakers each beats more slowly, so that nobody receives more than a thousand
/// beacons per second.
const SPEAKERS_PER_MILLISECOND: u32 = 1;

/// The rhythm of this node's beacons.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Beat {
    profile: Profile,
    due: Moment,
    extra: VecDeque<Moment>,
    last: Option<Moment>,
    last_parts: Option<Moment>,
    sequence: u64,
    turn: u32,
    random: u64,
    /// How late the latest of the beacons was that went out since that was asked for last.
    late: Duration,
    /// The silence that the last beacons allow this node, once they have left.
    promised: Duration,
}

/// Room for what goes out at a time, which is used again each time.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    channels: Vec<(Channel, Pulse)>,
    /// For each channel the beacon that says whom this node hears.
    first: Vec<Beacon>,
    entries: Vec<Entry>,
    /// How many of the entries have been said when a beacon is full.
    ends: Vec<usize>,
    others: Vec<Heard>,
}

impl Draft {
    fn clear(&mut self) {
        self.channels.clear();
        self.first.clear();
        self.entries.clear();
        self.ends.clear();
    }
}

impl Beat {
    pub(super) fn new(config: &Config, now: Moment) -> Self {
        Self {
            profile: config.profile,
            due: now,
            extra: VecDeque::new(),
            last: None,
            last_parts: None,
            sequence: 0,
            turn: 0,
            random: config.session.0,
            late: Duration::ZERO,
            promised: Duration::ZERO,
        }
    }

    /// When the next beacon goes out.
    pub(super) fn next(&self) -> Moment {
        self.extra
            .front()
            .map_or(self.due, |&extra| extra.min(self.due))
    }

    /// How much later than planned the loop woke up for a regular beacon, in this turn. What came
    /// in is handed over first, so the beacon may have left already.
    pub(super) fn take_lateness(&mut self, now: Moment) -> Duration {
        std::mem::take(&mut self.late).max(now.since(self.due))
    }

    /// Something is to be said now, and repeated.
    pub(super) fn burst(&mut self, now: Moment) {
        self.extra.clear();
        self.extra.extend(REPEATS.map(|delay| now + delay));
    }

    /// Something is to be said as soon as the spacing allows.
    pub(super) fn soon(&mut self, now: Moment) {
        self.after(SPACING, now);
    }

    /// Somebody is silent, and others are to hear that this node waits for it (R9, R10): of a crowd that
    /// falls silent at once all are named in one beacon. Half an interval after another is enough.
    pub(super) fn ask(&mut self, now: Moment) {
        self.after(self.profile.interval / 2, now);
    }

    /// Something is to be said so long after the last beacon, at the earliest.
    fn after(&mut self, spacing: Duration, now: Moment) {
        let at = self.last.map_or(now, |last| (last + spacing).max(now));
        if self.extra.front().is_none_or(|&first| at < first) {
            self.extra.push_front(at);
        }
    }

    /// Whether all repetitions have gone out.
    pub(super) fn has_said_all(&self) -> bool {
        self.extra.is_empty()
    }

    /// The silence that the last beacons allow this node, once they have left.
    pub(super) const fn promised(&self) -> Duration {
        self.promised
    }

    /// Whether a beacon is due; plans the next one.
    fn begin(&mut self, now: Moment, slowdown: Duration) -> Option<bool> {
        let mut extra = false;
        while self.extra.front().is_some_and(|&at| at <= now) {
            self.extra.pop_front();
            extra = true;
        }
        let regular = now >= self.due;
        if !extra && !regular {
            return None;
        }
        self.last = Some(now);
        if regular {
            self.late = self.late.max(now.since(self.due));
            self.turn = self.turn.wrapping_add(1);
            let interval = self.profile.interval.max(slowdown);
            // 90 to 100 % of it, so that speakers that started together do not stay together.
            self.random = self
                .random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let thousandth = u32::try_from(self.random >> 33).unwrap_or(0) % 101;
            let next = interval * (900 + thousandth) / 1000;
            self.due = (self.due + next).max(now + next / 2);
        }
        Some(regular)
    }
}

impl Election {
    /// Sends the beacons that are due.
    pub(super) fn send_due(&mut self) {
        if self.left {
            return;
        }
        let now = self.now;
        let peers = u32::try_from(self.membership.len()).unwrap_or(u32::MAX);
        let slowdown = Duration::from_millis(1) * (peers / SPEAKERS_PER_MILLISECOND);
        let Some(regular) = self.beat.begin(now, slowdown) else {
            return;
        };
        let pulse = Pulse {
            interval: self.interval().max(slowdown),
            misses: self.config.profile.misses,
            lateness: self.membership.lateness(),
        };
        self.beat.promised = silence_limit(pulse);
        let by_datagram = self.is_met_by_datagrams();
        let news = !regular;
        let unicast = news || by_datagram || self.beat.turn.is_multiple_of(UNICAST_EVERY);
        let slow = Pulse {
            interval: if by_datagram {
                pulse.interval
            } else {
                pulse.interval * UNICAST_EVERY
            },
            ..pulse
        };
        let mut draft = std::mem::take(&mut self.draft);
        draft.clear();
        let turn = usize::try_from(self.beat.turn).unwrap_or(0);
        for channel in self.membership.channels() {
            let pulse = match channel {
                Channel::Link(_) => pulse,
                Channel::Unicast if unicast => slow,
                Channel::Unicast => continue,
            };
            let mut beacon = self.spares.take();
            beacon.pulse = pulse;
            let others = &mut draft.others;
            self.membership
                .heard(channel, now, turn, &mut beacon.heard, others);
            draft.channels.push((channel, pulse));
            draft.first.push(beacon);
        }
        let most = draft.first.iter().map(|beacon| beacon.heard.len()).max();
        let room = room_for_entries(&self.config.node, most.unwrap_or(0));
        self.book
            .news(now, room, &mut draft.entries, &mut draft.ends);
        draft.ends.push(draft.entries.len());
        let mut start = 0;
        for &end in &draft.ends {
            let entries = &draft.entries[start..end];
            start = end;
            // What does not fit into one beacon follows in others, without what was said.
            let mut first = draft.first.drain(..);
            for &(channel, pulse) in &draft.channels {
                let mut beacon = first.next().unwrap_or_else(|| self.spares.take());
                beacon.pulse = pulse;
                self.send(channel, beacon, None, entries);
            }
        }
        self.send_book(&mut draft);
        self.draft = draft;
    }

    /// Sends parts of the book while somebody needs it.
    fn send_book(&mut self, draft: &mut Draft) {
        let now = self.now;
        let me = self.config.session;
        let wanted = self.membership.peers().any(|(_, peer)| {
            peer.paths.iter().any(|path| {
                is_heard(path, now) && path.report(me).is_some_and(|report| !report.synced)
            })
        });
        if wanted {
            self.book.begin_anew();
        }
        let soon = self
            .beat
            .last_parts
            .is_some_and(|last| now.since(last) < self.interval() / 4);
        if soon || !self.book.is_being_said() {
            return;
        }
        self.beat.last_parts = Some(now);
        for _ in 0..PARTS {
            let room = room_for_entries(&self.config.node, 0);
            draft.entries.clear();
            let Some(range) = self.book.next_part(room, &mut draft.entries) else {
                break;
            };
            for &(channel, pulse) in &draft.channels {
                let mut beacon = self.spares.take();
                beacon.pulse = pulse;
                self.send(channel, beacon, Some(range), &draft.entries);
            }
        }
    }

    /// Sends `beacon`, which has its pulse and says whom this node hears.
    fn send(
        &mut self,
        channel: Channel,
        mut beacon: Beacon,
        range: Option<(IpAddr, IpAddr)>,
        entries: &[Entry],
    ) {
        self.beat.sequence += 1;
        let (mac, deaf) = match channel {
            Channel::Link(index) => (
                self.links.get(index).map(|link| link.mac),
                self.membership
                    .hearing(channel)
                    .is_some_and(|hearing| hearing.deaf),
            ),
            Channel::Unicast => (None, self.membership.is_deaf()),
        };
        beacon.sender.clone_from(&self.config.node);
        beacon.session = self.config.session;
        beacon.sequence = self.beat.sequence;
        beacon.mac = mac;
        beacon.flags = Flags {
            leaving: self.leaving,
            deaf,
            young: self.now.since(self.started) < YOUNG,
        };
        beacon.part.digest = self.book.digest();
        beacon.part.range = range;
        beacon.part.entries.extend_from_slice(entries);
        self.outputs.push_back(Output::Beacon { channel, beacon });
    }

    /// R15: whether a peer is heard by datagrams and was never heard on any link, or is seen on one where
    /// it was never heard.
    fn is_met_by_datagrams(&self) -> bool {
        self.membership
            .peers()
            .any(|(_, peer)| peer.is_met_by_datagrams(self.now))
    }

    /// Takes in a beacon.
    pub(super) fn receive(
        &mut self,
        channel: Channel,
        beacon: &Beacon,
        at: Moment,
    ) -> Result<(), Ignored> {
        let mut changes = std::mem::take(&mut self.changes);
        changes.clear();
        if self.membership.peer(&beacon.sender).is_none() {
            self.membership.forget_gone(&self.speakers, self.now);
        }
        let received = self.membership.receive(channel, beacon, at, &mut changes);
        if let Ok(received) = received {
            self.hear_speaker(channel, at);
            self.act_on(channel, beacon, received, &changes);
        }
        self.changes = changes;
        received.map(|_| ())
    }

    fn act_on(
        &mut self,
        channel: Channel,
        beacon: &Beacon,
        received: crate::membership::Received,
        changes: &Changes,
    ) {
        self.dirty.extend(&changes.addresses);
        if received.returned {
            self.look_around(&beacon.sender);
        }
        if received.forgot {
            self.insist_to(&beacon.sender);
        }
        let sender = self.membership.peer(&beacon.sender);
        let sender = sender.filter(|peer| peer.session == beacon.session);
        let proven = sender.is_some_and(|peer| peer.proven);
        let goes_on = sender.is_some_and(Peer::goes_on);
        for &(address, term) in &changes.released {
            self.hear_release(address, beacon.session, term, goes_on);
        }
        if proven && !beacon.flags.deaf && matches!(channel, Channel::Link(_)) {
            for &relayed in &changes.relayed {
                self.hear_of(relayed);
            }
        }
        if received.answer || received.wants_book {
            self.beat.soon(self.now);
        }
    }
}
