//! The reasons that the controller writes into conditions and events: a closed list for each object.
//! Each is explained to operators in `docs/troubleshooting.md`.

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
            Self::Contradiction(_) => AllocatedReason::ContradictingAnnotations.as_str(),
            Self::AddressesTwice { .. } => AllocatedReason::AddressesRequestedTwice.as_str(),
        }
    }
}

bellwether_core::reasons! {
    /// Reasons of `bellwether.dev/Allocated` of a Service, and of its events, beside the
    /// [refusals](bellwether_core::allocator::RefusalReason) of the allocator.
    pub enum AllocatedReason {
        /// The Service has the addresses it asks for.
        Allocated,
        /// Two annotations say different things.
        ContradictingAnnotations,
        /// An annotation and `spec.loadBalancerIP` say different things.
        AddressesRequestedTwice,
    }
}

bellwether_core::reasons! {
    /// Reasons of `bellwether.dev/Announced` of a Service.
    pub enum AnnouncedReason {
        /// Each address is announced by a node.
        Announced,
        /// There is no address that could be announced.
        NoAddress,
        /// No `L2Advertisement` covers an address.
        NoAdvertisement,
        /// No endpoint is ready, and externalTrafficPolicy is Local or the advertisement withdraws the
        /// address meanwhile.
        NoReadyEndpoint,
        /// No node that may announce an address is eligible.
        NoEligibleNode,
        /// Nodes may announce an address, but none has said yet that it does.
        WaitingForSpeaker,
    }
}

bellwether_core::reasons! {
    /// Reasons of the events on a Service that no condition has. The others have the reason of
    /// `bellwether.dev/Allocated`.
    pub enum EventReason {
        /// Another node announces an address than before.
        Moved,
        /// Another host uses an address.
        Conflict,
    }
}

bellwether_core::reasons! {
    /// Reasons of the conditions of a pool.
    pub enum PoolReason {
        /// Its addresses are given to Services.
        Valid,
        /// It cannot be used as it is written.
        Invalid,
        /// All its addresses are excluded, or an older pool has them.
        GivesNothing,
        /// Another pool has some of its addresses.
        Overlap,
        /// No other pool has its addresses.
        NoOverlap,
        /// At most a tenth of its addresses of a family is free.
        FewFree,
        /// More than a tenth of its addresses is free.
        EnoughFree,
        /// No address of a family is free.
        NothingFree,
        /// Every family has free addresses.
        SomethingFree,
        /// Services have addresses from it that it does not give any more.
        Strays,
        /// It gives all addresses that Services have from it.
        NoStrays,
    }
}

bellwether_core::reasons! {
    /// Reasons of the condition `Ready` of an advertisement.
    pub enum AdvertisementReason {
        /// It announces the addresses of at least one pool.
        Valid,
        /// It cannot be used as it is written.
        Invalid,
        /// It matches no pool.
        NoPool,
        /// It matches no node.
        NoNode,
    }
}

bellwether_core::reasons! {
    /// Why a node may not announce addresses: `spec.reason` of its Speaker.
    pub enum EligibilityReason {
        /// The Node has the label that excludes it from external load balancers.
        Excluded,
        /// The Node's condition `NetworkUnavailable` is `True`.
        NetworkUnavailable,
        /// The Node's condition `Ready` is not `True`.
        NotReady,
        /// The Node is cordoned.
        Cordoned,
    }
}

#[cfg(test)]
mod tests;
