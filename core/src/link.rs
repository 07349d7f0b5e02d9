//! The network links of a node, as far as announcing is concerned with them.
//!
//! Which of the kernel's links are in [`Links`] at all is decided where the kernel is asked. Which
//! of them an address is announced on is decided here, by [`Links::announcing`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::mac::MacAddr;
use crate::name::LinkName;
use crate::placement::Interfaces;

/// The number by which the kernel of one node knows a link, from 1 on. A link that is renamed keeps
/// it; one that is deleted and made anew gets another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LinkIndex(pub u32);

impl fmt::Display for LinkIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A link that can carry announcements.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Its name.
    pub name: LinkName,
    /// The MAC address that it sends from, and that is announced on it.
    pub mac: MacAddr,
    /// Whether frames can leave and arrive.
    pub carrier: bool,
    /// Its addresses, without link-local ones: the node's own.
    pub addresses: BTreeSet<IpAddr>,
    /// The networks of its addresses, without those of link-local addresses.
    pub networks: BTreeSet<IpNet>,
    /// The link-local address that NDP is sent from. Without one that the kernel has found to be
    /// free of duplicates, no IPv6 address is announced on the link (N10).
    pub link_local: Option<Ipv6Addr>,
    /// Whether the node forwards IPv6 that arrives here, and so has to call itself a router in its
    /// advertisements (RFC 4861 section 7.2.4).
    pub router: bool,
    /// The next hops of the node's default routes through this link. Routers keep a neighbour for
    /// hours, so they are told of a move one by one (G3, N6).
    pub gateways: BTreeSet<IpAddr>,
    /// Of a bridge, the ports that have a carrier; of a bond, those that it sends through. A change
    /// of them moves the node to other ports of the switches behind it (G4).
    pub ports: BTreeSet<LinkIndex>,
}

/// The links of a node that can carry announcements.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Links(BTreeMap<LinkIndex, Link>);

impl Links {
    /// The link with that index.
    #[must_use]
    pub fn get(&self, index: LinkIndex) -> Option<&Link> {
        self.0.get(&index)
    }

    /// All links, by index.
    pub fn iter(&self) -> impl Iterator<Item = (LinkIndex, &Link)> {
        self.0.iter().map(|(&index, link)| (index, link))
    }

    /// Whether one of the links sends from `mac`.
    #[must_use]
    pub fn send_from(&self, mac: MacAddr) -> bool {
        self.0.values().any(|link| link.mac == mac)
    }

    /// The links to announce `address` on, as far as `interfaces` allow.
    ///
    /// Links that are named one by one are all used. Of all links, those are used that have the
    /// network of the address; if none has it, those that have any network of its family; if none
    /// has that either, all. And of several that have the same network only one is: they are in one
    /// broadcast domain, where two answers to one request would come from two MAC addresses (A7).
    /// A link with a carrier goes before one without, then the lower index.
    #[must_use]
    pub fn announcing(&self, address: IpAddr, interfaces: &Interfaces) -> BTreeSet<LinkIndex> {
        if let Interfaces::Named(_) = interfaces {
            let named = self
                .iter()
                .filter(|(_, link)| interfaces.contains(&link.name));
            return named.map(|(index, _)| index).collect();
        }
        let holds = |network: &IpNet| network.contains(&address);
        let same_family = |network: &IpNet| network.addr().is_ipv4() == address.is_ipv4();
        let with_its_network = self.one_per_network(holds);
        if !with_its_network.is_empty() {
            return with_its_network;
        }
        let with_a_network = self.one_per_network(same_family);
        if !with_a_network.is_empty() {
            return with_a_network;
        }
        self.0.keys().copied().collect()
    }

    /// The links that have a network that `matters`, without those all of whose such networks
    /// another has already.
    fn one_per_network(&self, matters: impl Fn(&IpNet) -> bool) -> BTreeSet<LinkIndex> {
        let mut by_preference: Vec<_> = self.iter().collect();
        by_preference.sort_by_key(|(index, link)| (!link.carrier, *index));
        let mut taken: BTreeSet<&IpNet> = BTreeSet::new();
        let mut chosen = BTreeSet::new();
        for (index, link) in by_preference {
            let mut mine = link
                .networks
                .iter()
                .filter(|network| matters(network))
                .peekable();
            if mine.peek().is_some() && mine.clone().all(|network| !taken.contains(network)) {
                taken.extend(mine);
                chosen.insert(index);
            }
        }
        chosen
    }
}

impl FromIterator<(LinkIndex, Link)> for Links {
    fn from_iter<T: IntoIterator<Item = (LinkIndex, Link)>>(links: T) -> Self {
        Self(links.into_iter().collect())
    }
}

#[cfg(test)]
mod tests;
