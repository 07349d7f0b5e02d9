//! The API: who may announce an address, and when which node learns it.

use std::collections::BTreeSet;

use bellwether_core::election::{Assignment, Input, Recorded, Term};
use bellwether_core::placement::{AdvertisedNode, candidates};
use rand::RngExt;

use super::{MILLISECOND, Next, World};
use crate::history::{Time, What};
use crate::node::{EVERYWHERE, address};
use crate::plan::{Fault, Nodes};

/// How often a speaker is told all that it knows already, as a watch does that begins anew.
pub(super) const RELIST: Time = 15_000 * MILLISECOND;

impl World<'_> {
    pub(super) fn sees_api(&self, node: usize) -> bool {
        !self.faults().any(|fault| match fault {
            Fault::NoApi(nodes) => nodes & (1 << node) != 0,
            _ => false,
        })
    }

    pub(super) fn exclude(&mut self, node: usize, out: bool) {
        for address in 0..self.plan.addresses {
            let known = &mut self.api[address];
            known.excluded = if out {
                known.excluded | 1 << node
            } else {
                known.excluded & !(1 << node)
            };
            self.publish(address, 0);
        }
    }

    /// The API has something new about an address: each node learns it in its own time.
    pub(super) fn publish(&mut self, address: usize, after: Time) {
        self.api[address].version += 1;
        let version = self.api[address].version;
        let all = (1 << self.plan.nodes) - 1;
        let known = &self.api[address];
        let candidates = if known.assigned {
            all & !known.excluded
        } else {
            0
        };
        let assignment = self.assignment(address);
        self.api[address].past.push(assignment);
        if self.api[address].candidates != Some(candidates) {
            self.api[address].candidates = Some(candidates);
            self.note(What::Candidates(address, candidates));
        }
        for node in 0..self.plan.nodes {
            let lag = match self.rng.random_range(0..8) {
                0 => self.rng.random_range(100..800),
                _ => self.rng.random_range(2..60),
            };
            let at = self.now + after + lag * MILLISECOND;
            self.schedule(at, Next::Learn(node, address, version));
        }
    }

    /// What there is to be told of an address now; none, if it is not used.
    fn assignment(&self, index: usize) -> Option<Assignment> {
        let known = &self.api[index];
        let address = address(index);
        if !known.assigned {
            return None;
        }
        let advertised: Vec<_> = self
            .places
            .iter()
            .map(|place| AdvertisedNode {
                node: place.name.clone(),
                interfaces: EVERYWHERE,
                preference: 0,
            })
            .collect();
        let excluded: BTreeSet<_> = (0..self.plan.nodes)
            .filter(|node| known.excluded & (1 << node) != 0)
            .map(|node| self.places[node].name.clone())
            .collect();
        Some(Assignment {
            candidates: candidates(address, [&advertised[..]], None, |node| {
                !excluded.contains(node)
            }),
            recorded: known.recorded.map(|(node, term)| Recorded {
                node: Some(self.places[node].name.clone()),
                term: Term(term),
                stands: true,
            }),
            move_to: known.move_to.map(|node| self.places[node].name.clone()),
        })
    }

    fn tell_assignment(&mut self, node: usize, index: usize, assignment: Option<Assignment>) {
        let address = address(index);
        let input = match assignment {
            Some(assignment) => Input::Assign {
                address,
                assignment,
            },
            None => Input::Unassign { address },
        };
        self.tell(node, input);
    }

    /// A node learns what is new about an address, if that is still the newest.
    pub(super) fn learn(&mut self, node: usize, address: usize, version: u64) {
        if self.api[address].version != version {
            return;
        }
        if self.sees_api(node) && self.places[node].paused_at.is_none() {
            let assignment = self.assignment(address);
            self.tell_assignment(node, address, assignment);
        } else {
            let again = self.now + 100 * MILLISECOND;
            self.schedule(again, Next::Learn(node, address, version));
        }
    }

    /// These nodes learn states of addresses twice for so long, and older ones after newer ones.
    pub(super) fn disorder(&mut self, nodes: Nodes, lasts: Time) {
        for node in (0..self.plan.nodes).filter(|node| nodes & (1 << node) != 0) {
            for address in 0..self.plan.addresses {
                let newest = self.api[address].version;
                for _ in 0..3 {
                    let at = self.now + self.rng.random_range(0..=lasts);
                    let version = newest.saturating_sub(self.rng.random_range(0..4)).max(1);
                    self.schedule(at, Next::Relearn(node, address, version));
                }
            }
        }
    }

    /// A node learns an older state of an address, or the newest once more, and soon the newest.
    pub(super) fn relearn(&mut self, node: usize, address: usize, version: u64) {
        if !self.sees_api(node) || self.places[node].paused_at.is_some() {
            return;
        }
        let past = usize::try_from(version).ok();
        let past = past.and_then(|version| self.api[address].past.get(version).cloned());
        let Some(past) = past else {
            return;
        };
        self.tell_assignment(node, address, past);
        let again = self.now + self.rng.random_range(5..100) * MILLISECOND;
        let newest = self.api[address].version;
        self.schedule(again, Next::Learn(node, address, newest));
    }

    /// A node that has started for that time is told once more what it knows of all addresses.
    pub(super) fn relist(&mut self, node: usize, start: u64) {
        let place = &self.places[node];
        if place.node.is_none() || place.starts != start {
            return;
        }
        self.schedule(self.now + RELIST, Next::Relist(node, start));
        if self.sees_api(node) {
            for address in 0..self.plan.addresses {
                let assignment = self.assignment(address);
                self.tell_assignment(node, address, assignment);
            }
        }
    }

    /// A node records its claim.
    pub(super) fn record(&mut self, node: usize, address: usize, term: u64) {
        if !self.sees_api(node) {
            let again = self.now + 100 * MILLISECOND;
            self.schedule(again, Next::Record(node, address, term));
        } else if self.api[address].assigned
            && self.api[address].recorded.is_none_or(|(_, old)| old < term)
        {
            self.api[address].recorded = Some((node, term));
            self.publish(address, 0);
        }
    }
}
