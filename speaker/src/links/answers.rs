//! For which addresses the kernel answers ARP by itself, though the speaker is to.
//!
//! Linux answers for each IPv4 address of the node on each of its links, whichever link has the
//! address, unless the sysctl `arp_ignore` says otherwise. kube-proxy in IPVS mode puts the
//! addresses of all Services on `kube-ipvs0` of every node; so every node would answer. For IPv6
//! this cannot be: Linux answers only for addresses of the link that is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use bellwether_core::link::{LinkIndex, Links};
use bellwether_core::name::LinkName;

use super::table::{Change, Dump, KernelAddress};

/// The IPv4 addresses of all links, those that carry no announcements among them.
#[derive(Debug, Default)]
pub(super) struct Holders(BTreeMap<LinkIndex, BTreeSet<Ipv4Addr>>);

impl Holders {
    /// Forgets what it knows and takes in `dump`.
    pub(super) fn replace(&mut self, dump: &Dump) {
        self.0.clear();
        for address in &dump.addresses {
            self.add(address);
        }
    }

    /// Takes in a change. Returns whether an address has come or gone.
    pub(super) fn apply(&mut self, change: &Change) -> bool {
        match change {
            Change::Link(_) => false,
            Change::LinkGone(index) => self.0.remove(index).is_some(),
            Change::Address(address) => self.add(address),
            Change::AddressGone(address) => {
                let IpAddr::V4(gone) = address.address.addr() else {
                    return false;
                };
                let of_link = self.0.get_mut(&address.link);
                of_link.is_some_and(|of_link| of_link.remove(&gone))
            }
        }
    }

    fn add(&mut self, address: &KernelAddress) -> bool {
        let IpAddr::V4(new) = address.address.addr() else {
            return false;
        };
        self.0.entry(address.link).or_default().insert(new)
    }
}

/// What the kernel answers ARP for, on links that can carry announcements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelAnswers {
    /// The links on which it answers for addresses of other links.
    pub on: BTreeSet<LinkName>,
    /// The addresses of links that carry no announcements, each with its link. Empty if [`Self::on`]
    /// is.
    pub held: BTreeMap<Ipv4Addr, LinkName>,
}

impl KernelAnswers {
    /// What follows from the addresses that links hold, which of them are `announcing`, their names,
    /// and the sysctl `arp_ignore` of a link, or of `all`: the larger of the two counts. One that
    /// cannot be read belongs to a link that is gone.
    pub(super) fn new(
        holders: &Holders,
        announcing: &Links,
        name: impl Fn(LinkIndex) -> Option<LinkName>,
        arp_ignore: impl Fn(&str) -> Option<u32>,
    ) -> Self {
        if arp_ignore("all") != Some(0) {
            return Self::default();
        }
        let on: BTreeSet<LinkName> = announcing
            .iter()
            .filter(|(_, link)| arp_ignore(link.name.as_str()) == Some(0))
            .map(|(_, link)| link.name.clone())
            .collect();
        if on.is_empty() {
            return Self::default();
        }
        let others = holders
            .0
            .iter()
            .filter(|(index, _)| announcing.get(**index).is_none());
        let held = others
            .filter_map(|(index, addresses)| Some((name(*index)?, addresses)))
            .flat_map(|(name, addresses)| {
                addresses
                    .iter()
                    .map(move |address| (*address, name.clone()))
            })
            .collect();
        Self { on, held }
    }

    /// The link that holds `address`, if the kernel answers for it.
    #[must_use]
    pub fn holder(&self, address: IpAddr) -> Option<&LinkName> {
        match address {
            IpAddr::V4(address) => self.held.get(&address),
            IpAddr::V6(_) => None,
        }
    }
}

/// The sysctl `arp_ignore` of `link` in this network namespace.
pub(super) fn arp_ignore(link: &str) -> Option<u32> {
    let path = format!("/proc/sys/net/ipv4/conf/{link}/arp_ignore");
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use bellwether_core::link::Link;
    use bellwether_core::mac::MacAddr;

    use super::*;

    const ETH0: LinkIndex = LinkIndex(2);
    const IPVS: LinkIndex = LinkIndex(3);

    fn address(link: LinkIndex, text: &str) -> KernelAddress {
        KernelAddress {
            link,
            address: text.parse().expect("an address"),
            usable: true,
        }
    }

    fn holders() -> Holders {
        let mut holders = Holders::default();
        holders.replace(&Dump {
            addresses: vec![
                address(ETH0, "192.0.2.5/24"),
                address(IPVS, "192.0.2.10/32"),
                address(IPVS, "2001:db8::10/128"),
            ],
            ..Dump::default()
        });
        holders
    }

    fn answers(holders: &Holders, all: Option<u32>, eth0: Option<u32>) -> KernelAnswers {
        let link = Link {
            name: "eth0".into(),
            mac: MacAddr([2, 0, 0, 0, 0, 1]),
            carrier: true,
            addresses: BTreeSet::new(),
            networks: BTreeSet::new(),
            link_local: None,
            router: false,
            gateways: BTreeSet::new(),
            ports: BTreeSet::new(),
        };
        let links = Links::from_iter([(ETH0, link)]);
        let name = |index| (index == IPVS).then(|| "kube-ipvs0".into());
        KernelAnswers::new(holders, &links, name, |link| match link {
            "all" => all,
            _ => eth0,
        })
    }

    #[test]
    fn the_kernel_answers_unless_one_of_the_sysctls_is_set() {
        for (all, eth0, answered) in [
            (Some(0), Some(0), true),
            (Some(1), Some(0), false),
            (Some(0), Some(1), false),
            (Some(2), Some(8), false),
            (Some(0), None, false),
            (None, Some(0), false),
        ] {
            let answers = answers(&holders(), all, eth0);
            let held: Vec<String> = answers.held.keys().map(ToString::to_string).collect();
            let expected: &[&str] = if answered { &["192.0.2.10"] } else { &[] };
            assert_eq!(held, expected, "all {all:?}, eth0 {eth0:?}");
            assert_eq!(answers.on.len(), expected.len(), "{all:?}, {eth0:?}");
        }
    }

    #[test]
    fn addresses_come_and_go_with_their_links() {
        let mut holders = holders();
        let held = |holders: &Holders| answers(holders, Some(0), Some(0)).held.len();
        let new = address(IPVS, "192.0.2.11/32");
        assert!(holders.apply(&Change::Address(new)));
        assert!(!holders.apply(&Change::Address(new)), "it was there");
        assert_eq!(held(&holders), 2);
        assert!(holders.apply(&Change::AddressGone(new)));
        assert!(!holders.apply(&Change::AddressGone(new)), "it was gone");
        assert_eq!(held(&holders), 1);
        let ipv6 = address(IPVS, "2001:db8::11/128");
        assert!(!holders.apply(&Change::Address(ipv6)));
        assert!(holders.apply(&Change::LinkGone(IPVS)));
        assert_eq!(held(&holders), 0);
    }
}
