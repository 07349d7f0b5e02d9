//! A pool: addresses that Services may get, and which Services may get them.
//!
//! [`PoolSpec`] is what a user wrote, [`Pool`] the same once it is known to make sense; what does
//! not is refused with a [`PoolError`] that names the field, its value and the way out. A pool knows
//! nothing of other pools and of what is in use: that is [`crate::allocator`].

mod cooldown;
mod error;
mod service_allocation;
mod special;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use cooldown::{DurationError, parse_duration};
pub use error::PoolError;
pub use service_allocation::{NotPermitted, ServiceAllocation, ServiceAllocationSpec};

use crate::name::PoolName;
use crate::range::{AddressRange, AddressSet, IpFamily, number};

/// A pool as it is written in an `IPAddressPool`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolSpec {
    /// Its name.
    pub name: PoolName,
    /// When it was created, in seconds since 1970. Of two pools that overlap, the older wins.
    pub created: i64,
    /// Networks and ranges, as text.
    pub addresses: Vec<String>,
    /// Whether Services that do not ask for the pool may get an address of it.
    pub auto_assign: bool,
    /// Whether IPv4 addresses that end in .0 or .255 are left out.
    pub avoid_buggy_ips: bool,
    /// Networks and ranges inside `addresses` that are left out, as text.
    pub exclude: Vec<String>,
    /// How long a freed address rests, as text such as `30s`.
    pub cooldown: Option<String>,
    /// Which free address a Service gets.
    pub strategy: Strategy,
    /// Which Services may get addresses; without it, all.
    pub service_allocation: Option<ServiceAllocationSpec>,
}

impl PoolSpec {
    /// The pool `name` of these `addresses`, everything else as it is when nothing is written.
    #[must_use]
    pub fn new(name: &str, addresses: &[&str]) -> Self {
        Self {
            name: name.into(),
            created: 0,
            addresses: addresses.iter().map(|&text| text.to_owned()).collect(),
            auto_assign: true,
            avoid_buggy_ips: false,
            exclude: Vec::new(),
            cooldown: None,
            strategy: Strategy::default(),
            service_allocation: None,
        }
    }
}

/// Which free address of a pool a Service gets.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum Strategy {
    /// The one it had last while that is free, else one that follows from its name, so that a
    /// Service that is deleted and created again gets the same.
    #[default]
    Sticky,
    /// The lowest.
    First,
    /// Any.
    Random,
}

/// A pool that makes sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    name: PoolName,
    created: i64,
    /// What is written in `addresses`.
    addresses: AddressSet,
    /// `addresses` without `exclude`.
    offered: AddressSet,
    auto_assign: bool,
    avoid_buggy_ips: bool,
    cooldown: Duration,
    strategy: Strategy,
    service_allocation: Option<ServiceAllocation>,
}

impl Pool {
    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &PoolName {
        &self.name
    }

    /// Its place among the pools: older first, then by name.
    #[must_use]
    pub const fn age(&self) -> (i64, &PoolName) {
        (self.created, &self.name)
    }

    /// All its addresses, also those that it does not give.
    #[must_use]
    pub const fn addresses(&self) -> &AddressSet {
        &self.addresses
    }

    /// Its addresses without those excluded. Those that `avoidBuggyIPs` leaves out are still in.
    #[must_use]
    pub const fn offered(&self) -> &AddressSet {
        &self.offered
    }

    /// Whether Services that do not ask for the pool may get an address of it.
    #[must_use]
    pub const fn auto_assign(&self) -> bool {
        self.auto_assign
    }

    /// Whether IPv4 addresses that end in .0 or .255 are left out.
    #[must_use]
    pub const fn avoids_buggy_ips(&self) -> bool {
        self.avoid_buggy_ips
    }

    /// How long a freed address rests before another Service may get it.
    #[must_use]
    pub const fn cooldown(&self) -> Duration {
        self.cooldown
    }

