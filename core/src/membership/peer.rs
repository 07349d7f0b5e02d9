//! Another speaker, as this one knows it.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::book::{Book, Changes};
use super::tally::Tally;
use super::timing::{SUSPECT, tenths};
use super::{Channel, Ignored, WITNESSED};
use crate::frame::beacon::{Beacon, Flags, Heard, Session};
use crate::mac::MacAddr;
use crate::moment::Moment;

/// How many earlier starts of a peer are remembered, to tell recordings of them.
const REMEMBERED: usize = 16;

/// R15: how often the wire is asked whether a peer that is only heard by datagrams is on it.
const WITNESS: Duration = Duration::from_secs(1);

/// Another speaker: one start of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Peer {
    pub(crate) session: Session,
    /// It has shown that it hears this process now, by naming its session.
    pub(crate) proven: bool,
    pub(crate) book: Book,
    pub(crate) paths: Vec<Path>,
    /// Where frames of it were seen that are no beacons (R15).
    witnessed: Vec<Witness>,
    /// When it was heard by datagram last that it has claimed something (R15).
    claimed: Option<Moment>,
    /// Its start before this one ended without a word: nobody knows what it did last.
    pub(super) broke_off: bool,
    retired: VecDeque<Session>,
    /// The highest number of its beacons on channels that there are no more: what comes when one of
    /// them is back has a higher one, or is a recording.
    pub(super) floor: u64,
    /// When it was heard last, on any channel.
    pub(super) heard: Moment,
}

/// A link on which a frame of a peer was seen that is no beacon.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Witness {
    link: Channel,
    /// When one was seen last.
    seen: Moment,
    /// When one of its addresses was asked for there last, since the first was seen.
    asked: Option<Moment>,
}

/// What is heard of a peer on one channel.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Path {
    pub(crate) channel: Channel,
    /// The last sign of life: a beacon, or an answer for an address that it claims (R9).
    pub(crate) last: Moment,
    /// The last beacon.
    pub(crate) last_beacon: Moment,
    pub(crate) first: Moment,
    pub(crate) mac: Option<MacAddr>,
    /// How long it may be silent (R5).
    pub(crate) limit: Duration,
    /// How long it may be silent until it is asked for (R9); told once, because it is compared at each
    /// turn for each of many peers.
    pub(crate) suspect: Duration,
    pub(crate) lateness: Duration,
    pub(crate) flags: Flags,
    pub(crate) deaf_since: Option<Moment>,
    /// Whether its silence has been acted upon.
    pub(crate) down: bool,
    /// When it was asked for last, being silent.
    pub(crate) asked: Option<Moment>,
    pub(crate) tally: Tally,
    /// The longest time until its next beacon, as its last one said.
    interval: Duration,
    sequence: u64,
    reports: Vec<Report>,
}

/// What a peer says of a session that it hears.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    session: Session,
    /// When it heard it last.
    pub(crate) heard: Moment,
    pub(crate) synced: bool,
}

impl Peer {
    pub(super) fn new(beacon: &Beacon, proven: bool, floor: u64, now: Moment) -> Self {
        Self {
            session: beacon.session,
            proven,
            book: Book::default(),
            paths: Vec::new(),
            witnessed: Vec::new(),
            claimed: None,
            broke_off: false,
            retired: VecDeque::new(),
            floor,
            heard: now,
        }
    }

    /// Whether that was an earlier start of it.
    pub(super) fn has_retired(&self, session: Session) -> bool {
        self.retired.contains(&session)
    }

    /// Whether more was heard of this start than its first beacon.
    pub(crate) fn goes_on(&self) -> bool {
        let beacons = self.paths.iter().map(|path| path.tally.received);
        beacons.sum::<u64>() > 1
    }

    /// Whether it is heard on any channel.
    pub(super) fn is_heard(&self, now: Moment) -> bool {
        self.paths.iter().any(|path| super::is_heard(path, now))
    }

    /// Another start of the same speaker takes its place; a later one, if it is `proven`.
    pub(super) fn succeed(&mut self, beacon: &Beacon, proven: bool, floor: u64, now: Moment) {
        let mut retired = std::mem::take(&mut self.retired);
        if proven {
            if retired.len() == REMEMBERED {
                retired.pop_front();
            }
            retired.push_back(self.session);
        }
        *self = Self {
            retired,
            broke_off: !self.paths.iter().any(|path| path.flags.leaving),
            ..Self::new(beacon, proven, floor, now)
        };
    }

    /// All starts of it that are known, and for each the number above which beacons are no recordings.
    pub(super) fn starts(&self) -> impl Iterator<Item = (Session, u64)> {
        let numbers = self.paths.iter().map(|path| path.sequence);
        let latest = (self.session, numbers.fold(self.floor, u64::max));
        let retired = self.retired.iter().map(|&session| (session, u64::MAX));
        retired.chain([latest])
    }

