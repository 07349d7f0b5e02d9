//! What is kept of a `Speaker`.

use bellwether_core::name::NodeName;
use bellwether_crds::speaker::{Speaker, SpeakerSpec};

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
}

impl From<Speaker> for SpeakerFacts {
    fn from(object: Speaker) -> Self {
        let owners = object.metadata.owner_references.iter().flatten();
        let owner = owners.into_iter().find(|owner| owner.kind == "Node");
        Self {
            version: Version::of(&object.metadata),
            owner: owner.map(|owner| owner.uid.clone()),
            name: object.metadata.name.unwrap_or_default().into(),
            spec: object.spec,
        }
    }
}
