//! C3, R3 and election 3.7 between speakers and a stranger on one wire: who answers, how often, and
//! to whom an address goes.

use std::collections::BTreeSet;
use std::time::Duration;

use bellwether_core::election::{Assignment, OwnReason, Recorded, Term};
use bellwether_core::frame::Frame;
use bellwether_core::mac::MacAddr;
use bellwether_core::membership::Channel;
use bellwether_core::moment::Moment;
use bellwether_core::placement::{Candidate, Interfaces};
use bellwether_speaker::contacts::Contact;

use crate::lan::*;
use crate::namespace::{Namespace, with_privileges};
use crate::speaker::{Setup, Speaker};
use crate::tap::Tap;

const ADDRESS: &str = "192.0.2.10";

/// The announcements of `VIP` by node 0, and when they come.
fn announced(tap: &Tap, patience: Duration) -> Option<Moment> {
    let of_node = |frame: &Frame| {
        let arp = announcement(frame)?;
        (arp.sender_ip == VIP && arp.sender_mac == NODE_MAC).then_some(())
    };
    tap.find(patience, of_node).map(|(moment, ())| moment)
}

/// RFC 5227 section 2.4: one announcement, and no other for ten seconds, however often the stranger
/// says that the address is its own.
#[test]
fn c3_a_stranger_that_goes_on_is_answered_once_in_ten_seconds() {
    with_privileges(|| {
        let lan = Lan::new();
        let speaker = Speaker::announcing(&lan.node, ADDRESS);
        for _ in 0..6 {
            announced(&lan.tap, Duration::from_secs(20)).expect("G2: six in ten seconds");
        }
        let mut answers = Vec::new();
        let mut said = 0;
        while answers.len() < 2 {
            lan.tap.say(&request(STRANGER_MAC, VIP, VIP));
            said += 1;
            answers.extend(announced(&lan.tap, Duration::from_millis(200)));
            assert!(said < 300, "{said} claims, answers at {answers:?}");
        }
        let apart = answers[1].since(answers[0]);
        assert!(apart >= Duration::from_millis(9_990), "{apart:?}");
        assert!(said > 2, "{said}");
        assert_eq!(speaker.metrics.owned.get(), 1, "it is never given up");
        eventually("each claim is counted", || {
            speaker.metrics.foreign_claims.get() == said
        });
    });
}

/// Nodes on one switch, whose speakers also reach each other by datagrams over another network.
struct Cluster {
    hosts: Vec<Namespace>,
    switch: Namespace,
    /// What the datagrams pass.
    _management: Namespace,
    speakers: Vec<Speaker>,
}

const NODES: [&str; 3] = ["a", "b", "c"];

impl Cluster {
    fn new(nodes: usize) -> Self {
        Self::with(nodes, false)
    }

    /// With `rebalance` they give addresses away until all have about as many.
    fn with(nodes: usize, rebalance: bool) -> Self {
        let [switch, management] = [(); 2].map(|()| Namespace::new());
        for network in [&switch, &management] {
            network.ip("link add br0 type bridge forward_delay 0 mcast_snooping 0");
            network.ip("link set br0 up");
        }
        let mut hosts = Vec::new();
        let mut speakers = Vec::new();
        for (number, node) in NODES.into_iter().enumerate().take(nodes) {
            let host = Namespace::new();
            for (link, network) in [("eth0", &switch), ("mgmt0", &management)] {
                let port = format!("port{number}");
                host.connect(link, network, &port);
                network.ip(&format!("link set {port} master br0"));
            }
            let octet = u8::try_from(number).expect("few") + 5;
            configure(&host, "eth0", MacAddr([2, 0, 0, 0, 0, octet]), octet, None);
            host.ip(&format!("addr add 198.51.100.{octet}/24 dev mgmt0"));
            let setup = Setup {
                node,
                port: Some(7473),
                excluded: &["^mgmt0$"],
                rebalance,
                ..Setup::default()
            };
            let speaker = Speaker::with(&host, setup);
            let others = NODES.into_iter().enumerate().take(nodes);
            let contacts = others.filter(|(other, _)| *other != number);
            let contacts = contacts.map(|(other, node)| {
                let octet = u8::try_from(other).expect("few") + 5;
                let contact = Contact {
                    macs: BTreeSet::from([MacAddr([2, 0, 0, 0, 0, octet])]),
                    addresses: vec![std::net::Ipv4Addr::new(198, 51, 100, octet).into()],
                };
                (node.into(), contact)
            });
            speaker.inbox.set_contacts(contacts.collect());
            hosts.push(host);
            speakers.push(speaker);
        }
        let mut cluster = Self {
            hosts,
            switch,
            _management: management,
            speakers,
        };
        cluster.wait_well(nodes);
        cluster
    }

