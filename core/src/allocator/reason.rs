//! The words for refusals, as conditions and metrics have them.

use super::refusal::Refusal;

crate::reasons! {
    /// A [`Refusal`] without its particulars.
    pub enum RefusalReason {
        /// The Service has no cluster IP yet.
        NoClusterIP,
        /// The Service requires two families and has a cluster IP of one.
        NotEnoughClusterIPs,
        /// What the Service asks for is no address.
        NotAnAddress,
        /// The Service asks for two addresses of one family.
        RepeatedFamily,
        /// The Service asks for addresses of other families than its own.
        FamilyMismatch,
        /// There is no pool.
        NoPools,
        /// The pool that the Service asks for does not exist.
        PoolNotFound,
        /// The pool is not for this Service.
        PoolNotForService,
        /// The pool has no addresses of a family.
        PoolLacksFamily,
        /// No pool gives addresses to the Service unless it names one.
        NoAutoAssignPool,
        /// No pool that the Service may use has addresses of its families.
        NoPoolOfFamily,
        /// All pools that the Service may use are full.
        Exhausted,
        /// No pool has the address.
        AddressOutsidePools,
        /// The address is not in the pool that the Service asks for.
        AddressNotInPool,
        /// The pool leaves the address out.
        AddressExcluded,
        /// Another Service had the address a short time ago.
        AddressResting,
        /// The two addresses are of two pools.
        AddressesInDifferentPools,
        /// Another Service has the address and does not share it.
        AddressInUse,
        /// Another Service shares the address under another key.
        SharingKeyDiffers,
        /// Another Service uses the same port of the address.
        SharingPortConflict,
        /// The Services on the address have different externalTrafficPolicies.
        SharingPolicyDiffers,
        /// The Services on the address have externalTrafficPolicy Local and different pods.
        SharingSelectorDiffers,
    }
}

impl Refusal {
    /// The refusal without its particulars.
    #[must_use]
    pub const fn kind(&self) -> RefusalReason {
        match self {
            Self::NoClusterIp => RefusalReason::NoClusterIP,
            Self::NotEnoughClusterIps { .. } => RefusalReason::NotEnoughClusterIPs,
            Self::NotAnAddress { .. } => RefusalReason::NotAnAddress,
            Self::RepeatedFamily { .. } => RefusalReason::RepeatedFamily,
            Self::FamilyMismatch { .. } => RefusalReason::FamilyMismatch,
            Self::NoPools => RefusalReason::NoPools,
            Self::PoolNotFound { .. } => RefusalReason::PoolNotFound,
            Self::PoolNotForService { .. } => RefusalReason::PoolNotForService,
            Self::PoolLacksFamily { .. } => RefusalReason::PoolLacksFamily,
            Self::NoAutoAssignPool => RefusalReason::NoAutoAssignPool,
            Self::NoPoolOfFamily { .. } => RefusalReason::NoPoolOfFamily,
            Self::Exhausted { .. } => RefusalReason::Exhausted,
            Self::AddressOutsidePools { .. } => RefusalReason::AddressOutsidePools,
            Self::AddressNotInPool { .. } => RefusalReason::AddressNotInPool,
            Self::AddressExcluded { .. } => RefusalReason::AddressExcluded,
            Self::AddressResting { .. } => RefusalReason::AddressResting,
            Self::AddressesInDifferentPools { .. } => RefusalReason::AddressesInDifferentPools,
            Self::AddressInUse { .. } => RefusalReason::AddressInUse,
            Self::SharingKeyDiffers { .. } => RefusalReason::SharingKeyDiffers,
            Self::SharingPortConflict { .. } => RefusalReason::SharingPortConflict,
            Self::SharingPolicyDiffers { .. } => RefusalReason::SharingPolicyDiffers,
            Self::SharingSelectorDiffers { .. } => RefusalReason::SharingSelectorDiffers,
        }
    }

    /// One word for machines, as conditions and metrics have it.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        self.kind().as_str()
    }
}
