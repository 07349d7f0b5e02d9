//! Which speakers are alive, as far as this node can tell.
//!
//! A [`Membership`] takes in beacons and says of each peer, on each channel, when it was last heard,
//! whether it hears this node, and what it claims. It decides nothing: what follows from a peer's
//! silence is up to [`crate::election`]. The rules that are kept here:
//!
//! - R5, how long silence may last: [`timing`]
//! - R6 to R8 and R12, what the own silence, absence, blindness and deafness mean: `hearing`
//! - R10, what peers say of each other: `peer`
//! - that a beacon is no recording: [`Membership::receive`]
//!
//! Which channels there are is kept in `channels`; whose claims an address has is looked up in `claimants`;
//! whom beacons name as heard is up to `heard`.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::frame::beacon::{Beacon, Pulse, Session};
use crate::link::LinkIndex;
use crate::moment::Moment;
use crate::mutation::{Mutation, Rules};
use crate::name::NodeName;

pub(crate) mod book;
mod channels;
mod claimants;
mod heard;
pub(crate) mod hearing;
mod lateness;
pub(crate) mod peer;
mod tally;
pub mod timing;

use book::Changes;
use hearing::Hearing;
use lateness::Lateness;
use peer::{Path, Peer};
use timing::{FENCE, silence_limit, tenths};

/// More peers than a segment can have; what comes beyond is not taken in.
pub const MOST_PEERS: usize = 1024;

/// A start that has not shown within this time that it is no recording is forgotten.
const PATIENCE: Duration = Duration::from_secs(2);

/// R15: a peer that is met by datagrams was seen on the link within this time: a network that drops
/// beacons is told by that from one that is split.
pub(crate) const WITNESSED: Duration = Duration::from_secs(3);

/// Where beacons are heard and sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Channel {
    /// Channel A: raw frames on a link, which is the path that the announcements take.
    Link(LinkIndex),
    /// Channel B: datagrams between the nodes' own addresses.
    Unicast,
}

/// Why a genuine beacon is not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Ignored {
    /// It is this node's own, or that of another speaker under the same node name.
    #[error("the beacon is this node's own")]
    Own,
    /// It was received before, or overtaken, or is of an earlier start of its sender.
    #[error("the beacon is a recording, or was overtaken by a later one")]
    Replayed,
    /// There are more peers than a segment can have.
    #[error("there are more than {MOST_PEERS} speakers")]
    TooMany,
}

/// What a beacon changed, apart from claims.
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "any of them may be so without the others"
)]
pub(crate) struct Received {
    /// Its sender is to be answered at once: it does not know this node, or this node not its book.
    pub(crate) answer: bool,
    /// Its sender had been silent on this channel, or is a new start, or says something else of
    /// itself: what it claims counts otherwise, and whether it would take what is free.
    pub(crate) returned: bool,
    /// Its sender does not know all that this node claims.
    pub(crate) wants_book: bool,
    /// Its sender is heard on this link for the first time since its start before this one ended without
    /// a word. That may have been cut off, and have announced what this node owns.
    pub(crate) forgot: bool,
}

/// The speakers that this one knows. See the [module](self).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Membership {
    me: NodeName,
    session: Session,
    /// How often who is silent is asked for.
    interval: Duration,
    peers: BTreeMap<NodeName, Peer>,
    /// Before that nobody's silence calls for anything, so that at each turn one moment is looked at
    /// instead of all peers.
    silence_at: Option<Moment>,
    /// In whose books an address is: few of fifty, so nobody has to look into all of them.
    claimants: BTreeMap<IpAddr, Vec<NodeName>>,
    /// Starts of peers that are forgotten, and for each the number above which beacons are no recordings.
    forgotten: VecDeque<(Session, u64)>,
    /// Starts of known peers that have not shown yet that they are no recordings.
    newcomers: BTreeMap<Session, (Channel, Moment)>,
    #[serde(with = "crate::election::trace::pairs")]
    hearing: BTreeMap<Channel, Hearing>,
    /// What was heard on links that there are not now, and since when there are not: those that went last.
    away: VecDeque<(Channel, Hearing, Moment)>,
    lateness: Lateness,
    #[serde(skip)]
    rules: Rules,
}

