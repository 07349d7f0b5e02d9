//! The decision for one Service: changes nothing.
//!
//! A Service that has what it asks for keeps it, whatever becomes of the pools. It moves for two
//! reasons only: it asks for something else than it has, or it asks to be moved. Until it can move
//! it keeps what it has; only an address that it may no longer share with the others on it is taken
//! from it.

use std::collections::BTreeSet;

use super::Allocator;
use super::decision::{Allocation, Decision, Outlook};
use super::directory::permits;
use super::families::FamilyPolicy;
use super::refusal::Refusal;
use super::request::Request;
use super::search::Search;
use super::waiting::Cause;
use crate::range::IpFamily;

/// A decision and what follows from it.
pub(super) struct Outcome {
    pub(super) decision: Decision,
    /// What would lead to another decision, apart from a change of pools; `None` if the Service has
    /// all that it asks for.
    pub(super) waits_for: Option<BTreeSet<Cause>>,
    /// Whether the Service was moved because it asked to be.
    pub(super) reallocated: bool,
}

impl Allocator {
    pub(super) fn decide(&self, request: &Request) -> Outcome {
        let assignment = self.assignments.get(&request.service);
        let had: &[Allocation] = assignment.map_or(&[], |assignment| &assignment.addresses);
        // Without those that it may no longer share.
        let mut has: Vec<Allocation> = Vec::with_capacity(had.len());
        for allocation in had {
            let conflict =
                self.assignments
                    .conflict(allocation.address, &request.service, &request.sharing);
            if conflict.is_none() {
                has.push(self.recorded(allocation, request));
            }
        }
        has.sort_by_key(|allocation| request.families.place(allocation.address));
        let keeps: Vec<Allocation> = has
            .iter()
            .filter(|allocation| request.families.allows(IpFamily::of(allocation.address)))
            .cloned()
            .collect();

        let was_moved = assignment.is_some_and(|assignment| assignment.reallocated);
        let is_satisfied = self.satisfied(request, &keeps);
        let shall_move = request.reallocate && !was_moved && !asks_for_all_of(request, &keeps);
        if is_satisfied && !shall_move {
            let reallocated = request.reallocate && was_moved;
            return self.settled(request, keeps, reallocated);
        }
        // Who asks to be moved is not moved to less than it has.
        let (reuse, at_least): (&[Allocation], usize) = if shall_move {
            (&[], keeps.len())
        } else {
            (&keeps, 1)
        };
        let search = Search::new(self, request, reuse, at_least);
        match request.check_families().and_then(|()| search.find()) {
            Ok(mut found) => {
                found.sort_by_key(|allocation| request.families.place(allocation.address));
                self.settled(request, found, request.reallocate)
            }
            Err(refusal) => {
                let addresses = if keeps.is_empty() { has } else { keeps };
                let waits_for = Some(self.causes(request));
                let decision = if addresses.is_empty() {
                    Decision::Waiting { refusal }
                } else {
                    Decision::Kept {
                        addresses,
                        refusal,
                        outlook: Outlook::MovesWhenPossible,
                    }
                };
                Outcome {
                    decision,
                    waits_for,
                    reallocated: request.reallocate && was_moved,
                }
            }
        }
    }

    /// The decision for a Service that has, or now gets, all that it asks for.
    fn settled(
        &self,
        request: &Request,
        mut addresses: Vec<Allocation>,
        reallocated: bool,
    ) -> Outcome {
        let outcome = |decision, waits_for| Outcome {
            decision,
            waits_for,
            reallocated,
        };
        let complaint = addresses
            .iter()
            .find_map(|allocation| self.complaint(allocation, request));
        if let Some(refusal) = complaint {
            let decision = Decision::Kept {
                addresses,
                refusal,
                outlook: Outlook::StaysUntilReallocated,
            };
            // Only a change of pools can help.
            return outcome(decision, Some(BTreeSet::new()));
        }
        let (mut degraded, mut waits_for) = (None, None);
        if let FamilyPolicy::PreferDualStack { .. } = request.families
            && let [only] = addresses.as_slice()
        {
            let family = IpFamily::of(only.address).other();
            match self.second(request, only, family) {
                Ok(second) => addresses.push(second),
                Err(refusal) => {
                    degraded = Some(refusal);
                    let pool = only.pool.clone();
                    let stock = pool.map(|pool| Cause::Stock(pool, family));
                    let key = request.sharing.key.clone().map(Cause::Key);
                    waits_for = Some(stock.into_iter().chain(key).collect());
                }
            }
        }
        addresses.sort_by_key(|allocation| request.families.place(allocation.address));
        let decision = Decision::Allocated {
            addresses,
            degraded,
        };
        outcome(decision, waits_for)
    }

