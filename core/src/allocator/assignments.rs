//! Who has which address.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::decision::Allocation;
use crate::few::{Few, take_out};
use crate::name::{PoolName, ServiceName};
use crate::sharing::{SharingConflict, SharingKey, SharingTerms};

/// What a Service has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Assignment {
    /// When the Service was created, in seconds since 1970.
    pub(super) created: i64,
    /// At least one, in the order of its status.
    pub(super) addresses: Vec<Allocation>,
    /// What it brings to addresses that it may share.
    pub(super) sharing: SharingTerms,
    /// Whether it was moved because it asked to be, and still does: it is moved once.
    pub(super) reallocated: bool,
}

/// Who has which address, seen from both sides.
#[derive(Clone, Debug, Default)]
pub(super) struct Assignments {
    by_service: BTreeMap<ServiceName, Box<Assignment>>,
    users: BTreeMap<IpAddr, Few<ServiceName>>,
    /// The addresses of Services with a sharing key.
    by_key: BTreeMap<SharingKey, BTreeSet<IpAddr>>,
    /// The Services with an address of a pool, by their record.
    by_pool: BTreeMap<PoolName, BTreeSet<ServiceName>>,
}

impl Assignments {
    pub(super) fn get(&self, service: &ServiceName) -> Option<&Assignment> {
        self.by_service.get(service).map(Box::as_ref)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&ServiceName, &Assignment)> {
        let all = self.by_service.iter();
        all.map(|(service, assignment)| (service, &**assignment))
    }

    /// The addresses in use, in order.
    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.users.keys().copied()
    }

    /// The Services that use `address`, by name.
    pub(super) fn users(&self, address: IpAddr) -> impl Iterator<Item = &ServiceName> {
        self.users.get(&address).into_iter().flatten()
    }

    pub(super) fn is_used(&self, address: IpAddr) -> bool {
        self.users.contains_key(&address)
    }

    /// The addresses of Services with this sharing key, in order.
    pub(super) fn with_key(&self, key: &SharingKey) -> impl Iterator<Item = IpAddr> {
        self.by_key.get(key).into_iter().flatten().copied()
    }

    /// The Services with an address of `pool` by their record, by name.
    pub(super) fn of_pool(
        &self,
        pool: &PoolName,
    ) -> impl Iterator<Item = (&ServiceName, &Assignment)> {
        let services = self.by_pool.get(pool).into_iter().flatten();
        services.filter_map(|service| Some((service, &**self.by_service.get(service)?)))
    }

    /// The first Service, other than `service` itself, with which it cannot share `address`.
    pub(super) fn conflict(
        &self,
        address: IpAddr,
        service: &ServiceName,
        terms: &SharingTerms,
    ) -> Option<(&ServiceName, SharingConflict)> {
        self.users(address)
            .filter(|&user| user != service)
            .find_map(|user| {
                let theirs = &self.by_service.get(user)?.sharing;
                Some((user, terms.compatible(theirs).err()?))
            })
    }

    /// Gives `service` what `new` says, and takes what it had before.
    pub(super) fn replace(&mut self, service: &ServiceName, new: Option<Assignment>) {
        if let Some(old) = self.by_service.remove(service) {
            for allocation in &old.addresses {
                self.unlink(allocation.address, service, old.sharing.key.as_ref());
                if let Some(pool) = &allocation.pool {
                    remove(&mut self.by_pool, pool, service);
                }
            }
        }
        if let Some(new) = new {
            for allocation in &new.addresses {
                self.users
                    .entry(allocation.address)
                    .or_default()
                    .insert(service.clone());
                if let Some(key) = &new.sharing.key {
                    self.by_key
                        .entry(key.clone())
                        .or_default()
                        .insert(allocation.address);
                }
                if let Some(pool) = &allocation.pool {
                    self.by_pool
                        .entry(pool.clone())
                        .or_default()
                        .insert(service.clone());
                }
            }
            self.by_service.insert(service.clone(), Box::new(new));
        }
    }

    fn unlink(&mut self, address: IpAddr, service: &ServiceName, key: Option<&SharingKey>) {
        take_out(&mut self.users, &address, service);
        let Some(key) = key else {
            return;
        };
        let still_there = self.users(address).any(|user| {
            let terms = self
                .by_service
                .get(user)
                .map(|assignment| &assignment.sharing);
            terms.is_some_and(|terms| terms.key.as_ref() == Some(key))
        });
        if !still_there {
            remove(&mut self.by_key, key, &address);
        }
    }
}

/// Takes `value` out of the set of `key`; an empty set goes.
fn remove<K: Ord, V: Ord>(sets: &mut BTreeMap<K, BTreeSet<V>>, key: &K, value: &V) {
    if let Some(set) = sets.get_mut(key) {
        set.remove(value);
        if set.is_empty() {
            sets.remove(key);
        }
    }
}