impl Membership {
    pub(crate) fn new(me: NodeName, session: Session, interval: Duration, rules: Rules) -> Self {
        Self {
            me,
            session,
            interval,
            peers: BTreeMap::new(),
            silence_at: None,
            claimants: BTreeMap::new(),
            forgotten: VecDeque::new(),
            newcomers: BTreeMap::new(),
            hearing: BTreeMap::new(),
            away: VecDeque::new(),
            lateness: Lateness::new(),
            rules,
        }
    }

    /// How many speakers are known.
    pub(crate) fn len(&self) -> usize {
        self.peers.len()
    }

    pub(crate) fn peers(&self) -> impl Iterator<Item = (&NodeName, &Peer)> {
        self.peers.iter()
    }

    pub(crate) fn peers_mut(&mut self) -> impl Iterator<Item = (&NodeName, &mut Peer)> {
        self.peers.iter_mut()
    }

    pub(crate) fn peer(&self, node: &NodeName) -> Option<&Peer> {
        self.peers.get(node)
    }

    /// The peer whose start that is, if it is its latest.
    pub(crate) fn peer_of(&self, session: Session) -> Option<&Peer> {
        self.peers.values().find(|peer| peer.session == session)
    }

    /// Before then nobody's silence calls for anything. What is heard puts it off, which is noticed only
    /// when all are looked at then.
    pub(crate) const fn silence_at(&self) -> Option<Moment> {
        self.silence_at
    }

    /// All have been looked at: notes when that has to be done again.
    pub(crate) fn plan_silence(&mut self) {
        let (peers, links) = (self.peers.values(), self.links());
        let silent = peers.filter_map(|peer| peer.silence_at(self.interval, links));
        let newcomers = self.newcomers.values().map(|&(_, at)| at + PATIENCE);
        self.silence_at = silent.chain(newcomers).min();
    }

    /// Something of that peer may call for something sooner than was planned.
    fn plan_sooner(&mut self, node: &NodeName) {
        let peer = self.peers.get(node);
        let sooner = peer.and_then(|peer| peer.silence_at(self.interval, self.links()));
        self.plan_by(sooner);
    }

    /// All have to be looked at by then.
    fn plan_by(&mut self, at: Option<Moment>) {
        self.silence_at = self.silence_at.into_iter().chain(at).min();
    }

    /// The loop woke up so late.
    pub(crate) fn record_lateness(&mut self, late: Duration) {
        self.lateness.record(late);
    }

    /// How late the loop wakes up at times.
    pub(crate) fn lateness(&self) -> Duration {
        self.lateness.percentile()
    }

    /// Takes in a beacon whose signature is right.
    ///
    /// That it is no recording is shown in two steps: within a start, numbers only grow; and a
    /// start that takes the place of a known one, which is proven or heard, has to name this process's
    /// own session, which no recording from before it can.
    pub(crate) fn receive(
        &mut self,
        channel: Channel,
        beacon: &Beacon,
        at: Moment,
        changes: &mut Changes,
    ) -> Result<Received, Ignored> {
        let received = self.take_in(channel, beacon, at, changes);
        self.plan_sooner(&beacon.sender);
        if matches!(received, Err(Ignored::Replayed))
            && let Some(peer) = self.peers.get_mut(&beacon.sender)
            && let Some(path) = peer.path_mut(channel)
        {
            path.tally.replayed += 1;
        }
        self.note_claimant(&beacon.sender, &changes.addresses);
        received
    }

