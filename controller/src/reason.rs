//! The reasons that the controller writes into conditions and events: a closed list.

use bellwether_core::allocator::Refusal;
use bellwether_crds::annotation::Contradiction;

/// Why what a Service asks for cannot be met, or not even be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The allocator refuses it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Two annotations contradict each other.
    #[error(transparent)]
    Contradiction(#[from] Contradiction),
    /// It asks for addresses in two places.
    #[error(
        "the annotation bellwether.dev/loadBalancerIPs asks for {annotated} and \
         spec.loadBalancerIP for {field}; remove one of them"
    )]
    AddressesTwice {
        /// What the annotation says.
        annotated: String,
        /// What the field says.
        field: String,
    },
}

impl Problem {
    /// The reason, in one word.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.reason(),
            Self::Contradiction(_) => "ContradictingAnnotations",
            Self::AddressesTwice { .. } => "AddressesRequestedTwice",
        }
    }
}

/// A Service has the addresses it asks for.
pub const ALLOCATED: &str = "Allocated";

/// Each address of a Service is announced.
pub const ANNOUNCED: &str = "Announced";

/// A Service has no address that could be announced.
pub const NO_ADDRESS: &str = "NoAddress";

/// No `L2Advertisement` covers an address.
pub const NO_ADVERTISEMENT: &str = "NoAdvertisement";

/// externalTrafficPolicy is Local, and no node has a ready endpoint.
pub const NO_READY_ENDPOINT: &str = "NoReadyEndpoint";

/// No node that may announce an address is eligible.
pub const NO_ELIGIBLE_NODE: &str = "NoEligibleNode";

/// Nodes may announce an address, but none has said yet that it does.
pub const WAITING_FOR_SPEAKER: &str = "WaitingForSpeaker";

/// A pool or an advertisement does what it is for.
pub const VALID: &str = "Valid";

/// A pool or an advertisement cannot be used as it is written.
pub const INVALID: &str = "Invalid";

/// An advertisement matches no pool.
pub const NO_POOL: &str = "NoPool";

/// An advertisement matches no node.
pub const NO_NODE: &str = "NoNode";

/// Two pools have the same addresses.
pub const OVERLAP: &str = "Overlap";

/// No two pools have the same addresses.
pub const NO_OVERLAP: &str = "NoOverlap";

/// Nothing is left of a pool: all its addresses are excluded, or an older pool has them.
pub const GIVES_NOTHING: &str = "GivesNothing";

/// Few addresses of a pool are free.
pub const FEW_FREE: &str = "FewFree";

/// Enough addresses of a pool are free.
pub const ENOUGH_FREE: &str = "EnoughFree";

/// Services have addresses from a pool that it does not give any more.
pub const STRAYS: &str = "Strays";

/// All addresses that Services have from a pool are addresses that it gives.
pub const NO_STRAYS: &str = "NoStrays";

/// A family of a pool has no free address.
pub const NOTHING_FREE: &str = "NothingFree";

/// Every family of a pool has free addresses.
pub const SOMETHING_FREE: &str = "SomethingFree";
