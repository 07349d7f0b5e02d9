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
mod tests;