    fn take_in(
        &mut self,
        channel: Channel,
        beacon: &Beacon,
        at: Moment,
        changes: &mut Changes,
    ) -> Result<Received, Ignored> {
        if beacon.sender == self.me || beacon.session == self.session {
            return Err(Ignored::Own);
        }
        let echo = beacon
            .heard
            .iter()
            .find(|heard| heard.session == self.session);
        let mut received = Received::default();
        let known = self.peers.get(&beacon.sender);
        let mut floor = 0;
        if known.is_none_or(|peer| peer.session != beacon.session) {
            floor = self.floor_of(beacon.session);
            if beacon.sequence <= floor {
                return Err(Ignored::Replayed);
            }
        }
        if known.is_none() {
            if self.peers.len() >= MOST_PEERS {
                return Err(Ignored::TooMany);
            }
            let peer = Peer::new(beacon, echo.is_some(), floor, at);
            self.peers.insert(beacon.sender.clone(), peer);
            received.answer = true;
        }
        let Some(peer) = self.peers.get_mut(&beacon.sender) else {
            return Err(Ignored::TooMany);
        };
        if peer.session != beacon.session {
            if peer.has_retired(beacon.session) {
                return Err(Ignored::Replayed);
            }
            // Which of two starts is the later one, only an echo shows. On a link that carries frames one
            // way there is none; then whoever is there counts.
            if echo.is_none() && (peer.proven || peer.is_heard(at)) {
                if self.newcomers.len() < MOST_PEERS {
                    self.newcomers.insert(beacon.session, (channel, at));
                    self.plan_by(Some(at + PATIENCE));
                }
                return Ok(Received {
                    answer: true,
                    ..received
                });
            }
            self.newcomers.remove(&beacon.session);
            changes.addresses.extend(peer.book.addresses());
            changes.released.extend(peer.book.claims());
            peer.succeed(beacon, echo.is_some(), floor, at);
            received.answer = true;
        }
        received.forgot =
            peer.broke_off && channel != Channel::Unicast && peer.path(channel).is_none();
        let was_proven = peer.proven;
        let was_synced = peer.book.is_synced();
        let lateness = if self.rules.keep(Mutation::IgnoreLateness) {
            beacon.pulse.lateness
        } else {
            Duration::ZERO
        };
        let limit = silence_limit(Pulse {
            lateness,
            ..beacon.pulse
        });
        received.returned = peer.receive(channel, beacon, at, limit, changes)?;
        peer.proven |= echo.is_some();
        received.returned |= peer.proven && !was_proven;
        received.answer |= echo.is_none() && !was_proven;
        received.answer |= was_synced && !peer.book.is_synced();
        received.wants_book = echo.is_some_and(|echo| !echo.synced);
        Ok(received)
    }

    /// A host answered for an address that `owner` claims, from the MAC address of `owner`: it
    /// lives, though its beacons are not heard (R9). Says whether it had counted as down.
    pub(crate) fn hear_answer(&mut self, owner: &NodeName, channel: Channel, now: Moment) -> bool {
        let Some(peer) = self.peers.get_mut(owner) else {
            return false;
        };
        // Who was never heard on that link is met by datagrams (R15).
        let is_proven = peer.path(channel).is_some();
        let met = if is_proven { channel } else { Channel::Unicast };
        let Some(path) = peer.path_mut(met) else {
            return false;
        };
        path.last = path.last.max(now);
        let was_down = std::mem::replace(&mut path.down, false);
        self.plan_sooner(owner);
        was_down
    }

    /// A frame of that speaker was seen on that link: it is in the same network (R15). Says whether
    /// that was not known.
    pub(crate) fn hear_on_wire(&mut self, node: &NodeName, channel: Channel, now: Moment) -> bool {
        let peer = self.peers.get_mut(node);
        let before = peer.and_then(|peer| peer.witness(channel, now));
        before.is_none_or(|seen| now.since(seen) >= WITNESSED)
    }

    /// R10: whether a peer says that it has heard the start `suspect` of another one lately on one of
    /// `channels`; or by datagram, if the suspect is on their network, and was never heard there (R15).
    pub(crate) fn is_vouched_for(
        &self,
        suspect: Session,
        channels: &[Channel],
        now: Moment,
    ) -> bool {
        let suspected = self.peer_of(suspect);
        let path_of = |channel| suspected.and_then(|peer| peer.path(channel));
        let is_unproven = channels.iter().all(|&channel| path_of(channel).is_none());
        let by_datagrams =
            is_unproven && suspected.is_some_and(|peer| peer.is_witnessed(channels, now));
        let counts = |path: &&Path| {
            channels.contains(&path.channel) || (by_datagrams && path.channel == Channel::Unicast)
        };
        let is_sure = |path: &Path| {
            let report = path.report(suspect).filter(|_| is_heard(path, now));
            let limit = path_of(path.channel).map_or(path.limit, |path| path.limit);
            report.is_some_and(|report| now.since(report.heard) <= tenths(limit, FENCE))
        };
        let mut witnesses = self.peers.values().filter(|peer| peer.proven);
        witnesses.any(|witness| witness.paths.iter().filter(counts).any(is_sure))
    }

    /// Forgets starts that never showed that they are no recordings.
    pub(crate) fn forget_newcomers(&mut self, now: Moment) {
        self.newcomers
            .retain(|_, (_, at)| now.since(*at) < PATIENCE);
    }
}

/// Whether the peer of that path is heard there.
pub(crate) fn is_heard(path: &Path, now: Moment) -> bool {
    now.since(path.last) < path.limit
}

#[cfg(test)]
mod tests;
