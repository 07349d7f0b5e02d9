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

    /// What has changed lately, in as many beacons as it takes; at least one.
    pub(super) fn news(&mut self, now: Moment, room: usize) -> Vec<Part> {
        self.recent
            .retain(|said| said.owed > 0 || now <= said.until);
        let mut parts = vec![self.part(None)];
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
                parts.push(Part {
                    digest: self.digest,
                    range: None,
                    entries: Vec::new(),
                });
                left = room;
            }
            left = left.saturating_sub(length);
            said.owed = said.owed.saturating_sub(1);
            if let Some(part) = parts.last_mut() {
                part.entries.push(said.entry);
            }
        }
        parts
    }

    const fn part(&self, range: Option<(IpAddr, IpAddr)>) -> Part {
        Part {
            digest: self.digest,
            range,
            entries: Vec::new(),
        }
    }

    /// The next part of the whole book.
    pub(super) fn next_part(&mut self, room: usize) -> Option<Part> {
        let from = self.cursor?;
        let entries = take_while_it_fits(self.claims.range(from..).map(|(_, e)| *e), room);
        let next = entries
            .last()
            .and_then(|last| {
                let behind = (
                    std::ops::Bound::Excluded(last.address),
                    std::ops::Bound::Unbounded,
                );
                self.claims.range(behind).next()
            })
            .map(|(address, _)| *address);
        let last = entries.last().map(|last| last.address);
        let to = match (next, last) {
            (Some(_), Some(last)) => last,
            _ => Part::EVERYTHING.1,
        };
        self.cursor = next;
        Some(Part {
            entries,
            ..self.part(Some((from, to)))
        })
    }
}

const fn is_about_others(entry: &Entry) -> bool {
    matches!(
        entry.standing,
        crate::frame::beacon::Standing::Relayed { .. }
    )
}

fn take_while_it_fits(entries: impl Iterator<Item = Entry>, mut room: usize) -> Vec<Entry> {
    let mut taken = Vec::new();
    for entry in entries {
        let Some(left) = room.checked_sub(entry_length(&entry)) else {
            break;
        };
        room = left;
        taken.push(entry);
    }
    taken
}
