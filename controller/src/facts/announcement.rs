//! What is kept of an `Announcement`.

use std::net::IpAddr;

use bellwether_core::name::{NodeName, ServiceName};
use bellwether_crds::announcement::{Announcement, AnnouncementSpec, name_of};

use super::Version;

/// An Announcement.
#[derive(Clone, Debug, PartialEq)]
pub struct AnnouncementFacts {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// What we wrote.
    pub spec: AnnouncementSpec,
    /// The node that announces it, as its speaker says.
    pub node: Option<NodeName>,
}

impl AnnouncementFacts {
    /// The Services that it is for.
    pub fn services(&self) -> impl Iterator<Item = ServiceName> {
        let services = self.spec.services.iter();
        services.map(|service| ServiceName::new(&service.namespace, &service.name))
    }

    /// Whether it is for `service`.
    #[must_use]
    pub fn is_for(&self, service: &ServiceName) -> bool {
        self.services().any(|other| other == *service)
    }

    /// Its address, if its name is that of its address. One that somebody else made under another
    /// name is none of ours.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        (name_of(self.spec.address) == self.name).then_some(self.spec.address)
    }
}

impl From<Announcement> for AnnouncementFacts {
    fn from(object: Announcement) -> Self {
        Self {
            version: Version::of(&object.metadata),
            name: object.metadata.name.unwrap_or_default(),
            spec: object.spec,
            node: object
                .status
                .and_then(|status| status.node)
                .map(NodeName::from),
        }
    }
}
