//! What is kept of a `Speaker`.

use bellwether_core::name::{LinkName, NodeName};
use bellwether_core::placement::NodeLink;
use bellwether_crds::speaker::{Speaker, SpeakerLink, SpeakerSpec};

use super::Version;

/// A Speaker.
#[derive(Clone, Debug, PartialEq)]
pub struct SpeakerFacts {
    /// Its name, which is its node's.
    pub name: NodeName,
    /// Its version.
    pub version: Version,
    /// The uid of the Node that owns it.
    pub owner: Option<String>,
    /// What we wrote.
    pub spec: SpeakerSpec,
    /// The links that it says it has.
    pub links: Vec<NodeLink>,
}

impl From<Speaker> for SpeakerFacts {
    fn from(object: Speaker) -> Self {
        let owners = object.metadata.owner_references.iter().flatten();
        let owner = owners.into_iter().find(|owner| owner.kind == "Node");
        Self {
            version: Version::of(&object.metadata),
            owner: owner.map(|owner| owner.uid.clone()),
            name: object.metadata.name.unwrap_or_default().into(),
            links: object
                .status
                .unwrap_or_default()
                .links
                .iter()
                .map(node_link)
                .collect(),
            spec: object.spec,
        }
    }
}

fn node_link(link: &SpeakerLink) -> NodeLink {
    NodeLink {
        name: LinkName::from(&link.name),
        carrier: link.carrier,
        networks: link
            .subnets
            .iter()
            .filter_map(|subnet| subnet.parse().ok())
            .collect(),
    }
}
