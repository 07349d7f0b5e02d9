//! Memory of beacons that are done with, for the next ones: a speaker that goes on as before takes
//! no new memory for what it sends and receives.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Beacon, Digest, Flags, Part, Pulse, Session};
use crate::name::NodeName;

/// More than are in use at a time: one for each channel.
const MOST: usize = 64;

/// More nodes than a segment can have: beyond that their names are forgotten, and read anew.
const MOST_NAMES: usize = 1024;

/// Beacons that are done with, and the names that were read from some.
#[derive(Clone, Debug, Default)]
pub struct Spares {
    beacons: Vec<Beacon>,
    names: BTreeSet<NodeName>,
    /// Room for what a datagram holds.
    pub(super) octets: Vec<u8>,
}

impl Spares {
    /// A beacon that says nothing yet.
    pub(crate) fn take(&mut self) -> Beacon {
        self.beacons.pop().unwrap_or_else(|| Beacon {
            sender: NodeName::from(""),
            session: Session(0),
            sequence: 0,
            mac: None,
            pulse: Pulse {
                interval: Duration::ZERO,
                misses: 0,
                lateness: Duration::ZERO,
            },
            flags: Flags::default(),
            heard: Vec::new(),
            part: Part {
                digest: Digest::default(),
                range: None,
                entries: Vec::new(),
            },
        })
    }

    /// Hands in a beacon that is done with.
    pub fn put(&mut self, mut beacon: Beacon) {
        if self.beacons.len() < MOST {
            beacon.heard.clear();
            beacon.part.entries.clear();
            self.beacons.push(beacon);
        }
    }

    /// The name of that text.
    pub(super) fn name(&mut self, text: &str) -> NodeName {
        if let Some(name) = self.names.get(text) {
            return name.clone();
        }
        if self.names.len() >= MOST_NAMES {
            self.names.clear();
        }
        let name = NodeName::from(text);
        self.names.insert(name.clone());
        name
    }
}
