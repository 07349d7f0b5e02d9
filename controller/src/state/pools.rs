//! Pools: which the allocator uses, and what their status says.

use bellwether_core::moment::Moment;
use bellwether_core::name::PoolName;
use bellwether_core::range::IpFamily;
use bellwether_crds::condition::{EXHAUSTED, OVERLAPPING, READY};
use bellwether_crds::pool::IPAddressPoolStatus;
use k8s_openapi::jiff::Timestamp;

use super::State;
use crate::change::{Change, Wanted, conditions};
use crate::facts::Target;
use crate::reason;

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
        let (ready, why, sentence) = match &facts.pool {
            Ok(_) => (
                true,
                reason::VALID,
                "its addresses are given to Services".to_owned(),
            ),
            Err(error) if self.usable_pools.contains_key(name) => (
                false,
                reason::INVALID,
                format!("{error}; what it said before stays in force"),
            ),
            Err(error) => (false, reason::INVALID, error.to_string()),
        };
        let overlaps = self.overlaps_of(name);
        let (overlap_reason, overlap_message) = if overlaps.is_empty() {
            (
                reason::NO_OVERLAP,
                "no other pool has its addresses".to_owned(),
            )
        } else {
            (reason::OVERLAP, overlaps.join("; "))
        };
        let full: Vec<&str> = [("IPv4", v4), ("IPv6", v6)]
            .into_iter()
            .filter(|(_, counters)| counters.total > 0 && counters.available == 0)
            .map(|(family, _)| family)
            .collect();
        let (full_reason, full_message) = if full.is_empty() {
            (reason::SOMETHING_FREE, "it has free addresses".to_owned())
        } else {
            (
                reason::NOTHING_FREE,
                format!(
                    "no {} address is free; add addresses",
                    full.join(" and no ")
                ),
            )
        };
        let wanted = [
            Wanted {
                kind: READY,
                holds: ready,
                reason: why,
                message: &sentence,
            },
            Wanted {
                kind: OVERLAPPING,
                holds: !overlaps.is_empty(),
                reason: overlap_reason,
                message: &overlap_message,
            },
            Wanted {
                kind: EXHAUSTED,
                holds: !full.is_empty(),
                reason: full_reason,
                message: &full_message,
            },
        ];
        let (conditions, same) = conditions(
            &wanted,
            &facts.status.conditions,
            facts.version.generation,
            wall,
        );
        let status = IPAddressPoolStatus {
            assigned_ipv4: v4.assigned,
            assigned_ipv6: v6.assigned,
            available_ipv4: v4.available,
            available_ipv6: v6.available,
            conditions,
        };
        let numbers = |status: &IPAddressPoolStatus| {
            [
                status.assigned_ipv4,
                status.assigned_ipv6,
                status.available_ipv4,
                status.available_ipv6,
            ]
        };
        let is_said = same && numbers(&status) == numbers(&facts.status);
        (!is_said).then(|| Change::PoolStatus {
            pool: name.clone(),
            status,
        })
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
