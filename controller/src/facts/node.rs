//! What is kept of a Node.

use std::sync::Arc;

use bellwether_core::labels::Labels;
use bellwether_core::name::NodeName;
use k8s_openapi::api::core::v1::Node;

use super::{Version, labels};

/// A Node, as far as it concerns who may announce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFacts {
    /// Its name.
    pub name: NodeName,
    /// Its version. Only the uid is kept: the rest changes with every heartbeat.
    pub uid: Arc<str>,
    /// Its labels.
    pub labels: Arc<Labels>,
    /// Whether its condition `Ready` is `True`.
    pub is_ready: bool,
    /// Whether its condition `NetworkUnavailable` is `True`.
    pub network_unavailable: bool,
    /// Whether it is cordoned.
    pub is_cordoned: bool,
}

impl From<Node> for NodeFacts {
    fn from(node: Node) -> Self {
        let conditions = node
            .status
            .and_then(|status| status.conditions)
            .unwrap_or_default();
        let is_true = |kind: &str| {
            conditions
                .iter()
                .any(|condition| condition.type_ == kind && condition.status == "True")
        };
        Self {
            uid: Version::of(&node.metadata).uid,
            labels: labels(&node.metadata),
            is_ready: is_true("Ready"),
            network_unavailable: is_true("NetworkUnavailable"),
            is_cordoned: node
                .spec
                .and_then(|spec| spec.unschedulable)
                .unwrap_or_default(),
            name: node.metadata.name.unwrap_or_default().into(),
        }
    }
}

#[cfg(test)]
mod tests;
