//! Finding addresses for a Service: changes nothing.
//!
//! Where it looks, in order: the addresses that the Service asks for; the pool that it asks for; the
//! pool that it has an address of already; the pool of addresses that it had before; a pool where
//! Services with its sharing key have an address it can share; the pools whose `serviceAllocation`
//! names it, by priority; the pools that every Service falls back to. Among equals the older pool is
//! first.
//!
//! In a pool: an address that it has, one that it had, one that it can share, and else a free one as
//! the pool's strategy says. Two families always come from one pool.

use std::collections::BTreeMap;
use std::hash::Hasher;
use std::net::IpAddr;

use siphasher::sip128::{Hash128, Hasher128, SipHasher24};

use super::Allocator;
use super::decision::Allocation;
use super::directory::{PoolId, permits};
use super::refusal::Refusal;
use super::request::Request;
use crate::name::{PoolName, ServiceName};
use crate::pool::{Pool, Strategy};
use crate::range::IpFamily;

/// A search for one Service.
pub(super) struct Search<'a> {
    allocator: &'a Allocator,
    request: &'a Request,
    /// Addresses that it has and may keep.
    reuse: &'a [Allocation],
    /// The sets of families that will do, best first.
    choices: Vec<Vec<IpFamily>>,
    /// The lowest address of each pool and family that it can share.
    shared: BTreeMap<(PoolId, IpFamily), IpAddr>,
}

impl<'a> Search<'a> {
    /// A search for at least that many addresses.
    pub(super) fn new(
        allocator: &'a Allocator,
        request: &'a Request,
        reuse: &'a [Allocation],
        at_least: usize,
    ) -> Self {
        let mut choices = request.families.choices();
        choices.retain(|families| families.len() >= at_least);
        Self {
            allocator,
            request,
            reuse,
            choices,
            shared: shared(allocator, request),
        }
    }

    /// Addresses that are all that the Service asks for, apart from a second family that it only
    /// prefers.
    pub(super) fn find(&self) -> Result<Vec<Allocation>, Refusal> {
        match &self.request.pool {
            _ if !self.request.addresses.is_empty() => self.explicit(),
            Some(pool) => self.named(pool),
            None => self.automatic(),
        }
    }

    fn explicit(&self) -> Result<Vec<Allocation>, Refusal> {
        let mut found: Vec<(PoolId, Allocation)> = Vec::new();
        for &address in &self.request.addresses {
            let (id, pool) = self.wanted(address)?;
            if let Some((first_id, first)) = found.first()
                && *first_id != id
            {
                return Err(Refusal::AddressesInDifferentPools {
                    first: first.address,
                    second: address,
                });
            }
            let pool = Some(pool.name().clone());
            found.push((id, Allocation { address, pool }));
        }
        Ok(found
            .into_iter()
            .map(|(_, allocation)| allocation)
            .collect())
    }

    /// The pool of an address that the Service asks for and may have.
    pub(super) fn wanted(&self, address: IpAddr) -> Result<(PoolId, &Pool), Refusal> {
        let Allocator {
            directory,
            assignments,
            rest,
            ..
        } = self.allocator;
        let (id, pool) = directory
            .locate(address)
            .ok_or_else(|| directory.not_given(address))?;
        if let Some(wanted) = &self.request.pool
            && wanted != pool.name()
        {
            let pool = wanted.clone();
            return Err(match directory.find(wanted) {
                Some(_) => Refusal::AddressNotInPool { address, pool },
                None => Refusal::PoolNotFound { pool },
            });
        }
        permits(pool, self.request).map_err(|why| Refusal::PoolNotForService {
            pool: pool.name().clone(),
            why,
        })?;
        let Request {
            service, sharing, ..
        } = self.request;
        if let Some((by, conflict)) = assignments.conflict(address, service, sharing) {
            return Err(Refusal::not_shared(address, by.clone(), &conflict));
        }
        match rest.resting(address) {
            Some((last_user, until)) if last_user != service => Err(Refusal::AddressResting {
                address,
                pool: pool.name().clone(),
                last_user: last_user.clone(),
                until,
            }),
            _ => Ok((id, pool)),
        }
    }

