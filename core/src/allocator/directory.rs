//! Which pools there are, which address belongs to which of them, and which a Service may use.
//!
//! Changes only when pools change. What is free is the [inventory](super::inventory)'s affair.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::refusal::{Exclusion, PoolList, Refusal};
use super::request::Request;
use crate::name::PoolName;
use crate::pool::{NotGiven, NotPermitted, Pool, ServiceAllocation};
use crate::range::{AddressRange, AddressSet};

/// A pool's place in the order of age. Valid until the pools change.
pub(super) type PoolId = usize;

/// Addresses that two pools have. They belong to the older; the younger does not give them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overlap {
    /// The pool that gives them.
    pub older: PoolName,
    /// The pool that does not.
    pub younger: PoolName,
    /// The addresses.
    pub ranges: Vec<AddressRange>,
}

/// All pools.
#[derive(Clone, Debug, Default)]
pub(super) struct Directory {
    /// By age.
    pools: Vec<Arc<Pool>>,
    by_name: BTreeMap<PoolName, PoolId>,
    /// First address of each range that a pool gives, to the last one and the pool. Disjoint.
    ranges: BTreeMap<IpAddr, (IpAddr, PoolId)>,
    overlaps: Vec<Overlap>,
    /// Pools that any Service may get an address of: `autoAssign` and no `serviceAllocation`.
    fallback: Vec<PoolId>,
    /// Pools with `autoAssign` and a `serviceAllocation` that only these namespaces can satisfy,
    /// each with its rank.
    pinned_to: BTreeMap<String, Vec<(u32, PoolId)>>,
    /// The other pools with `autoAssign` and a `serviceAllocation`.
    pinned: Vec<(u32, PoolId)>,
}

impl Directory {
    pub(super) fn new(mut pools: Vec<Arc<Pool>>) -> Self {
        pools.sort_by(|one, other| one.age().cmp(&other.age()));
        let mut directory = Self::default();
        for (id, pool) in pools.iter().enumerate() {
            directory.by_name.insert(pool.name().clone(), id);
            directory.claim(id, pool, &pools);
            directory.list(id, pool);
        }
        directory.pools = pools;
        directory
    }

    /// Gives `pool` the addresses that no older pool has.
    fn claim(&mut self, id: PoolId, pool: &Pool, pools: &[Arc<Pool>]) {
        let mut rest = AddressSet::default();
        let mut lost: BTreeMap<PoolId, Vec<AddressRange>> = BTreeMap::new();
        for range in pool.offered().ranges() {
            rest.insert(range);
            for (claimed, older) in self.claims_within(range) {
                rest.remove(claimed);
                lost.entry(older).or_default().push(claimed);
            }
        }
        for range in rest.ranges() {
            self.ranges.insert(range.first(), (range.last(), id));
        }
        for (older, ranges) in lost {
            if let Some(older) = pools.get(older) {
                self.overlaps.push(Overlap {
                    older: older.name().clone(),
                    younger: pool.name().clone(),
                    ranges,
                });
            }
        }
    }

    /// The parts of `range` that pools have, with the pools.
    fn claims_within(&self, range: AddressRange) -> Vec<(AddressRange, PoolId)> {
        let before = self.ranges.range(..range.first()).next_back();
        let inside = self.ranges.range(range.first()..=range.last());
        before
            .into_iter()
            .chain(inside)
            .filter_map(|(&first, &(last, pool))| {
                let claimed = AddressRange::new(first, last).ok()?;
                Some((claimed.intersection(&range)?, pool))
            })
            .collect()
    }

