//! In whose books an address is, and what of them is forgotten.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::Membership;
use super::peer::Peer;
use crate::election::Term;
use crate::frame::beacon::Session;
use crate::moment::Moment;
use crate::name::NodeName;

/// Who has been silent for so long, and is none of the speakers that the API knows, is forgotten.
const GONE: Duration = Duration::from_mins(10);

/// Of so many starts of those that are forgotten recordings can be told.
const MOST_FORGOTTEN: usize = 1024;

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
        let gone = |node: &NodeName, peer: &mut Peer| {
            !known.contains_key(node) && now.since(peer.heard) >= GONE
        };
        let gone = self.peers.extract_if(.., gone);
        self.forgotten
            .extend(gone.flat_map(|(_, peer)| peer.starts().collect::<Vec<_>>()));
        let surplus = self.forgotten.len().saturating_sub(MOST_FORGOTTEN);
        self.forgotten.drain(..surplus);
        self.claimants.retain(|_, names| {
            names.retain(|node| self.peers.contains_key(node));
            !names.is_empty()
        });
    }

    /// The number above which beacons of that start are no recordings.
    pub(super) fn floor_of(&self, session: Session) -> u64 {
        let forgotten = self.forgotten.iter();
        let found = forgotten.filter(|(start, _)| *start == session);
        found.map(|&(_, floor)| floor).max().unwrap_or_default()
    }

    /// An address is given away that was not: what those who are not heard any more have claimed of it
    /// was before, but for whom the API names as its owner. Says the highest term among that.
    pub(crate) fn forget_claims(
        &mut self,
        address: IpAddr,
        owner: Option<&NodeName>,
        now: Moment,
    ) -> Option<Term> {
        let mut highest = None;
        let names = self.claimants.remove(&address).unwrap_or_default();
        for node in names {
            let Some(peer) = self.peers.get_mut(&node) else {
                continue;
            };
            if peer.is_heard(now) || owner == Some(&node) {
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
