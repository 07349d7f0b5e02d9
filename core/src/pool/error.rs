//! Why a pool makes no sense.

use crate::range::{AddressRange, RangeError};
use crate::selector::SelectorError;

use super::cooldown::DurationError;

/// Why a pool makes no sense: the field, its value and the way out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// There are none.
    #[error("spec.addresses is empty: write at least one network or range, such as 192.0.2.0/24")]
    NoAddresses,
    /// A text is neither a network nor a range.
    #[error("{field}: {error}")]
    Range {
        /// Such as `spec.addresses[0]`.
        field: String,
        /// What is wrong with it.
        error: RangeError,
    },
    /// Two entries of `addresses` hold the same addresses.
    #[error("{field}: {range} overlaps {first} in {first_field}: remove one of them")]
    OverlapInside {
        /// The later entry.
        field: String,
        /// What it says.
        range: Box<AddressRange>,
        /// The earlier entry.
        first_field: String,
        /// What that says.
        first: Box<AddressRange>,
    },
    /// Some of the addresses cannot be those of a host.
    #[error("{field}: {range} holds {special}, which no host can have ({kind}): leave it out")]
    NotForHosts {
        /// Such as `spec.addresses[0]`.
        field: String,
        /// What it says.
        range: Box<AddressRange>,
        /// The part that is meant.
        special: Box<AddressRange>,
        /// What such addresses are.
        kind: &'static str,
    },
    /// Nothing is excluded by an entry of `exclude`; most likely it is a slip.
    #[error("{field}: {range} is outside spec.addresses: remove it, or write what you meant")]
    ExcludeOutside {
        /// Such as `spec.exclude[0]`.
        field: String,
        /// What it says.
        range: Box<AddressRange>,
    },
    /// `cooldown` is no duration.
    #[error("spec.cooldown: {0}")]
    Cooldown(DurationError),
    /// A selector makes no sense.
    #[error("{field}: {error}")]
    Selector {
        /// Such as `spec.serviceAllocation.serviceSelectors[0]`.
        field: String,
        /// What is wrong with it.
        error: SelectorError,
    },
    /// A list has the same entry twice.
    #[error("{field}: {value} is there twice: remove one of them")]
    Duplicate {
        /// The later entry.
        field: String,
        /// The entry.
        value: String,
    },
}
