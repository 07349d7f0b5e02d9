//! What is decided for a Service.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::refusal::Refusal;
use crate::name::PoolName;

/// What is decided for a Service. Its addresses are in the order of its families.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decision {
    /// It has what it asks for.
    Allocated {
        /// Its addresses, at least one.
        addresses: Vec<Allocation>,
        /// With `PreferDualStack` and one address: why there is no second one.
        degraded: Option<Refusal>,
    },
    /// It has addresses, but not those that it asks for, or they are no longer its to have.
    Kept {
        /// The addresses that it keeps, at least one.
        addresses: Vec<Allocation>,
        /// What is wrong.
        refusal: Refusal,
        /// What becomes of it.
        outlook: Outlook,
    },
    /// It has no address, and waits.
    Waiting {
        /// What it waits for.
        refusal: Refusal,
    },
}

/// What becomes of a Service that keeps addresses although something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outlook {
    /// It moves as soon as what it asks for can be had.
    MovesWhenPossible,
    /// It stays until somebody asks that it moves: a pool was changed under it, and nobody's
    /// address is taken away for that.
    StaysUntilReallocated,
}

/// An address of a Service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Allocation {
    /// The address.
    pub address: IpAddr,
    /// The pool that it is from, also if the pool was changed since and does not have it any more.
    /// `None` only if no pool is known ever to have had it.
    pub pool: Option<PoolName>,
}

impl Decision {
    /// The addresses that the Service has now, in the order of its status.
    #[must_use]
    pub fn addresses(&self) -> &[Allocation] {
        match self {
            Self::Allocated { addresses, .. } | Self::Kept { addresses, .. } => addresses,
            Self::Waiting { .. } => &[],
        }
    }

    /// Why the Service does not have what it asks for.
    #[must_use]
    pub const fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Allocated { .. } => None,
            Self::Kept { refusal, .. } | Self::Waiting { refusal } => Some(refusal),
        }
    }
}
