//! Why a Service does not get what it asks for.
//!
//! A closed list: each has a [reason](Refusal::reason) for machines and a sentence for people that
//! names the objects and the way out. Neither depends on the time, so that a refusal that stays the
//! same causes no write.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::moment::Moment;
use crate::name::{PoolName, ServiceName};
use crate::pool::NotPermitted;
use crate::range::IpFamily;
use crate::sharing::{Port, SharingConflict};

/// Why a Service does not get what it asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// Its families are not known yet.
    #[error("the Service has no cluster IP yet, which would say its address families")]
    NoClusterIp,
    /// It requires two families and has a cluster IP of one.
    #[error(
        "ipFamilyPolicy is RequireDualStack, but the Service has a cluster IP of {family} only: \
         write PreferDualStack or SingleStack, or give the cluster both families"
    )]
    NotEnoughClusterIps {
        /// The one it has.
        family: IpFamily,
    },
    /// What it asks for is no address.
    #[error("{text:?} is not an IP address: ask for example for 192.0.2.10")]
    NotAnAddress {
        /// What it asks for.
        text: String,
    },
    /// It asks for two addresses of one family.
    #[error("{first} and {second} are of the same family: ask for one address of each family")]
    RepeatedFamily {
        /// The first one.
        first: IpAddr,
        /// The second one.
        second: IpAddr,
    },
    /// It asks for addresses of other families than its own.
    #[error(
        "the Service asks for {}, but its address families are {}: ask for exactly one address of \
         each of them",
        list(addresses),
        list(families)
    )]
    FamilyMismatch {
        /// The addresses it asks for.
        addresses: Vec<IpAddr>,
        /// Its families.
        families: Vec<IpFamily>,
    },
    /// There is no pool at all.
    #[error("there is no IPAddressPool: create one")]
    NoPools,
    /// The pool it asks for does not exist.
    #[error("the pool {pool} does not exist: create it, or ask for another")]
    PoolNotFound {
        /// The pool it asks for.
        pool: PoolName,
    },
    /// The pool is not for this Service.
    #[error("the pool {pool} is not for this Service: {why}")]
    PoolNotForService {
        /// The pool it asks for, or that the address is from.
        pool: PoolName,
        /// What excludes it.
        why: NotPermitted,
    },
    /// The pool it asks for has no addresses of a family.
    #[error("the pool {pool} has no {family} addresses: add some, or ask for another pool")]
    PoolLacksFamily {
        /// The pool.
        pool: PoolName,
        /// The family.
        family: IpFamily,
    },
    /// Pools exist, but none is for Services that name none, or none for this one.
    #[error(
        "no pool gives addresses to this Service by itself: name one by the annotation \
         bellwether.dev/address-pool, or look at autoAssign and serviceAllocation of the pools"
    )]
    NoAutoAssignPool,
    /// No pool that the Service may use has addresses of its families.
    #[error(
        "no pool that the Service may use has addresses of {} (from one pool, if of both families)",
        list(families)
    )]
    NoPoolOfFamily {
        /// Its families.
        families: Vec<IpFamily>,
    },
    /// All pools that the Service may use are full.
    #[error(
        "no address of {} is free in {pools}: add addresses, or delete Services that need theirs no \
         more",
        list(families)
    )]
    Exhausted {
        /// The families that it needs.
        families: Vec<IpFamily>,
        /// The pools.
        pools: PoolList,
    },
    /// No pool has the address.
    #[error("{address} is in no pool: add it to one")]
    AddressOutsidePools {
        /// The address.
        address: IpAddr,
    },
    /// The address is not in the pool that the Service asks for.
    #[error("{address} is not in the pool {pool} that the Service asks for")]
    AddressNotInPool {
        /// The address.
        address: IpAddr,
        /// The pool it asks for.
        pool: PoolName,
    },
    /// Its pool does not give the address.
    #[error("the pool {pool} does not give {address}: {why}")]
    AddressExcluded {
        /// The address.
        address: IpAddr,
        /// The pool that has it.
        pool: PoolName,
        /// What leaves it out.
        why: Exclusion,
    },
    /// Another Service had the address a short time ago.
    #[error(
        "{address} rests since {last_user} released it, as the cooldown of the pool {pool} says"
    )]
    AddressResting {
        /// The address.
        address: IpAddr,
        /// The pool that has it.
        pool: PoolName,
        /// The Service that had it last, and may have it back.
        last_user: ServiceName,
        /// Until when.
        until: Moment,
    },
    /// The two addresses are from two pools.
    #[error("{first} and {second} are in different pools: ask for two addresses of one pool")]
    AddressesInDifferentPools {
        /// The first one.
        first: IpAddr,
        /// The second one.
        second: IpAddr,
    },
    /// Another Service has the address and does not share it.
    #[error(
        "{address} is in use by {by}: ask for another, or give both Services the same annotation \
         bellwether.dev/allow-shared-ip"
    )]
    AddressInUse {
        /// The address.
        address: IpAddr,
        /// Who has it.
        by: ServiceName,
    },
    /// Another Service has the address and shares it under another key.
    #[error(
        "{address} is in use by {by}, which has another sharing key: give both the same annotation \
         bellwether.dev/allow-shared-ip"
    )]
    SharingKeyDiffers {
        /// The address.
        address: IpAddr,
        /// Who has it.
        by: ServiceName,
    },
    /// Another Service uses the same port of the address.
    #[error("port {port} of {address} is in use by {by}: use another port or another address")]
    SharingPortConflict {
        /// The address.
        address: IpAddr,
        /// Who has it.
        by: ServiceName,
        /// The port that both have.
        port: Port,
    },
    /// The Services on the address have different externalTrafficPolicies.
    #[error(
        "{address} is shared with {by}, which has another externalTrafficPolicy: give both the same"
    )]
    SharingPolicyDiffers {
        /// The address.
        address: IpAddr,
        /// Who has it.
        by: ServiceName,
    },
    /// The Services on the address have externalTrafficPolicy Local and different pods.
    #[error(
        "{address} is shared with {by}, and both have externalTrafficPolicy Local: that needs the \
         same selector, which must not be empty"
    )]
    SharingSelectorDiffers {
        /// The address.
        address: IpAddr,
        /// Who has it.
        by: ServiceName,
    },
}

