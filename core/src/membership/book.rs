//! What a peer claims, as far as it is known here.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::election::Term;
use crate::frame::beacon::{Digest, Entry, Part, Session, Standing};
use crate::moment::Moment;

/// The most claims of one peer that are kept: more than any node announces.
const MOST: usize = 65_536;

/// A copy of a peer's book of claims.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Book {
    claims: BTreeMap<IpAddr, Claim>,
    digest: Digest,
    sequence: u64,
    synced: bool,
}

/// A claim, and when it was heard of first.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Claim {
    entry: Entry,
    since: Moment,
}

/// What a beacon said that has to be acted upon.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Changes {
    /// Addresses whose claims have changed.
    pub(crate) addresses: Vec<IpAddr>,
    /// Whether any of them is claimed with another term than before, or was not claimed.
    pub(crate) claimed: bool,
    /// Addresses that the sender has given up, and the terms of the claims that it had.
    pub(crate) released: Vec<(IpAddr, Term)>,
    /// Claims of third parties that the sender hears.
    pub(crate) relayed: Vec<Relayed>,
}

/// A claim of somebody else that a peer passes on.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Relayed {
    pub(crate) address: IpAddr,
    pub(crate) term: Term,
    pub(crate) holder: Session,
    pub(crate) weight: u64,
}

impl Changes {
    pub(crate) fn clear(&mut self) {
        self.addresses.clear();
        self.claimed = false;
        self.released.clear();
        self.relayed.clear();
    }
}

impl Book {
    /// The claim of that address.
    pub(crate) fn get(&self, address: IpAddr) -> Option<&Entry> {
        self.claims.get(&address).map(|claim| &claim.entry)
    }

    /// When the claim of that address was heard of first: that with its term.
    pub(crate) fn claimed_at(&self, address: IpAddr) -> Option<Moment> {
        self.claims.get(&address).map(|claim| claim.since)
    }

    /// That claim is none any more. The term that it had.
    pub(super) fn forget(&mut self, address: IpAddr) -> Option<Term> {
        let known = self.claims.remove(&address)?;
        self.digest.remove(&known.entry);
        Some(known.entry.term)
    }

    /// All claims.
    pub(crate) fn claims(&self) -> impl Iterator<Item = (IpAddr, Term)> {
        self.claims
            .values()
            .map(|claim| (claim.entry.address, claim.entry.term))
    }

