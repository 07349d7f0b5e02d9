//! What changes when pools do, and what can be asked about a pool.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::Allocator;
use super::directory::{Directory, Overlap};
use super::inventory::{Counters, Inventory, Stock, Use};
use super::resting::Resting;
use crate::moment::Moment;
use crate::name::{PoolName, ServiceName};
use crate::pool::{Pool, Strategy};
use crate::range::IpFamily;

impl Allocator {
    /// Replaces all pools. No Service loses an address by it; those for which the decision may be
    /// another now get their turn.
    pub fn set_pools(&mut self, pools: Vec<Arc<Pool>>, now: Moment) {
        self.on_deadline(now);
        let directory = Directory::new(pools);
        let mut inventory = Inventory::new(&directory);
        let changed = changed_pools(&self.directory, &directory);
        for address in self.assignments.addresses() {
            if let Some((id, _)) = directory.locate(address) {
                inventory.change(id, address, Use::Free, Use::Assigned);
            }
        }
        let old_directory = std::mem::replace(&mut self.directory, directory);
        self.inventory = inventory;
        self.rest_again(now);

        let giver = |directory: &Directory, address| {
            directory
                .locate(address)
                .map(|(_, pool)| pool.name().clone())
        };
        for (service, assignment) in self.assignments.iter() {
            let is_affected = assignment.addresses.iter().any(|allocation| {
                let before = giver(&old_directory, allocation.address);
                let after = giver(&self.directory, allocation.address);
                before != after || after.is_some_and(|pool| changed.contains(&pool))
            });
            if is_affected {
                self.queue.call(service, assignment.created);
            }
        }
        self.queue.call_all();
    }

    /// Books what rests or is remembered in the new pools.
    fn rest_again(&mut self, now: Moment) {
        let addresses: Vec<IpAddr> = self.rest.addresses().collect();
        for address in addresses {
            let resting = self
                .rest
                .resting(address)
                .map(|(last_user, until)| (last_user.clone(), until));
            let Some((id, pool)) = self.directory.locate(address) else {
                self.rest.forget(address);
                continue;
            };
            let (cooldown, strategy) = (pool.cooldown(), pool.strategy());
            match resting {
                // A cooldown that was shortened counts at once.
                Some((last_user, until)) if until.min(now + cooldown) > now => {
                    self.rest
                        .rest(address, last_user, until.min(now + cooldown));
                    self.inventory.change(id, address, Use::Free, Use::Resting);
                }
                Some((last_user, _)) if strategy == Strategy::Sticky => {
                    self.rest.remember(address, last_user);
                }
                None if strategy == Strategy::Sticky => {}
                Some(_) | None => {
                    self.rest.forget(address);
                }
            }
        }
    }

    /// How many addresses of `family` the pool has, and what they are used for; all zero if there
    /// is no such pool.
    #[must_use]
    pub fn counters(&self, pool: &PoolName, family: IpFamily) -> Counters {
        self.directory
            .find(pool)
            .and_then(|(id, _)| self.inventory.stock(id, family))
            .map_or_else(Counters::default, Stock::counters)
    }

    /// The addresses that two pools have. The older gives them, the younger does not.
    #[must_use]
    pub fn overlaps(&self) -> &[Overlap] {
        self.directory.overlaps()
    }

    /// The Services that have an address of `pool` by their record that it does not give (any more),
    /// with those addresses. They keep them until they are moved or deleted.
    #[must_use]
    pub fn strays(&self, pool: &PoolName) -> BTreeMap<&ServiceName, Vec<IpAddr>> {
        let mut strays: BTreeMap<&ServiceName, Vec<IpAddr>> = BTreeMap::new();
        for (service, assignment) in self.assignments.of_pool(pool) {
            for allocation in &assignment.addresses {
                let given_by = self.directory.locate(allocation.address);
                if allocation.pool.as_ref() == Some(pool)
                    && given_by.is_none_or(|(_, by)| by.name() != pool)
                {
                    strays.entry(service).or_default().push(allocation.address);
                }
            }
        }
        strays
    }

    /// The addresses that rest, in order, in a form that can be kept across a restart.
    #[must_use]
    pub fn resting(&self, now: Moment) -> Vec<Resting> {
        self.rest
            .all_resting()
            .map(|(address, last_user, until)| Resting {
                address,
                last_user: last_user.clone(),
                remaining: until.since(now),
            })
            .collect()
    }

    /// Lets addresses rest that rested before a restart; to be called after
    /// [`Allocator::set_pools`] and [`Allocator::adopt`]. Those in use, and those that no pool with
    /// a cooldown gives, do not rest.
    pub fn rest(&mut self, resting: Vec<Resting>, now: Moment) {
        self.on_deadline(now);
        for Resting {
            address,
            last_user,
            remaining,
        } in resting
        {
            let Some((id, pool)) = self.directory.locate(address) else {
                continue;
            };
            let remaining = remaining.min(pool.cooldown());
            if remaining.is_zero()
                || self.assignments.is_used(address)
                || self.rest.resting(address).is_some()
            {
                continue;
            }
            self.rest.rest(address, last_user, now + remaining);
            self.inventory.change(id, address, Use::Free, Use::Resting);
        }
    }
}

/// The pools of `after` that are not the same in `before`.
fn changed_pools(before: &Directory, after: &Directory) -> BTreeSet<PoolName> {
    after
        .pools()
        .filter(|(_, pool)| before.find(pool.name()).is_none_or(|(_, old)| old != *pool))
        .map(|(_, pool)| pool.name().clone())
        .collect()
}
