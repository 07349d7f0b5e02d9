//! Which address families a Service gets.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::refusal::Refusal;
use crate::range::IpFamily;

/// `spec.ipFamilyPolicy` of a Service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum IpFamilyPolicy {
    /// One family.
    #[default]
    SingleStack,
    /// Both, or one if not both can be had.
    PreferDualStack,
    /// Both or nothing.
    RequireDualStack,
}

/// Which families a Service gets addresses of, and in which order they stand in its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FamilyPolicy {
    /// One address of this family.
    SingleStack(IpFamily),
    /// One address of each family from one pool; if no pool has both, one of the primary family; if
    /// no pool has that, one of the other.
    PreferDualStack {
        /// The family that stands first.
        primary: IpFamily,
    },
    /// One address of each family from one pool, or none.
    RequireDualStack {
        /// The family that stands first.
        primary: IpFamily,
    },
}

impl FamilyPolicy {
    /// The policy of a Service with these `spec.clusterIPs`, `spec.ipFamilies` and
    /// `spec.ipFamilyPolicy`.
    ///
    /// The cluster IPs decide, because traffic can reach the pods only through a family that has
    /// one; the families count only while the Service has no cluster IP yet. So `PreferDualStack`
    /// with one cluster IP is a single-stack Service.
    pub fn of_service(
        cluster_ips: &[IpAddr],
        ip_families: &[IpFamily],
        policy: IpFamilyPolicy,
    ) -> Result<Self, Refusal> {
        let from_cluster_ips: Vec<IpFamily> =
            cluster_ips.iter().map(|&ip| IpFamily::of(ip)).collect();
        let families = if from_cluster_ips.is_empty() {
            ip_families
        } else {
            &from_cluster_ips
        };
        let &primary = families.first().ok_or(Refusal::NoClusterIp)?;
        let both = families.contains(&primary.other());
        match policy {
            IpFamilyPolicy::RequireDualStack if both => Ok(Self::RequireDualStack { primary }),
            IpFamilyPolicy::RequireDualStack => {
                Err(Refusal::NotEnoughClusterIps { family: primary })
            }
            IpFamilyPolicy::PreferDualStack if both => Ok(Self::PreferDualStack { primary }),
            IpFamilyPolicy::PreferDualStack | IpFamilyPolicy::SingleStack => {
                Ok(Self::SingleStack(primary))
            }
        }
    }

    /// The family that stands first in the status.
    #[must_use]
    pub const fn primary(self) -> IpFamily {
        match self {
            Self::SingleStack(primary)
            | Self::PreferDualStack { primary }
            | Self::RequireDualStack { primary } => primary,
        }
    }

    /// The families that the Service may have, in the order of its status.
    #[must_use]
    pub fn families(self) -> Vec<IpFamily> {
        match self {
            Self::SingleStack(family) => vec![family],
            Self::PreferDualStack { primary } | Self::RequireDualStack { primary } => {
                vec![primary, primary.other()]
            }
        }
    }

    /// Whether the Service may have an address of `family`.
    #[must_use]
    pub fn allows(self, family: IpFamily) -> bool {
        match self {
            Self::SingleStack(only) => family == only,
            Self::PreferDualStack { .. } | Self::RequireDualStack { .. } => true,
        }
    }

    /// The sets of families that satisfy the Service, best first.
    pub(super) fn choices(self) -> Vec<Vec<IpFamily>> {
        match self {
            Self::SingleStack(_) | Self::RequireDualStack { .. } => vec![self.families()],
            Self::PreferDualStack { primary } => {
                vec![self.families(), vec![primary], vec![primary.other()]]
            }
        }
    }

    /// Whether addresses of exactly the families in `had` satisfy the Service.
    pub(super) fn satisfied_by(self, had: impl Fn(IpFamily) -> bool) -> bool {
        self.choices()
            .iter()
            .any(|families| families.iter().all(|&family| had(family)))
    }

    /// A key to sort addresses by in the order of the Service's status.
    pub(super) fn place(self, address: IpAddr) -> bool {
        IpFamily::of(address) != self.primary()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metallb_1_4_the_cluster_ips_decide() {
        use FamilyPolicy as Is;
        use IpFamily::{V4, V6};
        use IpFamilyPolicy::{PreferDualStack, RequireDualStack, SingleStack};
        let (v4, v6): (IpAddr, IpAddr) = ([10, 0, 0, 1].into(), [0xfd, 0, 0, 0, 0, 0, 0, 1].into());
        for (sentence, cluster_ips, ip_families, policy, expected) in [
            (
                "one IPv4",
                &[v4][..],
                &[V4][..],
                SingleStack,
                Ok(Is::SingleStack(V4)),
            ),
            (
                "one IPv6",
                &[v6],
                &[V6],
                SingleStack,
                Ok(Is::SingleStack(V6)),
            ),
            (
                "both, preferred",
                &[v6, v4],
                &[V6, V4],
                PreferDualStack,
                Ok(Is::PreferDualStack { primary: V6 }),
            ),
            (
                "weakness 4.45: preferred, but only one cluster IP, so one family it is",
                &[v6],
                &[V6],
                PreferDualStack,
                Ok(Is::SingleStack(V6)),
            ),
            (
                "both, required",
                &[v4, v6],
                &[V4, V6],
                RequireDualStack,
                Ok(Is::RequireDualStack { primary: V4 }),
            ),
            (
                "required, but only one cluster IP",
                &[v4],
                &[V4],
                RequireDualStack,
                Err(Refusal::NotEnoughClusterIps { family: V4 }),
            ),
            (
                "the families say otherwise",
                &[v6],
                &[V4],
                SingleStack,
                Ok(Is::SingleStack(V6)),
            ),
            (
                "no cluster IP yet",
                &[],
                &[V6],
                SingleStack,
                Ok(Is::SingleStack(V6)),
            ),
            (
                "no cluster IP yet, both families",
                &[],
                &[V4, V6],
                RequireDualStack,
                Ok(Is::RequireDualStack { primary: V4 }),
            ),
            (
                "nothing is known",
                &[],
                &[],
                SingleStack,
                Err(Refusal::NoClusterIp),
            ),
        ] {
            assert_eq!(
                FamilyPolicy::of_service(cluster_ips, ip_families, policy),
                expected,
                "{sentence}"
            );
        }
    }
}
