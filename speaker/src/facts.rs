//! The little that is kept of each object: what decides, decoded once, and then the object is
//! dropped.

use std::collections::BTreeSet;
use std::net::IpAddr;

use bellwether_core::election::{Recorded, Term};
use bellwether_core::mac::MacAddr;
use bellwether_core::name::{AdvertisementName, LinkName, NodeName};
use bellwether_core::placement::{AdvertisedNode, Interfaces, NodeLink};
use bellwether_crds::announcement::{Announcement, AnnouncementStatus, MOVE_TO, address_of};
use bellwether_crds::l2advertisement::{AdvertisementNode, L2Advertisement};
use bellwether_crds::speaker::{Speaker, SpeakerLink, SpeakerStatus};

/// What is kept of an `Announcement`.
#[derive(Clone, Debug, PartialEq)]
pub struct AnnouncementFacts {
    /// The address, which is also its name. Nobody announces an address by an object of another
    /// name: its name is what makes that there is one object for each address.
    pub address: IpAddr,
    /// The advertisements that serve it.
    pub advertisements: Vec<AdvertisementName>,
    /// The only nodes that may announce it, if there is such a restriction.
    pub only_nodes: Option<BTreeSet<NodeName>>,
    /// The node that an operator wants it to be announced by.
    pub move_to: Option<NodeName>,
    /// Its status.
    pub status: AnnouncementStatus,
    /// Its version.
    pub resource_version: String,
}

impl AnnouncementFacts {
    /// What is to be known of `object`; nothing, if its name is not that of its address.
    #[must_use]
    pub fn of(object: Announcement) -> Option<Self> {
        let name = object.metadata.name.unwrap_or_default();
        let spec = object.spec;
        let annotations = object.metadata.annotations.unwrap_or_default();
        if address_of(&name) != Some(spec.address) {
            tracing::warn!(
                announcement = name,
                address = %spec.address,
                "left out, because its name is not that of its address"
            );
            return None;
        }
        let only_nodes = spec.only_nodes;
        Some(Self {
            address: spec.address,
            advertisements: spec.advertisements.into_iter().map(Into::into).collect(),
            only_nodes: only_nodes.map(|nodes| nodes.into_iter().map(Into::into).collect()),
            move_to: annotations.get(MOVE_TO).map(Into::into),
            status: object.status.unwrap_or_default(),
            resource_version: object.metadata.resource_version.unwrap_or_default(),
        })
    }

    /// The claim that it records.
    #[must_use]
    pub fn recorded(&self) -> Option<Recorded> {
        let status = &self.status;
        let node = status.node.as_ref().or(status.previous_node.as_ref());
        let term = status.term.and_then(|term| u64::try_from(term).ok());
        (node.is_some() || term.is_some()).then(|| Recorded {
            node: node.map(Into::into),
            term: Term(term.unwrap_or_default()),
            stands: status.node.is_some(),
        })
    }
}

/// What is kept of an `L2Advertisement`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdvertisementFacts {
    /// Its name.
    pub name: AdvertisementName,
    /// Its nodes, as the controller has evaluated its selectors.
    pub nodes: Vec<AdvertisedNode>,
}

impl From<L2Advertisement> for AdvertisementFacts {
    fn from(object: L2Advertisement) -> Self {
        let nodes = object.status.unwrap_or_default().nodes;
        Self {
            name: object.metadata.name.unwrap_or_default().into(),
            nodes: nodes.iter().map(advertised_node).collect(),
        }
    }
}

fn advertised_node(node: &AdvertisementNode) -> AdvertisedNode {
    AdvertisedNode {
        node: NodeName::from(&node.name),
        interfaces: match &node.interfaces[..] {
            [] => Interfaces::All,
            names => Interfaces::Named(names.iter().map(LinkName::from).collect()),
        },
        preference: node.preference,
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

/// What is kept of a `Speaker`.
#[derive(Clone, Debug, PartialEq)]
pub struct SpeakerFacts {
    /// Its name, which is its node's.
    pub name: NodeName,
    /// Whether its node may announce.
    pub eligible: bool,
    /// The MAC addresses that its node announces from.
    pub macs: BTreeSet<MacAddr>,
    /// The links of its node.
    pub links: Vec<NodeLink>,
    /// Where its speaker is reached, over UDP.
    pub addresses: Vec<IpAddr>,
    /// Its status, if it is that of this node.
    pub own_status: Option<SpeakerStatus>,
}

impl SpeakerFacts {
    /// What the speaker of `node` has to know of `object`.
    #[must_use]
    pub fn of(object: Speaker, node: &NodeName) -> Self {
        let name: NodeName = object.metadata.name.unwrap_or_default().into();
        let status = object.status.unwrap_or_default();
        let macs = status.links.iter().filter_map(|link| link.mac.parse().ok());
        Self {
            eligible: object.spec.eligible,
            macs: macs.collect(),
            links: status.links.iter().map(node_link).collect(),
            addresses: status
                .addresses
                .iter()
                .filter_map(|address| address.parse().ok())
                .collect(),
            own_status: (name == *node).then_some(status),
            name,
        }
    }
}