    /// Waits until all hear all others, on the link and by datagrams.
    fn wait_well(&mut self, nodes: usize) {
        for speaker in &mut self.speakers {
            eventually("all hear all", || {
                let look = speaker.look();
                let ways = look
                    .election
                    .peers
                    .iter()
                    .filter(|peer| peer.proven && peer.synced);
                let ways = ways.flat_map(|peer| &peer.paths);
                let ways: Vec<_> = ways.filter(|path| path.up).map(|it| it.channel).collect();
                let links = ways.iter().filter(|way| matches!(way, Channel::Link(_)));
                links.count() == nodes - 1 && ways.len() == 2 * (nodes - 1)
            });
        }
    }

    /// As speaker number `at` sees it, these nodes may announce the address, and an operator wants
    /// it moved there.
    fn assign(&mut self, at: usize, nodes: &[&str], move_to: Option<&str>) {
        self.assign_address(ADDRESS, at, nodes, move_to);
    }

    fn assign_address(&mut self, address: &str, at: usize, nodes: &[&str], move_to: Option<&str>) {
        let candidates = nodes.iter().map(|&node| Candidate {
            node: node.into(),
            interfaces: Interfaces::All,
            preference: 0,
        });
        let assignment = Assignment {
            candidates: candidates.collect(),
            recorded: Some(Recorded {
                node: Some("a".into()),
                term: Term(1),
                stands: true,
            }),
            move_to: move_to.map(Into::into),
        };
        self.speakers[at].assign_as(address, assignment);
        // It has taken that in before another is told something.
        self.speakers[at].look();
    }

    /// Assigns it to all nodes, and waits until `a` announces it.
    fn announce(&mut self) {
        let nodes = &NODES[..self.hosts.len()];
        for at in 0..nodes.len() {
            self.assign(at, nodes, None);
        }
        self.wait_owner(0);
    }

    fn wait_owner(&mut self, at: usize) -> bellwether_core::election::Owned {
        let mut owned = None;
        eventually("it announces the address", || {
            owned = self.speakers[at].owns(ADDRESS);
            owned.is_some()
        });
        owned.expect("it does")
    }

    fn counted(&self, at: usize, metric: &str, reason: &str) -> u64 {
        let name = format!("{metric}_total{{reason=\"{reason}\"}}");
        self.speakers[at].metric(&name)
    }
}

/// The other one does not wait for T: it is told, by the way that is left.
#[test]
fn r3_an_owner_whose_cable_is_pulled_says_so_by_datagram() {
    with_privileges(|| {
        let mut cluster = Cluster::new(2);
        cluster.announce();
        cluster.switch.ip("link set port0 down");
        let owned = cluster.wait_owner(1);
        assert_eq!(owned.reason, OwnReason::OwnerReleased, "{owned:?}");
        assert_eq!(owned.previous, Some("a".into()));
        assert_eq!(cluster.counted(0, "releases", "LinkDown"), 1);
    });
}

/// The successor does not know yet that it may announce the address: its watch of the API lags.
#[test]
fn a_hand_over_that_is_refused_falls_to_the_next_candidate() {
    with_privileges(|| {
        let mut cluster = Cluster::new(3);
        cluster.announce();
        cluster.assign(1, &["a", "c"], None);
        cluster.assign(2, &["b", "c"], None);
        cluster.assign(0, &["b", "c"], None);
        let owned = cluster.wait_owner(2);
        assert_eq!(owned.reason, OwnReason::HandedOver);
        assert_eq!(owned.previous, Some("a".into()));
        assert_eq!(cluster.counted(0, "releases", "HandedOver"), 1);
        assert_eq!(
            cluster.speakers[1].metric("claims_total{reason=\"HandedOver\"}"),
            0
        );
    });
}

