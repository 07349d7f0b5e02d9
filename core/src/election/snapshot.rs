//! What the election is at, for people. Written as JSON, durations are numbers of seconds.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_with::serde_as;

use super::{Election, Owned, Term};
use crate::frame::beacon::Session;
use crate::mac::MacAddr;
use crate::membership::{Channel, is_heard};
use crate::name::NodeName;
use crate::seconds::Seconds;

/// After how long without a sign of a stranger that uses an address it counts as gone.
pub const CONFLICT_OVER: Duration = Duration::from_mins(1);

/// What an election is at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// This node.
    pub node: NodeName,
    /// This start.
    pub session: Session,
    /// Whether it gives all away, because it stops.
    pub leaving: bool,
    /// The channels that it is heard on.
    pub channels: Vec<ChannelSnapshot>,
    /// The other speakers that were heard.
    pub peers: Vec<PeerSnapshot>,
    /// The addresses, and who has them.
    pub addresses: Vec<ContestSnapshot>,
}

/// A channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChannelSnapshot {
    /// Which.
    pub channel: Channel,
    /// Whether nothing is heard there (R12).
    pub deaf: bool,
    /// Whether this node answers there: not while it listens after it was away (R6, R7).
    pub answering: bool,
}

/// Another speaker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerSnapshot {
    /// Its node.
    pub node: NodeName,
    /// Its start.
    pub session: Session,
    /// Whether it has shown that it hears this node.
    pub proven: bool,
    /// Whether all its claims are known.
    pub synced: bool,
    /// How many addresses it claims.
    pub claims: usize,
    /// Where it is heard, and how.
    pub paths: Vec<PathSnapshot>,
}

/// How a peer is heard on a channel.
#[serde_as]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PathSnapshot {
    /// Where.
    pub channel: Channel,
    /// Its MAC address there.
    pub mac: Option<MacAddr>,
    /// Whether it is heard: it has not been silent for too long.
    pub up: bool,
    /// Whether it is silent, but a question for one of its addresses was answered (R9).
    pub degraded: bool,
    /// How long ago its last sign of life came.
    #[serde_as(as = "Seconds")]
    pub silence: Duration,
    /// How long it may be silent (R5).
    #[serde_as(as = "Seconds")]
    pub limit: Duration,
    /// How late it says it is at times.
    #[serde_as(as = "Seconds")]
    pub lateness: Duration,
    /// By how much one of its beacons came later than its interval allows, at worst in the last half
    /// a minute to a minute.
    #[serde_as(as = "Seconds")]
    pub delay: Duration,
    /// How many of its beacons were taken in since its start was first heard here.
    pub received: u64,
    /// How many should have come between two that did: lost, or never sent.
    pub missed: u64,
    /// How many were recordings, or came when a later one had.
    pub replayed: u64,
}

/// An address.
#[serde_as]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContestSnapshot {
    /// The address.
    pub address: IpAddr,
    /// Who owns it, as far as is known.
    pub owner: Option<NodeName>,
    /// The highest term that was seen.
    pub term: Term,
    /// This node's claim, if it has one.
    pub own: Option<Owned>,
    /// For how long this node has owned it.
    #[serde_as(as = "Option<Seconds>")]
    pub held: Option<Duration>,
    /// The node that it is offered to.
    pub offered_to: Option<NodeName>,
    /// A stranger that uses it: it was seen to not longer ago than [`CONFLICT_OVER`].
    pub conflict: Option<MacAddr>,
    /// Candidates that are not heard, in this node's view.
    pub unheard: Vec<NodeName>,
}

impl Election {
    /// What it is at.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let now = self.now;
        let channels = self
            .membership
            .channels()
            .filter_map(|channel| {
                let hearing = self.membership.hearing(channel)?;
                Some(ChannelSnapshot {
                    channel,
                    deaf: hearing.deaf,
                    answering: hearing.may_answer(now),
                })
            })
            .collect();
        Snapshot {
            node: self.config.node.clone(),
            session: self.config.session,
            leaving: self.leaving,
            channels,
            peers: self.peer_snapshots(),
            addresses: self.contest_snapshots(),
        }
    }

    fn peer_snapshots(&self) -> Vec<PeerSnapshot> {
        let now = self.now;
        let peers = self.membership.peers();
        peers
            .map(|(node, peer)| PeerSnapshot {
                node: node.clone(),
                session: peer.session,
                proven: peer.proven,
                synced: peer.book.is_synced(),
                claims: peer.book.len(),
                paths: peer
                    .paths
                    .iter()
                    .map(|path| PathSnapshot {
                        channel: path.channel,
                        mac: path.mac,
                        up: is_heard(path, now),
                        degraded: is_heard(path, now) && now.since(path.last_beacon) >= path.limit,
                        silence: now.since(path.last),
                        limit: path.limit,
                        lateness: path.lateness,
                        delay: path.tally.delay(now),
                        received: path.tally.received,
                        missed: path.tally.missed,
                        replayed: path.tally.replayed,
                    })
                    .collect(),
            })
            .collect()
    }

    fn contest_snapshots(&self) -> Vec<ContestSnapshot> {
        let me = &self.config.node;
        let contests = self.contests.iter();
        contests
            .map(|(&address, contest)| ContestSnapshot {
                address,
                owner: if contest.free_since.is_none() || contest.own.is_some() {
                    contest.last_owner.clone()
                } else {
                    None
                },
                term: contest.highest,
                own: contest.owned(address),
                held: contest.own.as_ref().map(|own| self.now.since(own.since)),
                offered_to: contest
                    .own
                    .as_ref()
                    .and_then(|own| own.offer.as_ref())
                    .map(|offer| offer.node.clone()),
                conflict: contest
                    .conflict
                    .filter(|(_, seen)| self.now.since(*seen) < CONFLICT_OVER)
                    .map(|(mac, _)| mac),
                unheard: contest
                    .assignment
                    .candidates
                    .iter()
                    .map(|candidate| &candidate.node)
                    .filter(|node| *node != me && !self.would_take(node, &contest.channels))
                    .cloned()
                    .collect(),
            })
            .collect()
    }
}
