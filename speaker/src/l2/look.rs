//! What the L2 thread is at, for people: metrics, conditions and `bellwether-speaker status`.

use std::collections::BTreeSet;
use std::sync::Arc;

use bellwether_core::election::Snapshot;
use bellwether_core::frame::beacon::keyring::Rejected;
use bellwether_core::link::Links;
use bellwether_core::membership::{Channel, Ignored};
use bellwether_core::name::NodeName;
use serde::{Deserialize, Serialize};

use crate::contacts::Contacts;

/// What the thread is at.
#[derive(Clone, Debug)]
pub struct Look {
    /// What the election is at. Peers that are silent are left out if no Speaker object stands for
    /// them any more.
    pub election: Snapshot,
    /// The nodes of speakers that the API knows, and that were heard nowhere: not since this one started,
    /// or not since the links are gone on which they were. Those that never said where they are may never
    /// have run, and are left out.
    pub unheard: Vec<NodeName>,
    /// The links that the thread works with.
    pub links: Arc<Links>,
    /// What was counted on each channel.
    pub traffic: Traffic,
    /// The number of the key that beacons are signed with. Without one nothing is announced.
    pub signing_key: Option<u16>,
}

/// Leaves out peers that are gone for good: they are silent, and the API knows them no more; and ways on
/// which a peer is silent because its node has that link no more. They are not forgotten by the
/// election, which has to tell recordings of them.
pub(super) fn leave_out_gone(snapshot: &mut Snapshot, contacts: &Contacts) {
    snapshot
        .peers
        .retain(|peer| contacts.contains_key(&peer.node) || peer.paths.iter().any(|path| path.up));
    for peer in &mut snapshot.peers {
        let is_heard = peer.paths.iter().any(|path| path.up);
        let contact = contacts.get(&peer.node).filter(|_| is_heard);
        if let Some(macs) = contact.map(|contact| &contact.macs) {
            peer.paths
                .retain(|path| path.up || path.mac.is_none_or(|mac| macs.contains(&mac)));
        }
    }
}

/// The nodes of `contacts` of which `snapshot` does not say where they were heard.
pub(super) fn unheard(snapshot: &Snapshot, contacts: &Contacts) -> Vec<NodeName> {
    let peers = snapshot.peers.iter().filter(|peer| !peer.paths.is_empty());
    let heard: BTreeSet<_> = peers.map(|peer| &peer.node).collect();
    let known = contacts.iter().filter(|(_, contact)| contact.has_run());
    let absent = known.filter(|(node, _)| !heard.contains(node));
    absent.map(|(node, _)| node.clone()).collect()
}

/// The beacons of each channel. There are few, so they are searched one by one.
#[derive(Clone, Debug, Default)]
pub struct Traffic(Vec<(Channel, Beacons)>);

impl Traffic {
    /// What was counted, channel by channel.
    pub fn iter(&self) -> impl Iterator<Item = (Channel, &Beacons)> {
        self.0.iter().map(|(channel, beacons)| (*channel, beacons))
    }

    /// Where to count what comes and goes on `channel`.
    pub(crate) fn on(&mut self, channel: Channel) -> &mut Beacons {
        let known = self.0.iter().position(|(known, _)| *known == channel);
        let at = known.unwrap_or_else(|| {
            self.0.push((channel, Beacons::default()));
            self.0.len() - 1
        });
        &mut self.0[at].1
    }

    /// Forgets links that are gone, and begins with those that are new.
    pub(super) fn follow(&mut self, links: &Links) {
        self.0.retain(|(channel, _)| match channel {
            Channel::Link(index) => links.get(*index).is_some(),
            Channel::Unicast => true,
        });
        for (index, _) in links.iter() {
            self.on(Channel::Link(index));
        }
        self.on(Channel::Unicast);
    }
}

/// The beacons of one channel since the speaker began to listen on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Beacons {
    /// Sent.
    pub sent: u64,
    /// Received, and genuine, whether or not they were taken in.
    pub received: u64,
    /// Not taken in.
    pub rejected: Rejections,
}

/// Beacons that were not taken in, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rejections {
    /// No beacons, or cut off.
    pub malformed: u64,
    /// Longer than any beacon.
    pub oversized: u64,
    /// Signed with a key that this speaker does not have.
    pub unknown_key: u64,
    /// Not as they were signed, or another cluster's.
    pub forged: u64,
    /// This node's own, or of another speaker under its name.
    pub own: u64,
    /// Recordings, and those that others have overtaken.
    pub replayed: u64,
    /// Of more speakers than a network can have.
    pub too_many_speakers: u64,
}

impl Rejections {
    /// A frame is no genuine beacon.
    pub(super) fn reject(&mut self, why: &Rejected) {
        let count = match why {
            Rejected::Malformed(_) => &mut self.malformed,
            Rejected::Oversized(_) => &mut self.oversized,
            Rejected::UnknownKey(_) | Rejected::NoKeys => &mut self.unknown_key,
            Rejected::Forged => &mut self.forged,
        };
        *count += 1;
    }

