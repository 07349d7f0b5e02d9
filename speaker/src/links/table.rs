//! What the kernel has told of links and addresses, and which of the links can carry announcements.
//!
//! Can: Ethernet links that are up and can broadcast, that are no ports of a bridge or bond (the
//! bridge or bond itself announces), and whose names are not excluded.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use bellwether_core::link::{Link, LinkIndex, Links};
use bellwether_core::mac::MacAddr;
use bellwether_core::name::LinkName;
use ipnet::IpNet;
use regex::RegexSet;

/// A link as the kernel describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and all combinations occur"
)]
pub struct KernelLink {
    /// Its number.
    pub index: LinkIndex,
    /// Its name.
    pub name: LinkName,
    /// Its MAC address, if it is an Ethernet link.
    pub mac: Option<MacAddr>,
    /// Whether an administrator has turned it on.
    pub up: bool,
    /// Whether it is on, and has something at its other end that listens.
    pub carrier: bool,
    /// Whether all stations on it can be reached at once, and ARP makes sense there: not so on
    /// loopback and point-to-point links.
    pub can_broadcast: bool,
    /// The bridge or bond that it is a port of. Belonging to a VRF does not count: the link goes on
    /// being one by itself.
    pub port_of: Option<LinkIndex>,
    /// Of a port of a bridge: whether it leads to a virtual machine on this node, and to no switch.
    pub leads_to_guest: bool,
    /// Of a bond that sends through one port at a time: that port.
    pub active_port: Option<LinkIndex>,
    /// Whether IPv6 is forwarded from it. Not every event says so.
    pub router: Option<bool>,
}

/// An address of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelAddress {
    /// The link.
    pub link: LinkIndex,
    /// The address, with the length of its network's prefix.
    pub address: IpNet,
    /// Whether the kernel uses it: not before it has found no duplicate (RFC 4862 section 5.4).
    pub usable: bool,
}

impl KernelAddress {
    fn is_link_local(&self) -> bool {
        match self.address.addr() {
            IpAddr::V4(address) => address.is_link_local(),
            IpAddr::V6(address) => address.is_unicast_link_local(),
        }
    }
}

/// A change that the kernel tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A link is new, or is like this now.
    Link(KernelLink),
    /// A link is gone.
    LinkGone(LinkIndex),
    /// An address is new, or is like this now.
    Address(KernelAddress),
    /// An address is gone.
    AddressGone(KernelAddress),
}

/// All that the kernel has to tell.
#[derive(Clone, Debug, Default)]
pub struct Dump {
    /// All links.
    pub links: Vec<KernelLink>,
    /// All addresses.
    pub addresses: Vec<KernelAddress>,
    /// The next hops of default routes, each with the link that leads to it.
    pub gateways: Vec<(LinkIndex, IpAddr)>,
}

/// What is known.
#[derive(Debug)]
pub struct LinkTable {
    excluded: RegexSet,
    links: BTreeMap<LinkIndex, KernelLink>,
    addresses: BTreeMap<LinkIndex, BTreeMap<IpAddr, KernelAddress>>,
    gateways: BTreeMap<LinkIndex, BTreeSet<IpAddr>>,
}

impl LinkTable {
    /// An empty table. Links whose names match one of `excluded` never carry announcements.
    #[must_use]
    pub fn new(excluded: RegexSet) -> Self {
        Self {
            excluded,
            links: BTreeMap::new(),
            addresses: BTreeMap::new(),
            gateways: BTreeMap::new(),
        }
    }

    /// Forgets what it knows and takes in `dump`.
    pub fn replace(&mut self, dump: Dump) {
        let routers: BTreeMap<_, _> = std::mem::take(&mut self.links)
            .into_iter()
            .map(|(index, link)| (index, link.router))
            .collect();
        self.addresses.clear();
        self.gateways.clear();
        for mut link in dump.links {
            let known = routers.get(&link.index).copied().flatten();
            link.router = link.router.or(known);
            self.links.insert(link.index, link);
        }
        for address in dump.addresses {
            self.apply(Change::Address(address));
        }
        for (link, gateway) in dump.gateways {
            self.gateways.entry(link).or_default().insert(gateway);
        }
    }

    /// Takes in a change. Returns whether it can matter to [`Self::links`].
    ///
    /// Of excluded links no addresses are kept: kube-proxy in IPVS mode puts thousands on one.
    pub fn apply(&mut self, change: Change) -> bool {
        match change {
            Change::Link(mut link) => {
                let old = self.links.get(&link.index);
                link.router = link.router.or_else(|| old?.router);
                if old == Some(&link) {
                    return false;
                }
                self.links.insert(link.index, link);
                true
            }
            Change::LinkGone(index) => {
                self.addresses.remove(&index);
                self.gateways.remove(&index);
                self.links.remove(&index).is_some()
            }
            Change::Address(address) => {
                if self.is_excluded(address.link) {
                    return false;
                }
                let of_link = self.addresses.entry(address.link).or_default();
                of_link.insert(address.address.addr(), address) != Some(address)
            }
            Change::AddressGone(address) => self
                .addresses
                .get_mut(&address.link)
                .is_some_and(|of_link| of_link.remove(&address.address.addr()).is_some()),
        }
    }

    /// Whether the link is one of which no addresses are kept. If it is renamed to one that is not,
    /// they have to be read again.
    #[must_use]
    pub fn is_excluded(&self, index: LinkIndex) -> bool {
        self.links
            .get(&index)
            .is_some_and(|link| self.excluded.is_match(link.name.as_str()))
    }

    /// The name of a link.
    #[must_use]
    pub fn name(&self, index: LinkIndex) -> Option<LinkName> {
        self.links.get(&index).map(|link| link.name.clone())
    }

    /// The links that can carry announcements.
    #[must_use]
    pub fn links(&self) -> Links {
        self.links
            .values()
            .filter_map(|link| Some((link.index, self.link(link)?)))
            .collect()
    }

    fn link(&self, link: &KernelLink) -> Option<Link> {
        let mac = link.mac.filter(|mac| mac.is_unicast())?;
        if !link.up
            || !link.can_broadcast
            || link.port_of.is_some()
            || self.excluded.is_match(link.name.as_str())
        {
            return None;
        }
        let addresses = || {
            self.addresses
                .get(&link.index)
                .into_iter()
                .flat_map(BTreeMap::values)
        };
        let global = || addresses().filter(|address| !address.is_link_local());
        let link_local = addresses()
            .filter(|address| address.usable && address.is_link_local())
            .find_map(|address| match address.address.addr() {
                IpAddr::V6(address) => Some(address),
                IpAddr::V4(_) => None,
            });
        Some(Link {
            name: link.name.clone(),
            mac,
            carrier: link.carrier,
            addresses: global().map(|address| address.address.addr()).collect(),
            networks: global().map(|address| address.address.trunc()).collect(),
            link_local,
            router: link.router.unwrap_or(false),
            gateways: self.gateways.get(&link.index).cloned().unwrap_or_default(),
            ports: self.ports(link),
        })
    }

    /// The ports of `link` through which its frames leave.
    fn ports(&self, link: &KernelLink) -> BTreeSet<LinkIndex> {
        self.links
            .values()
            .filter(|port| port.port_of == Some(link.index))
            .filter(|port| port.carrier && !port.leads_to_guest)
            .map(|port| port.index)
            .filter(|index| link.active_port.is_none_or(|active| active == *index))
            .collect()
    }
}

#[cfg(test)]
mod tests;