    /// R15: whether it is heard by datagrams and was never heard on any link, or is seen on one where it
    /// was never heard.
    pub(crate) fn is_met_by_datagrams(&self, now: Moment) -> bool {
        let by_datagrams = self.path(Channel::Unicast);
        let mut seen_only = self.unproven_witnesses();
        by_datagrams.is_some_and(|path| super::is_heard(path, now))
            && (self.paths.len() == 1
                || seen_only.any(|witness| now.since(witness.seen) < WITNESSED))
    }

    /// These are the channels from now on.
    pub(super) fn keep_paths(&mut self, channels: &[Channel]) {
        self.paths.retain(|path| {
            let stays = channels.contains(&path.channel);
            if !stays {
                self.floor = self.floor.max(path.sequence);
            }
            stays
        });
        self.witnessed
            .retain(|witness| channels.contains(&witness.link));
    }

    /// R15: the wire is to be asked at once whether it is there, if it is heard by datagrams.
    pub(super) fn ask_for_witness(&mut self) {
        if let Some(path) = self.path_mut(Channel::Unicast) {
            path.asked = None;
        }
    }

    /// R15: a frame of it was seen on that link. When one was before, if any was.
    pub(super) fn witness(&mut self, channel: Channel, now: Moment) -> Option<Moment> {
        let mut links = self.witnessed.iter_mut();
        if let Some(witness) = links.find(|witness| witness.link == channel) {
            return Some(std::mem::replace(&mut witness.seen, now));
        }
        self.witnessed.push(Witness {
            link: channel,
            seen: now,
            asked: None,
        });
        None
    }

    /// R15: one of its addresses is asked for on that link.
    pub(crate) fn note_question(&mut self, channel: Channel, now: Moment) {
        let mut links = self.witnessed.iter_mut();
        if let Some(witness) = links.find(|witness| witness.link == channel) {
            witness.asked = Some(now);
        }
    }

    /// R15: whether a frame of it was seen lately on one of those links.
    pub(crate) fn is_witnessed(&self, channels: &[Channel], now: Moment) -> bool {
        let mut links = self.witnessed.iter();
        links.any(|witness| channels.contains(&witness.link) && now.since(witness.seen) < WITNESSED)
    }

    /// R15: forgets on which links it was seen longer ago than lately. Says whether it was met by
    /// datagrams on one of them, and is no more.
    pub(crate) fn forget_witnesses(&mut self, now: Moment) -> bool {
        let paths = &self.paths;
        let mut was_met = false;
        self.witnessed.retain(|witness| {
            let is_over = now.since(witness.seen) >= WITNESSED;
            was_met |= is_over && !paths.iter().any(|path| path.channel == witness.link);
            !is_over
        });
        was_met
    }

    /// R15: the links on which it was seen and never heard.
    fn unproven_witnesses(&self) -> impl Iterator<Item = &Witness> {
        let links = self.witnessed.iter();
        links.filter(|witness| self.path(witness.link).is_none())
    }

    pub(crate) fn path(&self, channel: Channel) -> Option<&Path> {
        self.paths.iter().find(|path| path.channel == channel)
    }

    pub(crate) fn path_mut(&mut self, channel: Channel) -> Option<&mut Path> {
        self.paths.iter_mut().find(|path| path.channel == channel)
    }

    /// When its silence calls for something next, if nothing more is heard of it: it is asked for, each
    /// `interval` (R9), or it is down; or the wire is asked whether it is there, or has not shown it for
    /// too long (R15).
    pub(super) fn silence_at(&self, interval: Duration, links: usize) -> Option<Moment> {
        let paths = self.paths.iter().filter(|path| !path.down);
        let silent = paths.map(|path| path.silence_at(interval));
        let witness = self.witness_at(interval, links);
        let unseen = self.unproven_witnesses();
        let unseen = unseen.map(|witness| witness.seen + WITNESSED);
        silent.chain(witness).chain(unseen).min()
    }

    /// R15: when to ask the wire whether it is there, while it is heard by datagrams and not on all
    /// `links` of this node: now and then, and each `interval` when it has just claimed something, when
    /// there was no answer, or when its datagrams cease.
    pub(crate) fn witness_at(&self, interval: Duration, links: usize) -> Option<Moment> {
        let path = self.path(Channel::Unicast).filter(|path| !path.down)?;
        let is_up = |path: &&Path| path.channel != Channel::Unicast && !path.down;
        if self.paths.iter().filter(is_up).count() == links {
            return None;
        }
        let Some(asked) = path.asked else {
            return Some(path.first);
        };
        let has_just_claimed = self
            .claimed
            .is_some_and(|claimed| asked < claimed + path.limit);
        let is_unanswered = |witness: &Witness| witness.asked.is_some_and(|at| witness.seen < at);
        let is_urgent = has_just_claimed || self.unproven_witnesses().any(is_unanswered);
        let next = asked + if is_urgent { interval } else { WITNESS };
        // R9: an answer is a sign of life where datagrams do not come any more.
        let suspect = path.last_beacon + path.suspect;
        Some(next.min(suspect.max(asked + interval)))
    }

