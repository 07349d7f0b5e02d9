//! Who may announce an address, and in which order.
//!
//! The controller evaluates all selectors and writes the results down: into each `L2Advertisement`
//! the nodes it names, into each `Announcement` the advertisements that serve it, into each
//! `Speaker` whether its node is eligible. [`candidates`] is the plain intersection of those lists.
//! Of them, [`on_its_network`] leaves those that are on the network of the address. The controller
//! and every speaker call both on the same objects, so two of them cannot disagree about policy.
//!
//! Who of the candidates does announce is the speakers' affair: see the election.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hasher;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher24;

use crate::name::{LinkName, NodeName};

/// The links of a node on which an address may be announced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Interfaces {
    /// Every link that can carry announcements.
    All,
    /// These links only.
    Named(BTreeSet<LinkName>),
}

impl Interfaces {
    /// Whether announcements may go out of `link`.
    #[must_use]
    pub fn contains(&self, link: &LinkName) -> bool {
        match self {
            Self::All => true,
            Self::Named(names) => names.contains(link),
        }
    }

    /// The links that either allows.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        match (self, other) {
            (Self::Named(mut mine), Self::Named(theirs)) => {
                mine.extend(theirs);
                Self::Named(mine)
            }
            _ => Self::All,
        }
    }
}

/// One node of an advertisement, as its status lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdvertisedNode {
    /// The node.
    pub node: NodeName,
    /// Where it may announce.
    pub interfaces: Interfaces,
    /// The summed weights of the preferences that match it; more is better.
    pub preference: u32,
}

/// A node that may announce an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The node.
    pub node: NodeName,
    /// Where it may announce.
    pub interfaces: Interfaces,
    /// The summed preference over the advertisements that name it.
    pub preference: u32,
}

/// The nodes that may announce `address`, best first.
///
/// They are the nodes of any of `advertisements` that are also in `only_nodes`, if given, and
/// `eligible`. A node that several advertisements name may use the links of all of them and has
/// the sum of their preferences. Higher preference comes first; equals are ordered by rendezvous
/// hash of node and address, so that addresses spread and a node that leaves moves only its own.
#[must_use]
pub fn candidates<'a>(
    address: IpAddr,
    advertisements: impl IntoIterator<Item = &'a [AdvertisedNode]>,
    only_nodes: Option<&BTreeSet<NodeName>>,
    eligible: impl Fn(&NodeName) -> bool,
) -> Vec<Candidate> {
    let mut by_node: BTreeMap<&NodeName, (Interfaces, u32)> = BTreeMap::new();
    for advertised in advertisements.into_iter().flatten() {
        let AdvertisedNode {
            node,
            interfaces,
            preference,
        } = advertised;
        if only_nodes.is_some_and(|only| !only.contains(node)) || !eligible(node) {
            continue;
        }
        by_node
            .entry(node)
            .and_modify(|(links, sum)| {
                *links = links.clone().union(interfaces.clone());
                *sum = sum.saturating_add(*preference);
            })
            .or_insert_with(|| (interfaces.clone(), *preference));
    }
    let mut candidates: Vec<Candidate> = by_node
        .into_iter()
        .map(|(node, (interfaces, preference))| Candidate {
            node: node.clone(),
            interfaces,
            preference,
        })
        .collect();
    candidates.sort_by_cached_key(|candidate| {
        let weight = rendezvous_weight(&candidate.node, address);
        // Stable for equal hashes, because the map handed the nodes out in order of their names.
        (
            std::cmp::Reverse(candidate.preference),
            std::cmp::Reverse(weight),
        )
    });
    candidates
}

/// A link of a node, as the status of its Speaker lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeLink {
    /// Its name.
    pub name: LinkName,
    /// Whether frames can leave and arrive.
    pub carrier: bool,
    /// The networks of its addresses.
    pub networks: Vec<IpNet>,
}

