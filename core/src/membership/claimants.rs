//! In whose books an address is, and what of them is forgotten.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::Membership;
use super::peer::Peer;
use crate::election::Term;
use crate::moment::Moment;
use crate::name::NodeName;

/// Who has been silent for so long, and is none of the speakers that the API knows, is forgotten.
const GONE: Duration = Duration::from_mins(10);

impl Membership {
    /// Those in whose books `address` is, by name.
    pub(crate) fn claimants(&self, address: IpAddr) -> impl Iterator<Item = (&NodeName, &Peer)> {
        let names = self.claimants.get(&address).into_iter().flatten();
        names.filter_map(|node| self.peers.get_key_value(node))
    }

    /// Who has been silent for long, and is not among `known`, will not return: a node that was
    /// replaced. Nothing is known without any.
    pub(crate) fn forget_gone<T>(&mut self, known: &BTreeMap<NodeName, T>, now: Moment) {
        if known.is_empty() {
            return;
        }
        self.peers.retain(|node, peer| {
            let mut paths = peer.paths.iter();
            known.contains_key(node) || paths.any(|path| now.since(path.last) < GONE)
        });
        self.claimants.retain(|_, names| {
            names.retain(|node| self.peers.contains_key(node));
            !names.is_empty()
        });
    }

    /// An address is given away that was not: what those who are not heard any more have claimed of it
    /// was before. Says the highest term among that.
    pub(crate) fn forget_claims(&mut self, address: IpAddr, now: Moment) -> Option<Term> {
        let mut highest = None;
        let names = self.claimants.remove(&address).unwrap_or_default();
        for node in names {
            let Some(peer) = self.peers.get_mut(&node) else {
                continue;
            };
            if peer.is_heard(now) {
                self.claimants.entry(address).or_default().push(node);
            } else {
                highest = highest.max(peer.book.forget(address));
            }
        }
        highest
    }

    /// The claims of `node` of these addresses have changed.
    pub(super) fn note_claimant(&mut self, node: &NodeName, addresses: &[IpAddr]) {
        let Some(peer) = self.peers.get(node) else {
            return;
        };
        for &address in addresses {
            let claims = peer.book.get(address).is_some();
            let names = self.claimants.entry(address).or_default();
            match names.binary_search(node) {
                Ok(at) if !claims => {
                    names.remove(at);
                }
                Err(at) if claims => names.insert(at, node.clone()),
                _ => {}
            }
            if names.is_empty() {
                self.claimants.remove(&address);
            }
        }
    }
}