    /// An address of the second `family`, from the pool of the first one.
    fn second(
        &self,
        request: &Request,
        first: &Allocation,
        family: IpFamily,
    ) -> Result<Allocation, Refusal> {
        let Some((id, pool)) = self.directory.locate(first.address) else {
            let address = first.address;
            return Err(Refusal::AddressOutsidePools { address });
        };
        let pool = pool.name().clone();
        Search::new(self, request, &[], 1)
            .pick(id, family)
            .ok_or_else(|| match self.inventory.total(id, family) {
                0 => Refusal::PoolLacksFamily { pool, family },
                _ => Refusal::Exhausted {
                    families: vec![family],
                    pools: std::iter::once(pool).collect(),
                },
            })
    }

    /// Whether `has` is all that the Service asks for, apart from a second family that it only
    /// prefers.
    fn satisfied(&self, request: &Request, has: &[Allocation]) -> bool {
        let has_family = |family| {
            has.iter()
                .any(|allocation| IpFamily::of(allocation.address) == family)
        };
        request.check_families().is_ok()
            && request.families.satisfied_by(has_family)
            && (request.addresses.is_empty() || asks_for_all_of(request, has))
            && has
                .iter()
                .all(|allocation| self.is_of_wanted_pool(allocation, request))
    }

    /// Whether the address is, or was when it was given, of the pool that the Service asks for. If
    /// the pool was changed since, that is no reason to move.
    fn is_of_wanted_pool(&self, allocation: &Allocation, request: &Request) -> bool {
        let Some(wanted) = &request.pool else {
            return true;
        };
        allocation.pool.as_ref() == Some(wanted)
            || self
                .directory
                .find(wanted)
                .is_some_and(|(_, pool)| pool.addresses().contains(allocation.address))
    }

    /// The allocation with the pool that it counts to now: the one that gives the address, unless
    /// the Service asks for the one that it was given from.
    fn recorded(&self, allocation: &Allocation, request: &Request) -> Allocation {
        let address = allocation.address;
        let of_wanted = request.pool.is_some() && self.is_of_wanted_pool(allocation, request);
        let pool = if of_wanted {
            request.pool.clone()
        } else {
            let given_by = self.directory.locate(address);
            given_by
                .map(|(_, pool)| pool.name().clone())
                .or_else(|| allocation.pool.clone())
        };
        Allocation { address, pool }
    }

    /// Why the Service would not get the address any more if it did not have it.
    fn complaint(&self, allocation: &Allocation, request: &Request) -> Option<Refusal> {
        let address = allocation.address;
        let Some((_, pool)) = self.directory.locate(address) else {
            return Some(self.directory.not_given(address));
        };
        if let Some(wanted) = &request.pool
            && wanted != pool.name()
        {
            let pool = wanted.clone();
            return Some(match self.directory.find(wanted) {
                Some(_) => Refusal::AddressNotInPool { address, pool },
                None => Refusal::PoolNotFound { pool },
            });
        }
        let why = permits(pool, request).err()?;
        let pool = pool.name().clone();
        Some(Refusal::PoolNotForService { pool, why })
    }

    /// What could give the Service what it asks for.
    fn causes(&self, request: &Request) -> BTreeSet<Cause> {
        let mut causes: BTreeSet<Cause> = BTreeSet::new();
        let families = request.families.families();
        causes.extend(request.sharing.key.clone().map(Cause::Key));
        if !request.addresses.is_empty() {
            causes.extend(request.addresses.iter().copied().map(Cause::Address));
            return causes;
        }
        let mut pools = Vec::new();
        if let Some(pool) = &request.pool {
            pools.push(pool.clone());
        } else {
            causes.extend(families.iter().copied().map(Cause::Fallback));
            let pinned = self.directory.pinned_for(request).into_iter();
            pools.extend(pinned.filter_map(|id| self.directory.name(id).cloned()));
        }
        for pool in pools {
            let stocks = families.iter().copied();
            causes.extend(stocks.map(|family| Cause::Stock(pool.clone(), family)));
        }
        causes
    }
}

/// Whether the Service asks for exactly the addresses that it has.
fn asks_for_all_of(request: &Request, has: &[Allocation]) -> bool {
    let is_wanted = |allocation: &Allocation| request.addresses.contains(&allocation.address);
    !has.is_empty() && has.len() == request.addresses.len() && has.iter().all(is_wanted)
}