/// Those of `candidates` that have the network of `address` on a link with a carrier on which they
/// may announce; if none has, those that have such a link at all; if none has that either, all of
/// them. An order that `candidates` have stays.
///
/// Clients ask for an address on the link of its network. If no node is on one, the address is
/// routed, or the network is not configured anywhere, and any node may do that can send. Who has not
/// said yet which links it has waits for those that have.
#[must_use]
pub fn on_its_network<'a>(
    address: IpAddr,
    candidates: Vec<Candidate>,
    links: impl Fn(&NodeName) -> &'a [NodeLink],
) -> Vec<Candidate> {
    let has_link = |candidate: &Candidate, fits: &dyn Fn(&NodeLink) -> bool| {
        links(&candidate.node)
            .iter()
            .any(|link| link.carrier && candidate.interfaces.contains(&link.name) && fits(link))
    };
    let is_on_it = |link: &NodeLink| link.networks.iter().any(|net| net.contains(&address));
    for fits in [&is_on_it as &dyn Fn(&NodeLink) -> bool, &|_| true] {
        if candidates.iter().any(|candidate| has_link(candidate, fits)) {
            let mut candidates = candidates;
            candidates.retain(|candidate| has_link(candidate, fits));
            return candidates;
        }
    }
    candidates
}

/// The weight of `node` for `address`: the highest comes first.
///
/// SipHash-2-4 with a zero key over the node's name, one zero octet, and the octets of the address.
/// Part of the protocol between versions: another hash would move every address in an upgrade.
#[must_use]
pub fn rendezvous_weight(node: &NodeName, address: IpAddr) -> u64 {
    let mut hasher = SipHasher24::new();
    hasher.write(node.as_str().as_bytes());
    hasher.write_u8(0);
    match address {
        IpAddr::V4(address) => hasher.write(&address.octets()),
        IpAddr::V6(address) => hasher.write(&address.octets()),
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn everywhere(node: &str, preference: u32) -> AdvertisedNode {
        AdvertisedNode {
            node: node.into(),
            interfaces: Interfaces::All,
            preference,
        }
    }

    fn on(node: &str, links: &[&str]) -> AdvertisedNode {
        let names = links.iter().map(|&link| link.into()).collect();
        AdvertisedNode {
            node: node.into(),
            interfaces: Interfaces::Named(names),
            preference: 0,
        }
    }

    fn names(candidates: &[Candidate]) -> Vec<&str> {
        candidates
            .iter()
            .map(|candidate| candidate.node.as_str())
            .collect()
    }

    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 10));

    #[test]
    fn only_nodes_that_every_list_holds_are_candidates() {
        let nodes = [everywhere("a", 0), everywhere("b", 0), everywhere("c", 0)];
        let only = BTreeSet::from(["a".into(), "b".into(), "z".into()]);
        let found = candidates(ADDRESS, [&nodes[..]], Some(&only), |node| {
            node.as_str() != "a"
        });
        assert_eq!(names(&found), ["b"]);
    }

    #[test]
    fn preference_comes_before_the_hash() {
        for favourite in ["a", "b", "c"] {
            let nodes = ["a", "b", "c"].map(|node| everywhere(node, u32::from(node == favourite)));
            let found = candidates(ADDRESS, [&nodes[..]], None, |_| true);
            assert_eq!(found[0].node.as_str(), favourite);
        }
    }

    #[test]
    fn a_node_in_two_advertisements_may_use_the_links_of_both() {
        let (first, second) = ([on("a", &["eth0"])], [on("a", &["eth1"])]);
        let found = candidates(ADDRESS, [&first[..], &second[..]], None, |_| true);
        assert!(found[0].interfaces.contains(&"eth0".into()));
        assert!(found[0].interfaces.contains(&"eth1".into()));
        assert!(!found[0].interfaces.contains(&"eth2".into()));

        let all = [everywhere("a", 0)];
        let found = candidates(ADDRESS, [&first[..], &all[..]], None, |_| true);
        assert_eq!(found[0].interfaces, Interfaces::All);
    }

    #[test]
    fn preferences_of_two_advertisements_are_summed() {
        let first = [everywhere("a", 50), everywhere("b", 60)];
        let second = [everywhere("a", 20)];
        let found = candidates(ADDRESS, [&first[..], &second[..]], None, |_| true);
        assert_eq!(names(&found), ["a", "b"]);
        assert_eq!(found[0].preference, 70);
    }

    #[test]
    fn weakness_4_21_a_node_that_can_serve_the_address_goes_before_one_that_cannot() {
        let link = |name: &str, carrier, network: &str| NodeLink {
            name: name.into(),
            carrier,
            networks: vec![network.parse().expect("a network")],
        };
        let (lan, other) = ("192.0.2.0/24", "198.51.100.0/24");
        let eth0 = || Interfaces::Named(BTreeSet::from(["eth0".into()]));
        let rows: [(&str, Interfaces, [NodeLink; 2], &[&str]); 8] = [
            (
                "one is on it",
                Interfaces::All,
                [link("eth0", true, lan), link("eth0", true, other)],
                &["a"],
            ),
            (
                "both are on it",
                Interfaces::All,
                [link("eth0", true, lan), link("eth1", true, lan)],
                &["a", "b"],
            ),
            (
                "none is on it",
                Interfaces::All,
                [link("eth0", true, other), link("eth0", true, other)],
                &["a", "b"],
            ),
            (
                "one has no carrier",
                Interfaces::All,
                [link("eth0", false, lan), link("eth0", true, lan)],
                &["b"],
            ),
            (
                "one may not announce on the link that is on it",
                eth0(),
                [link("eth1", true, lan), link("eth0", true, lan)],
                &["b"],
            ),
            (
                "none is on it, and one lacks the link that is named",
                eth0(),
                [link("eth1", true, other), link("eth0", true, other)],
                &["b"],
            ),
            (
                "none is on it, and one has no carrier",
                Interfaces::All,
                [link("eth0", true, other), link("eth0", false, other)],
                &["a"],
            ),
            (
                "both lack the link that is named: their Speakers say so",
                eth0(),
                [link("eth1", true, lan), link("eth1", true, lan)],
                &["a", "b"],
            ),
        ];
        for (sentence, interfaces, [a, b], expected) in rows {
            let links: BTreeMap<NodeName, _> =
                BTreeMap::from([("a".into(), [a]), ("b".into(), [b])]);
            let both = ["a", "b"].map(|node| Candidate {
                node: node.into(),
                interfaces: interfaces.clone(),
                preference: 0,
            });
            let found = on_its_network(ADDRESS, both.to_vec(), |node| &links[node]);
            assert_eq!(names(&found), expected, "{sentence}");
        }
    }

    /// Golden values: a change of them moves every address during a rolling upgrade.
    #[test]
    fn the_weights_never_change() {
        let weight = |node: &str, address: &str| {
            rendezvous_weight(&node.into(), address.parse().expect("an address"))
        };
        assert_eq!(weight("node-a", "192.0.2.10"), GOLDEN[0]);
        assert_eq!(weight("node-b", "192.0.2.10"), GOLDEN[1]);
        assert_eq!(weight("node-a", "2001:db8::10"), GOLDEN[2]);
    }

    // Computed by another implementation of SipHash-2-4.
    const GOLDEN: [u64; 3] = [
        10_969_776_478_165_979_234,
        4_766_166_423_995_606_090,
        12_915_030_028_934_357_901,
    ];

    proptest! {
        #[test]
        fn a_node_that_leaves_moves_only_its_own_addresses(host in 0u8..=255, left in 0usize..5) {
            let address = IpAddr::from([192, 0, 2, host]);
            let nodes: Vec<_> = (0..5).map(|n| everywhere(&format!("node-{n}"), 0)).collect();
            let before = candidates(address, [&nodes[..]], None, |_| true);
            let gone = nodes[left].node.clone();
            let after = candidates(address, [&nodes[..]], None, |node| *node != gone);
            let expected: Vec<_> = before.into_iter().filter(|c| c.node != gone).collect();
            prop_assert_eq!(after, expected);
        }
    }

    #[test]
    fn addresses_spread_over_the_nodes() {
        let nodes: Vec<_> = (0..4)
            .map(|n| everywhere(&format!("node-{n}"), 0))
            .collect();
        let mut count = BTreeMap::new();
        for host in 0..1000u16 {
            let [high, low] = host.to_be_bytes();
            let address = IpAddr::from([10, 0, high, low]);
            let first = candidates(address, [&nodes[..]], None, |_| true).swap_remove(0);
            *count.entry(first.node).or_insert(0) += 1;
        }
        // 250 each on average; three standard deviations are 41.
        assert!(count.values().all(|n| (209..=291).contains(n)), "{count:?}");
    }
}
