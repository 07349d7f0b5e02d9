//! What is kept of an `IPAddressPool`.

use std::sync::Arc;

use bellwether_core::labels::Labels;
use bellwether_core::name::PoolName;
use bellwether_core::pool::{Pool, PoolError, PoolSpec, ServiceAllocationSpec, Strategy};
use bellwether_crds::pool::{self, IPAddressPool, IPAddressPoolStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::{Version, created, labels, selector_spec};

/// A pool: validated, or what is wrong with it.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolFacts {
    /// Its name.
    pub name: PoolName,
    /// Its version.
    pub version: Version,
    /// Its labels.
    pub labels: Arc<Labels>,
    /// The pool itself.
    pub pool: Result<Arc<Pool>, PoolError>,
    /// Its status.
    pub status: IPAddressPoolStatus,
}

impl From<IPAddressPool> for PoolFacts {
    fn from(object: IPAddressPool) -> Self {
        let name = PoolName::from(object.metadata.name.clone().unwrap_or_default());
        let spec = object.spec;
        let spec = PoolSpec {
            name: name.clone(),
            created: created(&object.metadata),
            addresses: spec.addresses,
            auto_assign: spec.auto_assign,
            avoid_buggy_ips: spec.avoid_buggy_ips,
            exclude: spec.exclude,
            cooldown: spec.cooldown,
            strategy: match spec.strategy {
                pool::Strategy::Sticky => Strategy::Sticky,
                pool::Strategy::First => Strategy::First,
                pool::Strategy::Random => Strategy::Random,
            },
            service_allocation: spec
                .service_allocation
                .map(|allocation| ServiceAllocationSpec {
                    priority: allocation.priority,
                    namespaces: allocation.namespaces,
                    namespace_selectors: specs(&allocation.namespace_selectors),
                    service_selectors: specs(&allocation.service_selectors),
                }),
        };
        Self {
            name,
            version: Version::of(&object.metadata),
            labels: labels(&object.metadata),
            pool: Pool::try_from(spec).map(Arc::new),
            status: object.status.unwrap_or_default(),
        }
    }
}

fn specs(selectors: &[LabelSelector]) -> Vec<bellwether_core::selector::SelectorSpec> {
    selectors.iter().map(selector_spec).collect()
}
