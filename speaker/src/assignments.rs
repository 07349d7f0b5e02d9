//! Which addresses the node may have to announce: what the L2 thread reads of the API.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use bellwether_core::election::Assignment;
use bellwether_core::name::NodeName;
use ipnet::{Ipv4Net, Ipv6Net};

use crate::filter::{cover_ipv4, cover_ipv6};

/// All addresses, at one moment. Never changed once it is made: the next one takes its place.
#[derive(Debug, Default)]
pub struct Assignments {
    by_address: BTreeMap<IpAddr, Arc<Assignment>>,
    ipv4: Vec<Ipv4Net>,
    ipv6: Vec<Ipv6Net>,
}

impl Assignments {
    /// Those of `by_address`, as `node` sees them. An assignment that did not change is best shared
    /// with the one before, which makes it cheap to find the others.
    #[must_use]
    pub fn new(node: &NodeName, by_address: BTreeMap<IpAddr, Arc<Assignment>>) -> Self {
        let (mut ipv4, mut ipv6) = (BTreeSet::new(), BTreeSet::new());
        let own = by_address
            .iter()
            .filter(|(_, assignment)| assignment.candidate(node).is_some());
        for (address, _) in own {
            match address {
                IpAddr::V4(address) => ipv4.insert(*address),
                IpAddr::V6(address) => ipv6.insert(*address),
            };
        }
        Self {
            by_address,
            ipv4: cover_ipv4(&ipv4),
            ipv6: cover_ipv6(&ipv6),
        }
    }

    /// A few networks that hold all IPv4 addresses that the node may announce.
    #[must_use]
    pub fn ipv4_networks(&self) -> &[Ipv4Net] {
        &self.ipv4
    }

    /// A few networks that hold all IPv6 addresses that the node may announce.
    #[must_use]
    pub fn ipv6_networks(&self) -> &[Ipv6Net] {
        &self.ipv6
    }

    /// Who may announce that address.
    #[must_use]
    pub fn get(&self, address: IpAddr) -> Option<&Assignment> {
        self.by_address.get(&address).map(Arc::as_ref)
    }

    /// The addresses that are new or assigned otherwise than in `old`.
    pub fn changed<'a>(
        &'a self,
        old: &'a Self,
    ) -> impl Iterator<Item = (IpAddr, &'a Arc<Assignment>)> {
        self.by_address
            .iter()
            .filter(|&(address, new)| {
                old.by_address
                    .get(address)
                    .is_none_or(|old| !Arc::ptr_eq(old, new) && old != new)
            })
            .map(|(&address, new)| (address, new))
    }

    /// The addresses that are in `old` and not here.
    pub fn gone<'a>(&'a self, old: &'a Self) -> impl Iterator<Item = IpAddr> {
        old.by_address
            .keys()
            .copied()
            .filter(|address| !self.by_address.contains_key(address))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use bellwether_core::election::{Recorded, Term};
    use bellwether_core::placement::{Candidate, Interfaces};

    use super::*;

    fn assignment(term: Option<u64>) -> Arc<Assignment> {
        Arc::new(Assignment {
            candidates: Vec::new(),
            move_to: None,
            recorded: term.map(|term| Recorded {
                node: Some("a".into()),
                term: Term(term),
                stands: true,
            }),
        })
    }

    #[test]
    fn what_changed_and_what_is_gone() {
        let addresses = [1, 2, 3, 4, 5].map(|host| IpAddr::from([192, 0, 2, host]));
        let [same, equal, other, lost, new] = addresses;
        let shared = assignment(None);
        let old = Assignments::new(
            &"a".into(),
            BTreeMap::from([
                (same, Arc::clone(&shared)),
                (equal, assignment(None)),
                (other, assignment(None)),
                (lost, assignment(None)),
            ]),
        );
        let now = Assignments::new(
            &"a".into(),
            BTreeMap::from([
                (same, shared),
                (equal, assignment(None)),
                (other, assignment(Some(2))),
                (new, assignment(None)),
            ]),
        );
        let changed: Vec<_> = now.changed(&old).map(|(address, _)| address).collect();
        assert_eq!(changed, [other, new]);
        assert_eq!(now.gone(&old).collect::<Vec<_>>(), [lost]);
    }

    #[test]
    fn networks_hold_what_the_node_may_announce_and_no_more() {
        let of = |node: &str| {
            Arc::new(Assignment {
                candidates: vec![Candidate {
                    node: node.into(),
                    interfaces: Interfaces::All,
                    preference: 0,
                }],
                recorded: None,
                move_to: None,
            })
        };
        let all = BTreeMap::from([
            ([192, 0, 2, 1].into(), of("a")),
            ([192, 0, 2, 2].into(), of("b")),
            (IpAddr::V6(Ipv6Addr::LOCALHOST), of("a")),
        ]);
        let assignments = Assignments::new(&"a".into(), all);
        assert_eq!(
            assignments.ipv4_networks(),
            ["192.0.2.1/32".parse().expect("a network")]
        );
        assert_eq!(
            assignments.ipv6_networks(),
            ["::1/128".parse().expect("a network")]
        );
    }
}