    /// Takes in a beacon of this start. Says whether it counts otherwise than before: it had been
    /// silent on that channel, or has become deaf there, or hears again, or leaves.
    pub(super) fn receive(
        &mut self,
        channel: Channel,
        beacon: &Beacon,
        at: Moment,
        limit: Duration,
        changes: &mut Changes,
    ) -> Result<bool, Ignored> {
        let known = self.path(channel).map(|path| path.sequence);
        if beacon.sequence <= known.unwrap_or(self.floor) {
            return Err(Ignored::Replayed);
        }
        if known.is_none() {
            self.paths.push(Path::new(channel, at));
        }
        let Some(path) = self.paths.iter_mut().find(|path| path.channel == channel) else {
            return Ok(false);
        };
        let was_silent = path.sequence == 0 || path.down || at.since(path.last) >= path.limit;
        let flags = path.flags;
        if path.sequence == 0 {
            path.tally.begin();
        } else {
            let (gap, step) = (at.since(path.last_beacon), beacon.sequence - path.sequence);
            path.tally.note(at, gap, path.interval, step);
        }
        self.heard = self.heard.max(at);
        path.interval = beacon.pulse.interval;
        path.sequence = beacon.sequence;
        path.last = path.last.max(at);
        path.last_beacon = path.last_beacon.max(at);
        if path.limit != limit {
            path.limit = limit;
            path.suspect = tenths(limit, SUSPECT);
        }
        path.lateness = beacon.pulse.lateness;
        path.mac = beacon.mac;
        path.down = false;
        if channel != Channel::Unicast {
            path.asked = None;
        }
        path.heed(beacon.flags, at);
        path.note_reports(&beacon.heard, at);
        self.book.apply(&beacon.part, beacon.sequence, at, changes);
        if channel == Channel::Unicast {
            if changes.claimed {
                self.claimed = Some(at);
            }
            if changes.claimed || was_silent {
                path.asked = None;
            }
        }
        let mut differs = flags.deaf != beacon.flags.deaf || flags.leaving != beacon.flags.leaving;
        if channel == Channel::Unicast {
            // Where its beacons do not pass, what it says of itself by datagram is the latest there is.
            for path in &mut self.paths {
                if path.channel != Channel::Unicast && at.since(path.last_beacon) > path.limit {
                    differs |= path.flags.deaf != beacon.flags.deaf;
                    path.heed(beacon.flags, at);
                }
            }
        }
        Ok(was_silent || differs)
    }
}

impl Path {
    const fn new(channel: Channel, at: Moment) -> Self {
        Self {
            channel,
            last: at,
            last_beacon: at,
            first: at,
            mac: None,
            limit: Duration::ZERO,
            suspect: Duration::ZERO,
            lateness: Duration::ZERO,
            flags: Flags {
                leaving: false,
                deaf: false,
                young: false,
            },
            deaf_since: None,
            down: false,
            asked: None,
            tally: Tally::new(at),
            interval: Duration::ZERO,
            sequence: 0,
            reports: Vec::new(),
        }
    }

    /// What the peer says of itself.
    fn heed(&mut self, flags: Flags, at: Moment) {
        self.deaf_since = flags.deaf.then(|| self.deaf_since.unwrap_or(at));
        self.flags = flags;
    }

    /// When silence on it, which is not down, calls for something.
    fn silence_at(&self, interval: Duration) -> Moment {
        let down = self.last + self.limit;
        if self.channel == Channel::Unicast {
            return down;
        }
        let suspect = self.last_beacon + self.suspect;
        let ask = self
            .asked
            .map_or(suspect, |asked| suspect.max(asked + interval));
        down.min(ask)
    }

    /// What the peer last said of that session.
    pub(crate) fn report(&self, session: Session) -> Option<&Report> {
        self.reports.iter().find(|report| report.session == session)
    }

    fn note_reports(&mut self, heard: &[Heard], at: Moment) {
        for said in heard {
            let new = Report {
                session: said.session,
                heard: at - said.age,
                synced: said.synced,
            };
            let known = self
                .reports
                .iter_mut()
                .find(|report| report.session == said.session);
            if let Some(known) = known {
                *known = new;
                continue;
            }
            // Sessions that have ended fall out first: they were heard the longest ago.
            if self.reports.len() >= super::MOST_PEERS {
                self.reports.sort_by_key(|report| report.heard);
                self.reports.remove(0);
            }
            self.reports.push(new);
        }
    }
}
