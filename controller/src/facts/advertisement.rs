//! What is kept of an `L2Advertisement`.

use std::collections::BTreeSet;

use bellwether_core::labels::Labels;
use bellwether_core::name::{AdvertisementName, PoolName};
use bellwether_core::selector::{LabelSelector, SelectorError};
use bellwether_crds::l2advertisement::{
    L2Advertisement, L2AdvertisementSpec, L2AdvertisementStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;

use super::{Version, selector_spec};

/// An advertisement: its rules, or what is wrong with them.
#[derive(Clone, Debug, PartialEq)]
pub struct AdvertisementFacts {
    /// Its name.
    pub name: AdvertisementName,
    /// Its version.
    pub version: Version,
    /// What it says.
    pub rules: Result<Rules, SelectorError>,
    /// Its status.
    pub status: L2AdvertisementStatus,
}

/// What an advertisement says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    pools: BTreeSet<PoolName>,
    pool_selectors: Vec<LabelSelector>,
    node_selectors: Vec<LabelSelector>,
    service_selectors: Vec<LabelSelector>,
    preferred: Vec<(u32, LabelSelector)>,
    /// The links on which is announced; none means all.
    pub interfaces: Vec<String>,
    /// Whether an address is withdrawn while none of its Services has an endpoint.
    pub withdraw_without_endpoints: bool,
}

impl Rules {
    /// Whether addresses of the pool `name` with `labels` are announced. Neither names nor selectors
    /// means all pools.
    #[must_use]
    pub fn match_pool(&self, name: &PoolName, labels: &Labels) -> bool {
        (self.pools.is_empty() && self.pool_selectors.is_empty())
            || self.pools.contains(name)
            || self
                .pool_selectors
                .iter()
                .any(|selector| selector.matches(labels))
    }

    /// Whether the node with `labels` may announce.
    #[must_use]
    pub fn match_node(&self, labels: &Labels) -> bool {
        any_or_none(&self.node_selectors, labels)
    }

    /// Whether addresses of the Service with `labels` are announced.
    #[must_use]
    pub fn match_service(&self, labels: &Labels) -> bool {
        any_or_none(&self.service_selectors, labels)
    }

    /// The summed weights of the preferences that match the node with `labels`.
    #[must_use]
    pub fn preference(&self, labels: &Labels) -> u32 {
        let matching = self
            .preferred
            .iter()
            .filter(|(_, selector)| selector.matches(labels));
        matching.map(|(weight, _)| weight).sum()
    }
}

fn any_or_none(selectors: &[LabelSelector], labels: &Labels) -> bool {
    selectors.is_empty() || selectors.iter().any(|selector| selector.matches(labels))
}

impl TryFrom<&L2AdvertisementSpec> for Rules {
    type Error = SelectorError;

    fn try_from(spec: &L2AdvertisementSpec) -> Result<Self, SelectorError> {
        let one =
            |selector: &meta::LabelSelector| LabelSelector::try_from(&selector_spec(selector));
        let all = |selectors: &[meta::LabelSelector]| -> Result<Vec<_>, SelectorError> {
            selectors.iter().map(one).collect()
        };
        let preferred = spec.preferred_node_selectors.iter();
        Ok(Self {
            pools: spec.ip_address_pools.iter().map(PoolName::from).collect(),
            pool_selectors: all(&spec.ip_address_pool_selectors)?,
            node_selectors: all(&spec.node_selectors)?,
            service_selectors: all(&spec.service_selectors)?,
            preferred: preferred
                .map(|entry| Ok((entry.weight, one(&entry.preference)?)))
                .collect::<Result<_, SelectorError>>()?,
            interfaces: spec.interfaces.clone(),
            withdraw_without_endpoints: spec.withdraw_without_endpoints,
        })
    }
}

impl From<L2Advertisement> for AdvertisementFacts {
    fn from(object: L2Advertisement) -> Self {
        Self {
            version: Version::of(&object.metadata),
            rules: Rules::try_from(&object.spec),
            status: object.status.unwrap_or_default(),
            name: object.metadata.name.unwrap_or_default().into(),
        }
    }
}