    /// A genuine beacon is not taken in.
    pub(super) fn ignore(&mut self, why: Ignored) {
        let count = match why {
            Ignored::Own => &mut self.own,
            Ignored::Replayed => &mut self.replayed,
            Ignored::TooMany => &mut self.too_many_speakers,
        };
        *count += 1;
    }

    /// The counts by the names of their causes, as metrics and tables call them.
    #[must_use]
    pub const fn by_cause(&self) -> [(&'static str, u64); 7] {
        [
            ("malformed", self.malformed),
            ("oversized", self.oversized),
            ("unknown_key", self.unknown_key),
            ("forged", self.forged),
            ("own", self.own),
            ("replayed", self.replayed),
            ("too_many_speakers", self.too_many_speakers),
        ]
    }

    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.by_cause().iter().map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bellwether_core::election::{PathSnapshot, PeerSnapshot};
    use bellwether_core::frame::beacon::Session;
    use bellwether_core::link::LinkIndex;
    use bellwether_core::mac::MacAddr;

    use super::*;
    use crate::contacts::Contact;

    fn peer(node: &str, up: bool) -> PeerSnapshot {
        PeerSnapshot {
            node: node.into(),
            session: Session(2),
            proven: true,
            synced: true,
            claims: 0,
            paths: vec![PathSnapshot {
                channel: Channel::Unicast,
                mac: None,
                up,
                degraded: false,
                silence: Duration::ZERO,
                limit: Duration::from_millis(250),
                lateness: Duration::ZERO,
                delay: Duration::ZERO,
                received: 1,
                missed: 0,
                replayed: 0,
            }],
        }
    }

    fn snapshot(peers: Vec<PeerSnapshot>) -> Snapshot {
        Snapshot {
            node: "a".into(),
            session: Session(1),
            leaving: false,
            channels: Vec::new(),
            peers,
            addresses: Vec::new(),
        }
    }

    #[test]
    fn a_silent_peer_is_told_of_while_a_speaker_object_stands_for_it() {
        let peers = vec![peer("down", false), peer("gone", false), peer("new", true)];
        let mut snapshot = snapshot(peers);
        let contacts = Contacts::from([("down".into(), Contact::default())]);
        leave_out_gone(&mut snapshot, &contacts);
        let left: Vec<_> = snapshot.peers.iter().map(|peer| &peer.node).collect();
        assert_eq!(left, [&"down".into(), &"new".into()]);
    }

    #[test]
    fn a_link_that_the_node_of_a_peer_has_no_more_is_told_of_no_more() {
        let mac = |last| MacAddr([2, 0, 0, 0, 0, last]);
        let path = |last, up| PathSnapshot {
            channel: Channel::Link(LinkIndex(u32::from(last))),
            mac: Some(mac(last)),
            ..peer("b", up).paths[0].clone()
        };
        let there = Contact {
            macs: BTreeSet::from([mac(1), mac(2)]),
            ..Contact::default()
        };
        let contacts = Contacts::from([("b".into(), there)]);
        let left = |paths: [(u8, bool); 3]| {
            let mut snapshot = snapshot(vec![peer("b", false)]);
            snapshot.peers[0].paths = paths.map(|(last, up)| path(last, up)).into();
            leave_out_gone(&mut snapshot, &contacts);
            snapshot.peers[0].paths.len()
        };
        // The third is gone; the second is silent, and there.
        assert_eq!(left([(1, true), (2, false), (3, false)]), 2);
        // What is heard is there, whatever the API says yet.
        assert_eq!(left([(1, true), (2, false), (3, true)]), 3);
        // Of a speaker that is silent everywhere nothing new is known.
        assert_eq!(left([(1, false), (2, false), (3, false)]), 3);
    }

    #[test]
    fn who_should_be_there_and_was_heard_nowhere_is_told_of() {
        let mut elsewhere = peer("elsewhere", false);
        elsewhere.paths.clear();
        let snapshot = snapshot(vec![peer("heard", true), peer("down", false), elsewhere]);
        let somewhere = || Contact {
            addresses: vec![[192, 0, 2, 9].into()],
            ..Contact::default()
        };
        let contacts = Contacts::from([
            ("absent".into(), somewhere()),
            ("down".into(), somewhere()),
            ("elsewhere".into(), somewhere()),
            ("heard".into(), somewhere()),
            ("without-a-speaker".into(), Contact::default()),
        ]);
        assert_eq!(
            unheard(&snapshot, &contacts),
            ["absent".into(), "elsewhere".into()]
        );
    }

    #[test]
    fn a_link_that_is_gone_is_counted_no_more_and_datagrams_always_are() {
        let mut traffic = Traffic::default();
        traffic.on(Channel::Link(LinkIndex(7))).sent = 3;
        traffic.follow(&Links::default());
        let channels: Vec<_> = traffic.iter().map(|(channel, _)| channel).collect();
        assert_eq!(channels, [Channel::Unicast]);
    }
}
