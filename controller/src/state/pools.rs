//! Pools: which the allocator uses, and what their status says.

use bellwether_core::allocator::Counters;
use bellwether_core::moment::Moment;
use bellwether_core::name::PoolName;
use bellwether_core::range::IpFamily;
use bellwether_crds::annotation::REALLOCATE;
use bellwether_crds::condition::{EXHAUSTED, HAS_STRAYS, NEARLY_FULL, OVERLAPPING, READY};
use bellwether_crds::pool::IPAddressPoolStatus;
use k8s_openapi::jiff::Timestamp;

use super::State;
use crate::change::{Change, Wanted, conditions};
use crate::facts::{PoolFacts, Target};
use crate::reason::PoolReason;

/// What a condition says: whether it holds, why in one word, and why in a sentence.
type Saying = (bool, PoolReason, String);

/// How many overlaps or strays a message names.
const NAMED: usize = 8;

impl State {
    /// Gives the allocator the pools as they are now, and lets every Service decide again.
    pub(super) fn use_pools(&mut self, now: Moment) {
        self.allocator
            .set_pools(self.usable_pools.values().cloned().collect(), now);
        self.decide_all(now);
        self.mark_announcements();
        self.mark_advertisements();
        let pools: Vec<PoolName> = self.pools.keys().cloned().collect();
        for pool in pools {
            self.schedule.mark(Target::Pool(pool));
        }
    }

    /// What is to be written of a pool.
    pub(super) fn pool_change(&mut self, name: &PoolName, wall: Timestamp) -> Option<Change> {
        let facts = self.pools.get(name)?;
        let [v4, v6] = IpFamily::ALL.map(|family| self.allocator.counters(name, family));
        let sayings = [
            (READY, self.ready(facts, [v4, v6])),
            (OVERLAPPING, self.overlapping(name)),
            (NEARLY_FULL, nearly_full([v4, v6])),
            (EXHAUSTED, exhausted([v4, v6])),
            (HAS_STRAYS, self.has_strays(name)),
        ];
        let wanted = sayings
            .each_ref()
            .map(|(kind, (holds, reason, message))| Wanted {
                kind,
                holds: *holds,
                reason: reason.as_str(),
                message,
            });
        let (conditions, same) = conditions(
            &wanted,
            &facts.status.conditions,
            facts.version.generation,
            wall,
        );
        let status = IPAddressPoolStatus {
            total_ipv4: v4.total,
            total_ipv6: v6.total,
            assigned_ipv4: v4.assigned,
            assigned_ipv6: v6.assigned,
            available_ipv4: v4.available,
            available_ipv6: v6.available,
            resting_ipv4: v4.resting,
            resting_ipv6: v6.resting,
            resting: self.resting_of(facts),
            conditions,
        };
        let with_their_conditions = IPAddressPoolStatus {
            conditions: facts.status.conditions.clone(),
            ..status.clone()
        };
        let is_said = same && with_their_conditions == facts.status;
        (!is_said).then(|| Change::PoolStatus {
            pool: name.clone(),
            status,
        })
    }

    fn ready(&self, facts: &PoolFacts, counters: [Counters; 2]) -> Saying {
        match &facts.pool {
            Ok(_) if counters.iter().all(|counters| counters.total == 0) => (
                false,
                PoolReason::GivesNothing,
                "all its addresses are excluded, or older pools have them; add addresses"
                    .to_owned(),
            ),
            Ok(_) => (
                true,
                PoolReason::Valid,
                "its addresses are given to Services".to_owned(),
            ),
            Err(error) if self.usable_pools.contains_key(&facts.name) => (
                false,
                PoolReason::Invalid,
                format!("{error}; what it said before stays in force"),
            ),
            Err(error) => (false, PoolReason::Invalid, error.to_string()),
        }
    }

    fn overlapping(&self, name: &PoolName) -> Saying {
        let overlaps = self.overlaps_of(name);
        if overlaps.is_empty() {
            let message = "no other pool has its addresses".to_owned();
            (false, PoolReason::NoOverlap, message)
        } else {
            (true, PoolReason::Overlap, first_few(&overlaps))
        }
    }

    /// Addresses that Services have from the pool that it does not give any more.
    fn has_strays(&self, name: &PoolName) -> Saying {
        let strays = self.allocator.strays(name);
        if strays.is_empty() {
            let message = "it gives all addresses that Services have from it".to_owned();
            return (false, PoolReason::NoStrays, message);
        }
        let each: Vec<String> = strays
            .into_iter()
            .flat_map(|(service, addresses)| {
                let one = move |address| format!("{address} of Service {service}");
                addresses.into_iter().map(one)
            })
            .collect();
        let message = format!(
            "it does not give {} any more: they stay until the Services are deleted, or moved by \
             the annotation {REALLOCATE}: \"true\"",
            first_few(&each)
        );
        (true, PoolReason::Strays, message)
    }

    /// A sentence for each other pool that has addresses of this one.
    fn overlaps_of(&self, name: &PoolName) -> Vec<String> {
        let overlaps = self.allocator.overlaps().iter();
        overlaps
            .filter(|overlap| overlap.older == *name || overlap.younger == *name)
            .map(|overlap| {
                let ranges: Vec<String> = overlap.ranges.iter().map(ToString::to_string).collect();
                let ranges = ranges.join(", ");
                if overlap.older == *name {
                    let other = &overlap.younger;
                    format!("pool {other} has {ranges} too; this one is older and gives them")
                } else {
                    let other = &overlap.older;
                    format!("pool {other} has {ranges} too; it is older and gives them")
                }
            })
            .collect()
    }
}

fn nearly_full(counters: [Counters; 2]) -> Saying {
    let few = families(counters, |counters| {
        counters.available <= counters.total / 10
    });
    if few.is_empty() {
        let message = "more than a tenth of its addresses is free".to_owned();
        return (false, PoolReason::EnoughFree, message);
    }
    let message = format!(
        "at most a tenth of its {} addresses is free; add addresses",
        few.join(" and of its ")
    );
    (true, PoolReason::FewFree, message)
}

fn exhausted(counters: [Counters; 2]) -> Saying {
    let full = families(counters, |counters| counters.available == 0);
    if full.is_empty() {
        return (
            false,
            PoolReason::SomethingFree,
            "it has free addresses".to_owned(),
        );
    }
    let message = format!(
        "no {} address is free; add addresses",
        full.join(" and no ")
    );
    (true, PoolReason::NothingFree, message)
}

/// The families of which the pool has addresses and whose counters are such.
fn families(counters: [Counters; 2], are_such: impl Fn(&Counters) -> bool) -> Vec<String> {
    IpFamily::ALL
        .into_iter()
        .zip(counters)
        .filter(|(_, counters)| counters.total > 0 && are_such(counters))
        .map(|(family, _)| family.to_string())
        .collect()
}

/// The first few, because there may be thousands and a message has room for 32 KiB.
fn first_few(all: &[String]) -> String {
    let named: Vec<&str> = all.iter().take(NAMED).map(String::as_str).collect();
    let named = named.join("; ");
    match all.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named}; and {more} more"),
    }
}
