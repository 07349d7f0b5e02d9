//! How the beacons of other speakers come in, as far as something is wrong with it.

use std::collections::BTreeSet;

use bellwether_core::election::Snapshot;
use bellwether_core::link::Links;
use bellwether_core::membership::Channel;
use bellwether_core::name::{LinkName, NodeName};

/// What is wrong with the ways of beacons to this node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paths {
    /// Nodes that are heard by datagrams, and whose beacons never came on a link (R11, R15).
    pub unproven: BTreeSet<NodeName>,
    /// Nodes that live, but whose beacons do not come any more on that link (R9, R15): they are heard
    /// elsewhere, or answer for their addresses.
    pub degraded: BTreeSet<(NodeName, LinkName)>,
}

impl Paths {
    /// What `snapshot` says of it, with the links by their names.
    pub(super) fn of(snapshot: &Snapshot, links: &Links) -> Self {
        let mut paths = Self::default();
        for peer in &snapshot.peers {
            let is_heard = peer.paths.iter().any(|path| path.up);
            let mut proven = false;
            for path in &peer.paths {
                let Channel::Link(index) = path.channel else {
                    continue;
                };
                proven = true;
                let lost = path.degraded || (!path.up && is_heard);
                if let Some(link) = links.get(index)
                    && lost
                    && link.carrier
                {
                    let name = (peer.node.clone(), link.name.clone());
                    paths.degraded.insert(name);
                }
            }
            if is_heard && !proven {
                paths.unproven.insert(peer.node.clone());
            }
        }
        paths
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bellwether_core::election::{PathSnapshot, PeerSnapshot};
    use bellwether_core::frame::beacon::Session;
    use bellwether_core::link::{Link, LinkIndex};
    use bellwether_core::mac::MacAddr;

    use super::*;

    const LINK: LinkIndex = LinkIndex(1);

    fn path(channel: Channel, up: bool, degraded: bool) -> PathSnapshot {
        PathSnapshot {
            channel,
            mac: None,
            up,
            degraded,
            silence: Duration::ZERO,
            limit: Duration::from_millis(250),
            lateness: Duration::ZERO,
            delay: Duration::ZERO,
            received: 0,
            missed: 0,
            replayed: 0,
        }
    }

    fn of(carrier: bool, paths: Vec<PathSnapshot>) -> Paths {
        let link = Link {
            name: "eth0".into(),
            mac: MacAddr([2, 0, 0, 0, 0, 1]),
            carrier,
            addresses: BTreeSet::new(),
            networks: BTreeSet::new(),
            link_local: None,
            router: false,
            gateways: BTreeSet::new(),
            ports: BTreeSet::new(),
        };
        let snapshot = Snapshot {
            node: "a".into(),
            session: Session(1),
            leaving: false,
            channels: Vec::new(),
            peers: vec![PeerSnapshot {
                node: "b".into(),
                session: Session(2),
                proven: true,
                synced: true,
                claims: 0,
                paths,
            }],
            addresses: Vec::new(),
        };
        Paths::of(&snapshot, &[(LINK, link)].into_iter().collect())
    }

    #[test]
    fn what_is_wrong_with_the_way_of_beacons() {
        let nothing = Paths::default();
        let degraded = Paths {
            degraded: BTreeSet::from([("b".into(), "eth0".into())]),
            ..Paths::default()
        };
        let unproven = Paths {
            unproven: BTreeSet::from(["b".into()]),
            ..Paths::default()
        };
        let link = |up, degraded| path(Channel::Link(LINK), up, degraded);
        let other_link = |up| path(Channel::Link(LinkIndex(2)), up, false);
        let datagrams = |up| path(Channel::Unicast, up, false);
        for (case, carrier, paths, expected) in [
            (
                "both ways",
                true,
                vec![link(true, false), datagrams(true)],
                &nothing,
            ),
            (
                "it is dead",
                true,
                vec![link(false, false), datagrams(false)],
                &nothing,
            ),
            (
                "it answers for addresses only",
                true,
                vec![link(true, true)],
                &degraded,
            ),
            (
                "datagrams only",
                true,
                vec![link(false, false), datagrams(true)],
                &degraded,
            ),
            (
                "on the other link only",
                true,
                vec![link(false, false), other_link(true)],
                &degraded,
            ),
            (
                "dead on both links",
                true,
                vec![link(false, false), other_link(false)],
                &nothing,
            ),
            (
                "the cable is out",
                false,
                vec![link(false, false), datagrams(true)],
                &nothing,
            ),
            ("never on a link", true, vec![datagrams(true)], &unproven),
            ("once by datagrams", true, vec![datagrams(false)], &nothing),
        ] {
            assert_eq!(of(carrier, paths), *expected, "{case}");
        }
    }
}
