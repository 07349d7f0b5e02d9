//! What is kept of an EndpointSlice: on which nodes a Service has endpoints.

use std::collections::BTreeSet;

use bellwether_core::name::{NodeName, ServiceName};
use k8s_openapi::api::discovery::v1::EndpointSlice;

/// The label that names the Service of a slice.
const SERVICE_LABEL: &str = "kubernetes.io/service-name";

/// An EndpointSlice, as far as it concerns who may announce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SliceFacts {
    /// Its namespace and name.
    pub name: ServiceName,
    /// The Service that it belongs to; none if nobody said.
    pub service: Option<ServiceName>,
    /// Nodes with an endpoint that is ready.
    pub ready: BTreeSet<NodeName>,
    /// Nodes with an endpoint that still serves, ready or not.
    pub serving: BTreeSet<NodeName>,
    /// Whether any endpoint is ready or still serves, also one of which nobody said the node.
    pub serves: bool,
}

impl From<EndpointSlice> for SliceFacts {
    fn from(slice: EndpointSlice) -> Self {
        let namespace = slice.metadata.namespace.unwrap_or_default();
        let service = slice
            .metadata
            .labels
            .and_then(|mut labels| labels.remove(SERVICE_LABEL))
            .map(|service| ServiceName::new(&namespace, &service));
        let mut facts = Self {
            name: ServiceName::new(&namespace, &slice.metadata.name.unwrap_or_default()),
            service,
            ready: BTreeSet::new(),
            serving: BTreeSet::new(),
            serves: false,
        };
        for endpoint in slice.endpoints.unwrap_or_default() {
            let conditions = endpoint.conditions.unwrap_or_default();
            // What is not said counts as ready, and as serving what is said of ready
            // (EndpointConditions of discovery.k8s.io/v1).
            let is_ready = conditions.ready.unwrap_or(true);
            let is_serving = conditions.serving.unwrap_or(is_ready);
            facts.serves |= is_ready || is_serving;
            let Some(node) = endpoint.node_name.map(NodeName::from) else {
                continue;
            };
            if is_serving {
                facts.serving.insert(node.clone());
            }
            if is_ready {
                facts.ready.insert(node);
            }
        }
        facts
    }
}

#[cfg(test)]
mod tests;
