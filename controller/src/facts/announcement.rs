//! What is kept of an `Announcement`.

use std::net::IpAddr;

use bellwether_core::name::{NodeName, ServiceName};
use bellwether_crds::announcement::{Announcement, AnnouncementSpec, name_of};
use bellwether_crds::condition::CONFLICT;
use k8s_openapi::jiff::Timestamp;

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
    /// How it came to that node.
    pub claim: ClaimFacts,
    /// What its speaker says of another host that uses the address.
    pub conflict: Option<String>,
}

/// How an address came to the node that announces it, as its speaker says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClaimFacts {
    /// The term of its claim.
    pub term: Option<i64>,
    /// Since when the node announces it.
    pub since: Option<Timestamp>,
    /// The node that announced it before.
    pub previous: Option<NodeName>,
    /// Why, in one word.
    pub reason: Option<String>,
    /// How long it was without an owner, in milliseconds.
    pub takeover: Option<i64>,
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
        let status = object.status.unwrap_or_default();
        let conflict = status
            .conditions
            .iter()
            .find(|condition| condition.type_ == CONFLICT && condition.status == "True");
        Self {
            version: Version::of(&object.metadata),
            conflict: conflict.map(|condition| condition.message.clone()),
            name: object.metadata.name.unwrap_or_default(),
            spec: object.spec,
            node: status.node.map(NodeName::from),
            claim: ClaimFacts {
                term: status.term,
                since: status.since.map(|since| since.0),
                previous: status.previous_node.map(NodeName::from),
                reason: status.reason,
                takeover: status.takeover_milliseconds,
            },
        }
    }
}