    /// The addresses of all claims.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.claims.keys().copied()
    }

    /// How many addresses are claimed.
    pub(crate) fn len(&self) -> usize {
        self.claims.len()
    }

    /// Whether this is all that the peer claims.
    pub(crate) const fn is_synced(&self) -> bool {
        self.synced
    }

    /// Takes in what the beacon of that number says, which came in at `at`. What comes later than what
    /// was said after it is old news: channels may overtake one another.
    pub(crate) fn apply(&mut self, part: &Part, sequence: u64, at: Moment, changes: &mut Changes) {
        if sequence < self.sequence {
            return;
        }
        self.sequence = sequence;
        if let Some((from, to)) = part.range
            && from <= to
        {
            let listed = |address: &IpAddr| {
                part.entries
                    .iter()
                    .any(|entry| entry.is_claim() && entry.address == *address)
            };
            let gone: Vec<_> = self
                .claims
                .range(from..=to)
                .map(|(address, _)| *address)
                .filter(|address| !listed(address))
                .collect();
            for address in gone {
                self.remove(address, changes);
            }
        }
        for entry in &part.entries {
            match entry.standing {
                Standing::Own | Standing::Offer { .. } => self.insert(*entry, at, changes),
                Standing::Released => {
                    let known = self.claims.get(&entry.address);
                    if known.is_some_and(|known| known.entry.term <= entry.term) {
                        self.remove(entry.address, changes);
                    }
                    changes.released.push((entry.address, entry.term));
                }
                Standing::Relayed { holder, weight } => changes.relayed.push(Relayed {
                    address: entry.address,
                    term: entry.term,
                    holder,
                    weight,
                }),
            }
        }
        self.synced = self.digest == part.digest;
    }

    fn insert(&mut self, entry: Entry, at: Moment, changes: &mut Changes) {
        let known = self.claims.get(&entry.address).copied();
        if known.is_some_and(|known| known.entry == entry)
            || (known.is_none() && self.claims.len() >= MOST)
        {
            return;
        }
        let same_term = known.filter(|known| known.entry.term == entry.term);
        let since = same_term.map_or(at, |known| known.since);
        changes.claimed |= same_term.is_none();
        self.claims.insert(entry.address, Claim { entry, since });
        if let Some(known) = known {
            self.digest.remove(&known.entry);
        }
        self.digest.add(&entry);
        changes.addresses.push(entry.address);
    }

    fn remove(&mut self, address: IpAddr, changes: &mut Changes) {
        if let Some(known) = self.claims.remove(&address) {
            self.digest.remove(&known.entry);
            changes.addresses.push(address);
            changes.released.push((address, known.entry.term));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(host: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, host])
    }

    fn own(host: u8, term: u64) -> Entry {
        Entry {
            address: address(host),
            term: Term(term),
            standing: Standing::Own,
        }
    }

    fn digest(entries: &[Entry]) -> Digest {
        let mut digest = Digest::default();
        for entry in entries {
            digest.add(entry);
        }
        digest
    }

    fn whole(entries: &[Entry]) -> Part {
        Part {
            digest: digest(entries),
            range: Some(Part::EVERYTHING),
            entries: entries.to_vec(),
        }
    }

    #[test]
    fn a_range_says_also_what_is_not_claimed_in_it() {
        let (mut book, mut changes) = (Book::default(), Changes::default());
        book.apply(
            &whole(&[own(1, 1), own(2, 1), own(3, 1)]),
            1,
            Moment::ORIGIN,
            &mut changes,
        );
        assert!(book.is_synced());
        changes.clear();
        let part = Part {
            digest: digest(&[own(1, 1), own(3, 1)]),
            range: Some((address(2), address(9))),
            entries: vec![own(3, 1)],
        };
        book.apply(&part, 2, Moment::ORIGIN, &mut changes);
        assert_eq!(changes.released, [(address(2), Term(1))]);
        assert!(book.is_synced() && book.get(address(1)).is_some());
    }

    #[test]
    fn a_missed_change_is_noticed_by_the_digest() {
        let (mut book, mut changes) = (Book::default(), Changes::default());
        let part = Part {
            digest: digest(&[own(1, 1), own(2, 1)]),
            range: None,
            entries: vec![own(2, 1)],
        };
        book.apply(&part, 1, Moment::ORIGIN, &mut changes);
        assert!(!book.is_synced());
        book.apply(
            &whole(&[own(1, 1), own(2, 1)]),
            2,
            Moment::ORIGIN,
            &mut changes,
        );
        assert!(book.is_synced());
    }

    #[test]
    fn what_another_channel_delivers_late_is_old_news() {
        let (mut book, mut changes) = (Book::default(), Changes::default());
        book.apply(&whole(&[]), 7, Moment::ORIGIN, &mut changes);
        book.apply(&whole(&[own(1, 1)]), 6, Moment::ORIGIN, &mut changes);
        assert_eq!(book.len(), 0);
    }

    #[test]
    fn a_release_of_an_earlier_claim_does_not_end_a_later_one() {
        let (mut book, mut changes) = (Book::default(), Changes::default());
        book.apply(&whole(&[own(1, 5)]), 1, Moment::ORIGIN, &mut changes);
        let released = Entry {
            standing: Standing::Released,
            ..own(1, 4)
        };
        let part = Part {
            digest: digest(&[own(1, 5)]),
            range: None,
            entries: vec![released],
        };
        book.apply(&part, 2, Moment::ORIGIN, &mut changes);
        assert!(book.get(address(1)).is_some() && book.is_synced());
    }
}