    /// Which free address a Service gets.
    #[must_use]
    pub const fn strategy(&self) -> Strategy {
        self.strategy
    }

    /// Which Services may get addresses; without it, all. A pool that has one is not among those
    /// that every Service falls back to.
    #[must_use]
    pub const fn service_allocation(&self) -> Option<&ServiceAllocation> {
        self.service_allocation.as_ref()
    }

    /// Why the pool, on its own, does not give `address`.
    pub fn gives(&self, address: IpAddr) -> Result<(), NotGiven> {
        if !self.addresses.contains(address) {
            Err(NotGiven::Outside)
        } else if !self.offered.contains(address) {
            Err(NotGiven::Excluded)
        } else if self.is_buggy(address) {
            Err(NotGiven::Buggy)
        } else {
            Ok(())
        }
    }

    /// Whether `avoidBuggyIPs` leaves `address` out.
    pub(crate) fn is_buggy(&self, address: IpAddr) -> bool {
        self.avoid_buggy_ips
            && IpFamily::of(address) == IpFamily::V4
            && matches!(number(address) & 0xff, 0x00 | 0xff)
    }
}

/// Why a pool does not give an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NotGiven {
    /// It is not in `addresses`.
    Outside,
    /// It is in `exclude`.
    Excluded,
    /// `avoidBuggyIPs` leaves it out.
    Buggy,
}

impl TryFrom<PoolSpec> for Pool {
    type Error = PoolError;

    fn try_from(spec: PoolSpec) -> Result<Self, Self::Error> {
        if spec.addresses.is_empty() {
            return Err(PoolError::NoAddresses);
        }
        let addresses = parse_addresses(&spec.addresses)?;
        let exclude = parse_exclude(&spec.exclude, &addresses)?;
        let cooldown = match &spec.cooldown {
            Some(text) => parse_duration(text).map_err(PoolError::Cooldown)?,
            None => Duration::ZERO,
        };
        Ok(Self {
            name: spec.name,
            created: spec.created,
            offered: addresses.difference(&exclude),
            addresses,
            auto_assign: spec.auto_assign,
            avoid_buggy_ips: spec.avoid_buggy_ips,
            cooldown,
            strategy: spec.strategy,
            service_allocation: spec
                .service_allocation
                .map(ServiceAllocation::try_from)
                .transpose()?,
        })
    }
}

fn parse_addresses(texts: &[String]) -> Result<AddressSet, PoolError> {
    let mut set = AddressSet::default();
    let mut ranges: Vec<AddressRange> = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        let field = || format!("spec.addresses[{index}]");
        let range: AddressRange = text.parse().map_err(|error| PoolError::Range {
            field: field(),
            error,
        })?;
        if let Some((special, kind)) = special::within(range) {
            return Err(PoolError::NotForHosts {
                field: field(),
                range: Box::new(range),
                special: Box::new(special),
                kind,
            });
        }
        // Looking through all ranges is for the message only.
        if set.overlaps(range)
            && let Some((first_index, first)) = ranges
                .iter()
                .enumerate()
                .find(|(_, earlier)| earlier.intersection(&range).is_some())
        {
            return Err(PoolError::OverlapInside {
                field: field(),
                range: Box::new(range),
                first_field: format!("spec.addresses[{first_index}]"),
                first: Box::new(*first),
            });
        }
        set.insert(range);
        ranges.push(range);
    }
    Ok(set)
}

fn parse_exclude(texts: &[String], addresses: &AddressSet) -> Result<AddressSet, PoolError> {
    let mut set = AddressSet::default();
    for (index, text) in texts.iter().enumerate() {
        let field = || format!("spec.exclude[{index}]");
        let range: AddressRange = text.parse().map_err(|error| PoolError::Range {
            field: field(),
            error,
        })?;
        if !addresses.overlaps(range) {
            return Err(PoolError::ExcludeOutside {
                field: field(),
                range: Box::new(range),
            });
        }
        set.insert(range);
    }
    Ok(set)
}
