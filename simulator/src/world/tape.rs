//! Somebody on the network who has no key, but records beacons and sends them again.

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;

use super::{MILLISECOND, Next, World};
use crate::network::Kind;
use crate::node::Arrived;
use crate::plan::{Fault, Plan};

/// How many beacons are kept, of all that were sent since the start.
const MOST: usize = 1_000;

/// Beacons of a run, drawn from all that were sent on the link.
pub(super) struct Tape {
    /// Whether anybody records in this run.
    runs: bool,
    sent: usize,
    beacons: Vec<Arrived>,
}

impl Tape {
    pub(super) fn new(plan: &Plan) -> Self {
        let mut faults = plan.faults.iter();
        Self {
            runs: faults.any(|timed| timed.fault == Fault::Recordings),
            sent: 0,
            beacons: Vec::new(),
        }
    }

    /// Keeps it, or not: each that was ever sent is as likely to be on the tape as any other.
    pub(super) fn record(&mut self, beacon: &Arrived, rng: &mut Xoshiro256PlusPlus) {
        if !self.runs {
            return;
        }
        self.sent += 1;
        if self.beacons.len() < MOST {
            self.beacons.push(beacon.clone());
            return;
        }
        let place = rng.random_range(0..self.sent);
        if let Some(old) = self.beacons.get_mut(place) {
            *old = beacon.clone();
        }
    }
}

impl World<'_> {
    /// Sends one of those that were recorded to all, and another one later.
    pub(super) fn replay(&mut self) {
        if !self.faults().any(|fault| fault == Fault::Recordings) {
            return;
        }
        if !self.tape.beacons.is_empty() {
            let drawn = self.rng.random_range(0..self.tape.beacons.len());
            let beacon = self.tape.beacons[drawn].clone();
            let host = self.plan.nodes;
            for to in 0..self.plan.nodes {
                let arrivals = self.network.arrivals(Kind::Beacon, host, to, &mut self.rng);
                for takes in arrivals.into_iter().flatten() {
                    self.schedule(self.now + takes, Next::Replayed(to, beacon.clone()));
                }
            }
        }
        let later = self.now + self.rng.random_range(1..40) * MILLISECOND;
        self.schedule(later, Next::Replay);
    }
}