/// What leaves an address of a pool out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exclusion {
    /// `exclude` of the pool.
    Exclude,
    /// `avoidBuggyIPs` of the pool.
    AvoidBuggyIps,
}

impl fmt::Display for Exclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exclude => "it is in exclude",
            Self::AvoidBuggyIps => "avoidBuggyIPs leaves out what ends in .0 or .255",
        })
    }
}

/// Pools, of which only the first few are named, because there may be thousands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolList {
    /// The first few, in the order in which they were looked at.
    pub first: Vec<PoolName>,
    /// How many there are.
    pub count: usize,
}

impl PoolList {
    /// How many are named.
    const NAMED: usize = 4;

    /// These and then `others`.
    pub(super) fn followed_by(mut self, others: &Self) -> Self {
        let room = Self::NAMED.saturating_sub(self.first.len());
        self.first.extend(others.first.iter().take(room).cloned());
        self.count += others.count;
        self
    }
}

impl FromIterator<PoolName> for PoolList {
    fn from_iter<I: IntoIterator<Item = PoolName>>(pools: I) -> Self {
        let mut list = Self::default();
        for pool in pools {
            if list.count < Self::NAMED {
                list.first.push(pool);
            }
            list.count += 1;
        }
        list
    }
}

impl fmt::Display for PoolList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.count == 1 { "" } else { "s" };
        write!(f, "the pool{plural} {}", list(&self.first))?;
        match self.count.saturating_sub(self.first.len()) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// The items with commas between.
pub(super) fn list<T: ToString>(items: &[T]) -> String {
    items
        .iter()
        .map(T::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

impl Refusal {
    /// The refusal of `address` to a Service that cannot share it with `by`.
    pub(super) fn not_shared(address: IpAddr, by: ServiceName, conflict: &SharingConflict) -> Self {
        match *conflict {
            SharingConflict::NoKey => Self::AddressInUse { address, by },
            SharingConflict::Key => Self::SharingKeyDiffers { address, by },
            SharingConflict::Port(port) => Self::SharingPortConflict { address, by, port },
            SharingConflict::Policy => Self::SharingPolicyDiffers { address, by },
            SharingConflict::Selector => Self::SharingSelectorDiffers { address, by },
        }
    }
}