    fn named(&self, name: &PoolName) -> Result<Vec<Allocation>, Refusal> {
        let Some((id, pool)) = self.allocator.directory.find(name) else {
            return Err(Refusal::PoolNotFound { pool: name.clone() });
        };
        permits(pool, self.request).map_err(|why| Refusal::PoolNotForService {
            pool: name.clone(),
            why,
        })?;
        if let Some(found) = self
            .choices
            .iter()
            .find_map(|families| self.in_pool(id, families))
        {
            return Ok(found);
        }
        let mut lacks = None;
        for families in &self.choices {
            let lacking = self.lacking(id, families);
            lacks = lacks.or(lacking);
            if lacking.is_none() {
                let pools = std::iter::once(name.clone()).collect();
                return Err(Refusal::Exhausted {
                    families: families.clone(),
                    pools,
                });
            }
        }
        let family = lacks.unwrap_or(self.request.families.primary());
        let pool = name.clone();
        Err(Refusal::PoolLacksFamily { pool, family })
    }

    fn automatic(&self) -> Result<Vec<Allocation>, Refusal> {
        let Allocator {
            directory,
            inventory,
            rest,
            ..
        } = self.allocator;
        let has = self.reuse.iter().map(|allocation| allocation.address);
        let has = has.filter_map(|address| Some(directory.locate(address)?.0));
        let had = rest.of(&self.request.service);
        let had = had.filter_map(|address| Some(directory.locate(address)?.0));
        let shares = self.shared.keys().map(|&(id, _)| id);
        let mut preferred = Vec::new();
        preferred.extend(has.filter(|&id| self.permitted(id)));
        preferred.extend(self.in_order(had));
        preferred.extend(self.in_order(shares));
        let pinned = directory.pinned_for(self.request);
        preferred.extend(&pinned);

        for families in &self.choices {
            let found = preferred
                .iter()
                .copied()
                .chain(inventory.first_open(families))
                .find_map(|id| self.in_pool(id, families));
            if let Some(found) = found {
                return Ok(found);
            }
        }
        Err(self.nothing_found(&pinned))
    }

    fn nothing_found(&self, pinned: &[PoolId]) -> Refusal {
        let directory = &self.allocator.directory;
        if directory.is_empty() {
            return Refusal::NoPools;
        }
        if pinned.is_empty() && directory.fallback().is_empty() {
            return Refusal::NoAutoAssignPool;
        }
        for families in &self.choices {
            let of_families = |id: &PoolId| self.lacking(*id, families).is_none();
            let pinned = directory.names(pinned.iter().copied().filter(of_families));
            let fallback = self.allocator.inventory.fallback_with(families);
            let pools = pinned.followed_by(fallback);
            if pools.count > 0 {
                return Refusal::Exhausted {
                    families: families.clone(),
                    pools,
                };
            }
        }
        Refusal::NoPoolOfFamily {
            families: self.request.families.families(),
        }
    }

    /// Those of `pools` that the Service gets addresses of without naming them, in order.
    fn in_order(&self, pools: impl Iterator<Item = PoolId>) -> impl Iterator<Item = PoolId> {
        let mut placed: Vec<_> = pools
            .filter_map(|id| self.allocator.directory.place(id, self.request))
            .collect();
        placed.sort_unstable();
        placed.into_iter().map(|(_, _, id)| id)
    }

    fn permitted(&self, id: PoolId) -> bool {
        let pool = self.allocator.directory.get(id);
        pool.is_some_and(|pool| permits(pool, self.request).is_ok())
    }

    /// The first of `families` that the pool has no address of at all.
    pub(super) fn lacking(&self, id: PoolId, families: &[IpFamily]) -> Option<IpFamily> {
        let inventory = &self.allocator.inventory;
        let mut families = families.iter().copied();
        families.find(|&family| inventory.total(id, family) == 0)
    }

    /// An address of each of `families` from the pool.
    pub(super) fn in_pool(&self, id: PoolId, families: &[IpFamily]) -> Option<Vec<Allocation>> {
        families
            .iter()
            .map(|&family| self.pick(id, family))
            .collect()
    }

