//! What is counted of decisions, for metrics.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_core::allocator::{Allocation, Counters, Decision, Refusal};
use bellwether_core::name::PoolName;
use bellwether_core::range::IpFamily;

use super::State;
use crate::reason::Problem;

/// What is counted of decisions.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// How many Services lack something that they ask for, by the reason in their condition. A
    /// reason that there was once stays, at 0.
    pub refused: BTreeMap<&'static str, usize>,
    given: u64,
    returned: u64,
    /// Pools whose numbers may have changed since they were last asked for.
    pub(super) pools: BTreeSet<PoolName>,
}

impl Tally {
    /// What was decided for a Service is another decision now; none before the first one and after
    /// the last.
    pub(super) fn replace(
        &mut self,
        old: Option<&Result<Decision, Problem>>,
        new: Option<&Result<Decision, Problem>>,
    ) {
        if let Some(reason) = old.and_then(refusal) {
            let count = self.refused.entry(reason).or_default();
            *count = count.saturating_sub(1);
        }
        if let Some(reason) = new.and_then(refusal) {
            *self.refused.entry(reason).or_default() += 1;
        }
    }

    /// A Service had some addresses, and has others now.
    pub(super) fn moved(&mut self, before: &[Allocation], after: &[Allocation]) {
        let not_in = |all: &[Allocation], others: &[Allocation]| {
            let others = |one: &Allocation| others.iter().any(|it| it.address == one.address);
            all.iter().filter(|&one| !others(one)).count() as u64
        };
        self.given += not_in(after, before);
        self.returned += not_in(before, after);
    }
}

fn refusal(decided: &Result<Decision, Problem>) -> Option<&'static str> {
    match decided {
        Ok(decision) => decision.refusal().map(Refusal::reason),
        Err(problem) => Some(problem.reason()),
    }
}

impl State {
    /// What is counted of decisions.
    #[must_use]
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// How many addresses Services were given, and how many they gave up, since the last call.
    pub const fn take_flow(&mut self) -> (u64, u64) {
        let flow = (self.tally.given, self.tally.returned);
        (self.tally.given, self.tally.returned) = (0, 0);
        flow
    }

    /// The pools whose numbers may have changed since the last call, with what they are now, IPv4
    /// and IPv6; none of a pool that is gone.
    pub fn take_changed_pools(&mut self) -> Vec<(PoolName, Option<[Counters; 2]>)> {
        let names = std::mem::take(&mut self.tally.pools);
        let counters = |name: &PoolName| {
            let is_there = self.pools.contains_key(name);
            is_there.then(|| IpFamily::ALL.map(|family| self.allocator.counters(name, family)))
        };
        names
            .into_iter()
            .map(|name| {
                let numbers = counters(&name);
                (name, numbers)
            })
            .collect()
    }
}