    /// Enters `pool` among those that a Service gets addresses of without naming them.
    fn list(&mut self, id: PoolId, pool: &Pool) {
        if !pool.auto_assign() {
            return;
        }
        let Some(allocation) = pool.service_allocation() else {
            self.fallback.push(id);
            return;
        };
        let entry = (allocation.rank(), id);
        match allocation.only_namespaces() {
            Some(namespaces) => {
                for namespace in namespaces {
                    self.pinned_to
                        .entry(namespace.to_owned())
                        .or_default()
                        .push(entry);
                }
            }
            None => self.pinned.push(entry),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pools.is_empty()
    }

    /// All pools, the oldest first.
    pub(super) fn pools(&self) -> impl Iterator<Item = (PoolId, &Arc<Pool>)> {
        self.pools.iter().enumerate()
    }

    pub(super) fn get(&self, id: PoolId) -> Option<&Arc<Pool>> {
        self.pools.get(id)
    }

    pub(super) fn find(&self, name: &PoolName) -> Option<(PoolId, &Arc<Pool>)> {
        let &id = self.by_name.get(name)?;
        Some((id, self.pools.get(id)?))
    }

    pub(super) fn name(&self, id: PoolId) -> Option<&PoolName> {
        Some(self.pools.get(id)?.name())
    }

    /// The ranges that each pool gives, in the order of addresses.
    pub(super) fn ranges(&self) -> impl Iterator<Item = (PoolId, AddressRange)> {
        self.ranges.iter().filter_map(|(&first, &(last, pool))| {
            Some((pool, AddressRange::new(first, last).ok()?))
        })
    }

    pub(super) fn overlaps(&self) -> &[Overlap] {
        &self.overlaps
    }

    /// Pools that any Service may get an address of without naming them, the oldest first.
    pub(super) fn fallback(&self) -> &[PoolId] {
        &self.fallback
    }

    /// Whether any Service may get an address of the pool without naming it.
    pub(super) fn is_fallback(&self, id: PoolId) -> bool {
        self.fallback.binary_search(&id).is_ok()
    }

    /// The pool that gives `address`.
    pub(super) fn locate(&self, address: IpAddr) -> Option<(PoolId, &Arc<Pool>)> {
        let (_, &(last, id)) = self.ranges.range(..=address).next_back()?;
        let pool = self.pools.get(id)?;
        (last >= address && !pool.is_buggy(address)).then_some((id, pool))
    }

    /// Why no pool gives `address`.
    pub(super) fn not_given(&self, address: IpAddr) -> Refusal {
        for pool in &self.pools {
            let why = match pool.gives(address) {
                Err(NotGiven::Excluded) => Exclusion::Exclude,
                Err(NotGiven::Buggy) => Exclusion::AvoidBuggyIps,
                Err(NotGiven::Outside) | Ok(()) => continue,
            };
            return Refusal::AddressExcluded {
                address,
                pool: pool.name().clone(),
                why,
            };
        }
        Refusal::AddressOutsidePools { address }
    }

    /// The pools with a `serviceAllocation` that give an address to this Service without being
    /// named, in the order in which they are tried: by priority, then by age.
    pub(super) fn pinned_for(&self, request: &Request) -> Vec<PoolId> {
        let named = self.pinned_to.get(&*request.service.namespace);
        let mut pools: Vec<(u32, PoolId)> = named
            .into_iter()
            .flatten()
            .chain(&self.pinned)
            .copied()
            .filter(|&(_, id)| {
                self.get(id)
                    .is_some_and(|pool| permits(pool, request).is_ok())
            })
            .collect();
        pools.sort_unstable();
        pools.into_iter().map(|(_, id)| id).collect()
    }

    /// Where the pool stands among those that give an address to this Service without being named;
    /// `None` if it does not.
    pub(super) fn place(&self, id: PoolId, request: &Request) -> Option<(bool, u32, PoolId)> {
        let pool = self.get(id)?;
        if !pool.auto_assign() || permits(pool, request).is_err() {
            return None;
        }
        let rank = pool.service_allocation().map(ServiceAllocation::rank);
        Some((rank.is_none(), rank.unwrap_or_default(), id))
    }

    /// The names of `pools`.
    pub(super) fn names(&self, pools: impl Iterator<Item = PoolId>) -> PoolList {
        pools.filter_map(|id| self.name(id).cloned()).collect()
    }
}

/// Whether the Service may have an address of the pool at all, also if it asks for it.
pub(super) fn permits(pool: &Pool, request: &Request) -> Result<(), NotPermitted> {
    match pool.service_allocation() {
        None => Ok(()),
        Some(allocation) => allocation.permits(
            &request.service.namespace,
            &request.namespace_labels,
            &request.labels,
        ),
    }
}