    /// An address of `family` from the pool.
    pub(super) fn pick(&self, id: PoolId, family: IpFamily) -> Option<Allocation> {
        let Allocator {
            directory,
            inventory,
            rest,
            random,
            ..
        } = self.allocator;
        let fits = |address: &IpAddr| {
            IpFamily::of(*address) == family
                && directory.locate(*address).is_some_and(|(of, _)| of == id)
        };
        let pool = directory.get(id)?;
        let service = &self.request.service;
        let free = || {
            let stock = inventory.stock(id, family)?;
            match pool.strategy() {
                Strategy::First => stock.first_free(family),
                Strategy::Sticky => {
                    let hash = sticky_hash(pool.name(), service, family);
                    stock.next_free(family, hash.checked_rem(stock.total())?)
                }
                Strategy::Random => {
                    let hash = random.draw(family);
                    stock.next_free(family, hash.checked_rem(stock.total())?)
                }
            }
        };
        let has = self.reuse.iter().map(|allocation| allocation.address);
        let address = has
            .into_iter()
            .find(fits)
            .or_else(|| rest.of(service).find(fits))
            .or_else(|| self.shared.get(&(id, family)).copied())
            .or_else(free)?;
        Some(Allocation {
            address,
            pool: Some(pool.name().clone()),
        })
    }
}

/// The lowest address of each pool and family that Services with the same sharing key have, that
/// the Service does not have itself, and that it can share.
fn shared(allocator: &Allocator, request: &Request) -> BTreeMap<(PoolId, IpFamily), IpAddr> {
    let Allocator {
        directory,
        assignments,
        ..
    } = allocator;
    let Request {
        service, sharing, ..
    } = request;
    let mut lowest = BTreeMap::new();
    let with_key = sharing.key.iter().flat_map(|key| assignments.with_key(key));
    for address in with_key {
        if let Some((id, _)) = directory.locate(address)
            && !lowest.contains_key(&(id, IpFamily::of(address)))
            && assignments.users(address).all(|user| user != service)
            && assignments.conflict(address, service, sharing).is_none()
        {
            lowest.insert((id, IpFamily::of(address)), address);
        }
    }
    lowest
}

/// Where a Service starts to look for a free address in a pool of strategy Sticky, before it is
/// reduced to the number of addresses.
///
/// SipHash-2-4 of 128 bits with a zero key over the pool's name, one zero octet, the namespace, one
/// zero octet, the Service's name, one zero octet, and the number of bits of an address of the
/// family as one octet; its second word is the high one. It never changes, because it makes a Service find its address again after
/// everything was restarted.
fn sticky_hash(pool: &PoolName, service: &ServiceName, family: IpFamily) -> u128 {
    let mut hasher = SipHasher24::new();
    for text in [pool.as_str(), &service.namespace, &service.name] {
        hasher.write(text.as_bytes());
        hasher.write_u8(0);
    }
    hasher.write_u8(family.bits());
    wide(hasher.finish128())
}

fn wide(hash: Hash128) -> u128 {
    u128::from(hash.h2) << 64 | u128::from(hash.h1)
}

/// Numbers that look random: those of the strategy Random.
#[derive(Clone, Debug)]
pub(super) struct Random {
    seed: u64,
    drawn: u64,
}

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    /// The number for this draw; the same until [`Random::advance`].
    fn draw(&self, family: IpFamily) -> u128 {
        let mut hasher = SipHasher24::new_with_keys(self.seed, self.drawn);
        hasher.write_u8(family.bits());
        wide(hasher.finish128())
    }

    /// Goes on to the next number.
    pub(super) const fn advance(&mut self) {
        self.drawn = self.drawn.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden values, computed by another implementation of SipHash-2-4-128: a change of them takes
    /// the address away from every Service that is created again after an upgrade.
    #[test]
    fn the_sticky_hash_never_changes() {
        let hash = |family| {
            let service = ServiceName::new("shop", "web");
            sticky_hash(&"blue".into(), &service, family)
        };
        assert_eq!(hash(IpFamily::V4), GOLDEN[0]);
        assert_eq!(hash(IpFamily::V6), GOLDEN[1]);
    }

    const GOLDEN: [u128; 2] = [
        221_885_898_835_278_953_325_478_665_578_027_003_237,
        122_951_800_276_084_346_047_363_077_423_862_212_072,
    ];

    #[test]
    fn random_numbers_differ_by_seed_draw_and_family() {
        let (one, mut other) = (Random::new(1), Random::new(2));
        assert_ne!(one.draw(IpFamily::V4), other.draw(IpFamily::V4));
        assert_ne!(one.draw(IpFamily::V4), one.draw(IpFamily::V6));
        let before = other.draw(IpFamily::V4);
        assert_eq!(before, other.draw(IpFamily::V4));
        other.advance();
        assert_ne!(before, other.draw(IpFamily::V4));
    }
}
