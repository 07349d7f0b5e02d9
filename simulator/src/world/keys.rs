//! Beacons as octets: signed, of two versions, while keys are exchanged.
//!
//! Most runs pass beacons as they are, because that costs less. In those that need it they are
//! written, signed and read again by the unchanged code of the product.

use std::collections::BTreeMap;
use std::rc::Rc;

use bellwether_core::frame::beacon::Beacon;
use bellwether_core::frame::beacon::Spares;
use bellwether_core::frame::beacon::keyring::{Keyring, KeyringError};
use bellwether_core::frame::beacon::wire::{LONGEST, VERSION, encode};
use bellwether_core::membership::Channel;
use rand::RngExt;

use super::{MILLISECOND, Next, World};
use crate::history::{Time, What};
use crate::node::Arrived;
use crate::plan::{Fault, Plan};

/// Frames that were signed before a sweep have arrived after so long.
const ARRIVED: Time = 500 * MILLISECOND;

/// A field that this version does not know.
const LATER_FIELD: [u8; 7] = [200, 0, 4, 1, 2, 3, 4];

/// The field that ends a beacon.
const END: [u8; 3] = [0; 3];

/// The keys of the cluster, and how far they have been exchanged.
pub(super) struct Keys {
    /// Whether beacons are written as octets in this run.
    sealed: bool,
    /// How many sweeps have begun; a node has the ring of that number.
    pub(super) newest: usize,
    rings: Vec<Keyring>,
    /// When the last node was through the last sweep.
    swept: Time,
}

impl Keys {
    pub(super) fn new(plan: &Plan) -> Self {
        let exchanges = plan.faults.iter();
        let exchanges = exchanges.filter(|timed| timed.fault == Fault::Rotate);
        let sweeps = 3 * exchanges.count();
        Self {
            sealed: sweeps > 0 || plan.newer != 0,
            newest: 0,
            // The secrets are long enough, and the ring has the key to sign with.
            rings: (0..=sweeps).filter_map(|sweep| ring(sweep).ok()).collect(),
            swept: 0,
        }
    }
}

/// The ring after so many sweeps: the next key is added, it is made the one to sign with, the one
/// before it is dropped.
fn ring(sweeps: usize) -> Result<Keyring, KeyringError> {
    let old = u16::try_from(sweeps / 3).unwrap_or(u16::MAX);
    let secret = |key: u16| (key, vec![u8::try_from(key % 251).unwrap_or(0); 32]);
    let (secrets, signing) = match sweeps % 3 {
        0 => (BTreeMap::from([secret(old)]), old),
        1 => (BTreeMap::from([secret(old), secret(old + 1)]), old),
        _ => (BTreeMap::from([secret(old), secret(old + 1)]), old + 1),
    };
    Keyring::new("simulated", secrets, signing)
}

/// What a later version would say: a field more, and that it is one.
fn later(mut octets: Vec<u8>) -> Vec<u8> {
    if octets.len() + LATER_FIELD.len() <= LONGEST {
        octets[5] = VERSION + 1;
        octets.truncate(octets.len() - END.len());
        octets.extend(LATER_FIELD);
        octets.extend(END);
    }
    octets
}

impl World<'_> {
    /// A beacon as `from` puts it on the wire.
    pub(super) fn seal(&self, from: usize, channel: Channel, beacon: Beacon) -> Arrived {
        let ring = self.keys.rings.get(self.places[from].keys);
        let Some(ring) = ring.filter(|_| self.keys.sealed) else {
            return Arrived::Beacon(channel, Rc::new(beacon));
        };
        let mut octets = Vec::new();
        encode(&beacon, ring.signing(), &mut octets);
        if self.plan.newer & (1 << from) != 0 {
            octets = later(octets);
        }
        if channel == Channel::Unicast {
            ring.encrypt(&mut octets, 0, beacon.session, beacon.sequence);
        } else {
            ring.sign(&mut octets, 0, beacon.session);
        }
        Arrived::Sealed(channel, Rc::new(octets))
    }

    /// What `to` makes of what arrives: nothing, if it cannot read it. A recording may be of a time with
    /// other keys.
    pub(super) fn open(&mut self, to: usize, arrived: Arrived, live: bool) -> Option<Arrived> {
        let Arrived::Sealed(channel, octets) = &arrived else {
            return Some(arrived);
        };
        self.places[to].node.as_ref()?;
        let ring = self.keys.rings.get(self.places[to].keys)?;
        let opened = if *channel == Channel::Unicast {
            ring.open_datagram(octets, &mut Spares::default())
        } else {
            ring.open(octets, &mut Spares::default())
        };
        let Ok(beacon) = opened else {
            if live {
                self.note(What::Refused(to));
            }
            return None;
        };
        Some(Arrived::Beacon(*channel, Rc::new(beacon)))
    }

    /// The next sweep over all nodes begins, when all are through the last one.
    pub(super) fn sweep(&mut self, left: u32) {
        let through = |keys: usize| keys == self.keys.newest;
        let waits = self
            .places
            .iter()
            .any(|place| place.node.is_some() && !through(place.keys));
        if waits || self.now < self.keys.swept + ARRIVED {
            self.schedule(self.now + 100 * MILLISECOND, Next::Sweep(left));
            return;
        }
        self.keys.newest += 1;
        for node in 0..self.plan.nodes {
            let at = self.now + self.rng.random_range(5..800) * MILLISECOND;
            self.schedule(at, Next::Rekey(node));
        }
        if let Some(left) = left.checked_sub(1) {
            self.schedule(self.now + MILLISECOND, Next::Sweep(left));
        }
    }

    /// A node learns the keys, if it runs and sees the API.
    pub(super) fn rekey(&mut self, node: usize) {
        if self.places[node].node.is_none() {
            return;
        }
        if !self.sees_api(node) || self.places[node].paused_at.is_some() {
            self.schedule(self.now + 100 * MILLISECOND, Next::Rekey(node));
            return;
        }
        self.places[node].keys = self.keys.newest;
        self.keys.swept = self.now;
    }
}
