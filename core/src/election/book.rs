//! What this node claims, as its beacons say it.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::frame::beacon::wire::entry_length;
use crate::frame::beacon::{Digest, Entry, Part};
use crate::moment::Moment;

/// A change is said at once and twice more (see `beat`), whatever its size.
const REPEATS: u8 = 3;

/// This node's book of claims, and what has changed in it lately.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Book {
    claims: BTreeMap<IpAddr, Entry>,
    digest: Digest,
    /// Statements that are repeated, the latest first.
    recent: VecDeque<Recent>,
    /// Where the next part begins, while somebody needs the whole book.
    cursor: Option<IpAddr>,
}

/// A statement that is repeated.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Recent {
    entry: Entry,
    /// Until then, as far as there is room.
    until: Moment,
    /// So often there has to be room.
    owed: u8,
}

impl Book {
    pub(super) fn is_empty(&self) -> bool {
        self.claims.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.claims.len()
    }

    /// Says something about an address, and goes on saying it until that time.
    pub(super) fn say(&mut self, entry: Entry, until: Moment) {
        if !is_about_others(&entry) {
            if let Some(known) = self.claims.remove(&entry.address) {
                self.digest.remove(&known);
            }
            if entry.is_claim() {
                self.digest.add(&entry);
                self.claims.insert(entry.address, entry);
            }
        }
        self.recent.retain(|said| {
            said.entry.address != entry.address
                || is_about_others(&said.entry) != is_about_others(&entry)
        });
        self.recent.push_front(Recent {
            entry,
            until,
            owed: REPEATS,
        });
    }

    /// The whole book is to be said.
    pub(super) fn begin_anew(&mut self) {
        if self.cursor.is_none() {
            self.cursor = Some(Part::EVERYTHING.0);
        }
    }

    /// Whether the whole book is being said.
    pub(super) const fn is_being_said(&self) -> bool {
        self.cursor.is_some()
    }

    /// The digest of what it claims.
    pub(super) const fn digest(&self) -> Digest {
        self.digest
    }

    /// What has changed lately, in as many beacons as it takes: written to `entries`, which is empty,
    /// and to `ends` where each beacon but the last ends.
    pub(super) fn news(
        &mut self,
        now: Moment,
        room: usize,
        entries: &mut Vec<Entry>,
        ends: &mut Vec<usize>,
    ) {
        self.recent
            .retain(|said| said.owed > 0 || now <= said.until);
        let mut left = room;
        // Those that have not been said often enough first.
        self.recent
            .make_contiguous()
            .sort_by_key(|said| u8::MAX - said.owed);
        for said in &mut self.recent {
            let length = entry_length(&said.entry);
            if length > left {
                if said.owed == 0 {
                    break;
                }
                ends.push(entries.len());
                left = room;
            }
            left = left.saturating_sub(length);
            said.owed = said.owed.saturating_sub(1);
            entries.push(said.entry);
        }
    }

    /// The next part of the whole book: its claims are written to `entries`, which is empty, and it
    /// reaches from the first address to the second. The one after it begins where this one ends, so that
    /// no address is between two parts, of which nobody would hear that it is not claimed any more. So
    /// there has to be room for two claims at least.
    pub(super) fn next_part(
        &mut self,
        mut room: usize,
        entries: &mut Vec<Entry>,
    ) -> Option<(IpAddr, IpAddr)> {
        let from = self.cursor?;
        let mut to = Part::EVERYTHING.1;
        self.cursor = None;
        for (_, entry) in self.claims.range(from..) {
            let Some(left) = room.checked_sub(entry_length(entry)) else {
                self.cursor = entries.last().map(|last| last.address);
                to = self.cursor.unwrap_or(to);
                break;
            };
            room = left;
            entries.push(*entry);
        }
        Some((from, to))
    }
}

const fn is_about_others(entry: &Entry) -> bool {
    matches!(
        entry.standing,
        crate::frame::beacon::Standing::Relayed { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::election::Term;
    use crate::frame::beacon::Standing;

    /// Of what is in no part nobody hears that it is not claimed any more.
    #[test]
    fn the_parts_of_a_book_leave_out_no_address() {
        let mut book = Book::default();
        for last in 0..=u8::MAX {
            let entry = |address| Entry {
                address,
                term: Term(1),
                standing: Standing::Own,
            };
            book.say(entry(IpAddr::from([192, 0, 2, last])), Moment::ORIGIN);
            let ipv6 = [0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(last) << 8];
            book.say(entry(IpAddr::from(ipv6)), Moment::ORIGIN);
        }
        book.begin_anew();
        let mut entries = Vec::new();
        let mut reached = Part::EVERYTHING.0;
        let mut listed = 0;
        while let Some((from, to)) = book.next_part(1_000, &mut entries) {
            assert!(from <= reached, "nothing between {reached} and {from}");
            let is_in = |entry: &Entry| (from..=to).contains(&entry.address);
            assert!(entries.iter().all(is_in));
            listed += entries.len();
            entries.clear();
            reached = to;
        }
        assert_eq!(reached, Part::EVERYTHING.1);
        assert!(listed >= book.len());
    }
}