/// A wish is no order: a target that does not take the address does not get it, and it is not asked
/// again; the next candidate has it.
#[test]
fn a_wish_that_is_refused_falls_to_the_next_candidate() {
    with_privileges(|| {
        let mut cluster = Cluster::new(3);
        cluster.announce();
        cluster.assign(1, &["a", "c"], None);
        cluster.assign(2, &["b", "c"], Some("b"));
        cluster.assign(0, &["b", "c"], Some("b"));
        let owned = cluster.wait_owner(2);
        assert_eq!(owned.reason, OwnReason::HandedOver);
        assert_eq!(cluster.speakers[1].owns(ADDRESS), None);
    });
}

/// The target of a wish is gone: nothing moves, and the next wish is met.
#[test]
fn a_wish_for_a_node_that_is_dead_moves_nothing() {
    with_privileges(|| {
        let mut cluster = Cluster::new(3);
        cluster.announce();
        cluster.speakers[1].stop();
        eventually("it is down", || {
            let look = cluster.speakers[0].look();
            let b = look
                .election
                .peers
                .iter()
                .find(|peer| peer.node.as_str() == "b");
            b.is_some_and(|b| b.paths.iter().all(|path| !path.up))
        });
        let before = cluster.speakers[0].owns(ADDRESS).expect("it owns it");
        cluster.assign(0, &NODES, Some("b"));
        let after = cluster.speakers[0].owns(ADDRESS).expect("it still owns it");
        assert_eq!(before.term, after.term);
        cluster.assign(0, &NODES, Some("c"));
        assert_eq!(cluster.wait_owner(2).reason, OwnReason::HandedOver);
    });
}

/// The owner may go on announcing it, so no other candidate is asked; the next wish is met.
#[test]
fn a_wish_that_is_refused_leaves_the_address_with_an_owner_that_may_stay() {
    with_privileges(|| {
        let mut cluster = Cluster::new(3);
        cluster.announce();
        let before = cluster.wait_owner(0);
        cluster.assign(1, &["a", "c"], None);
        cluster.assign(0, &NODES, Some("b"));
        // An offer stands for three intervals.
        std::thread::sleep(Duration::from_secs(1));
        assert_eq!(cluster.speakers[0].owns(ADDRESS), Some(before));
        for other in [1, 2] {
            assert_eq!(cluster.speakers[other].owns(ADDRESS), None);
        }
        cluster.assign(0, &NODES, Some("c"));
        assert_eq!(cluster.wait_owner(2).reason, OwnReason::HandedOver);
    });
}

/// All that was announced by one is announced by both after some seconds, each address by one of them.
#[test]
fn r2_where_balance_is_asked_for_addresses_go_to_who_has_fewer() {
    with_privileges(|| {
        let addresses = ["192.0.2.10", "192.0.2.11", "192.0.2.12", "192.0.2.13"];
        let mut cluster = Cluster::with(2, true);
        for address in addresses {
            cluster.assign_address(address, 0, &["a"], None);
        }
        let owned = |cluster: &Cluster| {
            let of = |at: usize| cluster.speakers[at].metrics.owned.get();
            (of(0), of(1))
        };
        eventually("one has all", || owned(&cluster) == (4, 0));
        for (at, address) in [0, 1]
            .into_iter()
            .flat_map(|at| addresses.map(|it| (at, it)))
        {
            cluster.assign_address(address, at, &["b", "a"], None);
        }
        eventually("they have as many", || owned(&cluster) == (2, 2));
        assert_eq!(cluster.counted(0, "releases", "HandedOver"), 2);
        assert_eq!(
            cluster.speakers[1].metric("claims_total{reason=\"HandedOver\"}"),
            2
        );
        for address in addresses {
            let owners = [0, 1].map(|at| cluster.speakers[at].owns(address).is_some());
            assert_eq!(
                owners.into_iter().filter(|&owns| owns).count(),
                1,
                "{address}"
            );
        }
    });
}
