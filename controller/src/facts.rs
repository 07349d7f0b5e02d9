//! The little that is kept of each object: what decides, decoded once, and then the object is
//! dropped. A cluster has thousands of Services, and each is a few KiB.

pub mod advertisement;
pub mod announcement;
pub mod endpoints;
pub mod node;
pub mod pool;
pub mod service;
pub mod speaker;

use std::sync::Arc;

use bellwether_core::labels::Labels;
use bellwether_core::name::{AdvertisementName, NodeName, PoolName};
use bellwether_core::selector::{ExpressionSpec, SelectorSpec};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector, ObjectMeta};

pub use advertisement::AdvertisementFacts;
pub use announcement::{AnnouncementFacts, ClaimFacts};
pub use endpoints::SliceFacts;
pub use node::NodeFacts;
pub use pool::PoolFacts;
pub use service::{Reallocation, ServiceFacts};
pub use speaker::SpeakerFacts;

/// Which object it is, and which version of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// Differs between objects of one name that live one after the other.
    pub uid: Arc<str>,
    /// The version, as the API server writes it.
    pub resource_version: Arc<str>,
    /// Grows with each change of the spec.
    pub generation: i64,
}

impl Version {
    /// The version of the object with this metadata.
    #[must_use]
    pub fn of(metadata: &ObjectMeta) -> Self {
        let text = |value: &Option<String>| Arc::from(value.as_deref().unwrap_or_default());
        Self {
            uid: text(&metadata.uid),
            resource_version: text(&metadata.resource_version),
            generation: metadata.generation.unwrap_or_default(),
        }
    }

    /// Whether this is an earlier version of the same object than `other`. Versions of one kind grow
    /// as numbers (KEP-5504).
    #[must_use]
    pub fn is_before(&self, other: &Self) -> bool {
        let number = |version: &Self| version.resource_version.parse::<u64>().ok();
        self.uid == other.uid && number(self) < number(other)
    }
}

/// When an object was created, in seconds since 1970.
#[must_use]
pub fn created(metadata: &ObjectMeta) -> i64 {
    metadata
        .creation_timestamp
        .as_ref()
        .map_or(0, |time| time.0.as_second())
}

/// The labels of an object.
#[must_use]
pub fn labels(metadata: &ObjectMeta) -> Arc<Labels> {
    Arc::new(metadata.labels.clone().unwrap_or_default().into())
}

/// A condition, without the times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionFacts {
    /// Whether it holds; nothing if nobody knows (`Unknown`).
    pub holds: Option<bool>,
    /// Why, in one word.
    pub reason: String,
    /// Why, in a sentence.
    pub message: String,
    /// Since when it has this status.
    pub since: k8s_openapi::jiff::Timestamp,
}

impl ConditionFacts {
    /// The condition of type `kind` among `conditions`.
    #[must_use]
    pub fn find(conditions: &[Condition], kind: &str) -> Option<Self> {
        let found = conditions
            .iter()
            .find(|condition| condition.type_ == kind)?;
        Some(Self {
            holds: match found.status.as_str() {
                "True" => Some(true),
                "False" => Some(false),
                _ => None,
            },
            reason: found.reason.clone(),
            message: found.message.clone(),
            since: found.last_transition_time.0,
        })
    }
}

/// A namespace: its labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceFacts {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: Arc<Labels>,
}

impl From<Namespace> for NamespaceFacts {
    fn from(namespace: Namespace) -> Self {
        Self {
            labels: labels(&namespace.metadata),
            name: namespace.metadata.name.unwrap_or_default(),
        }
    }
}

/// A selector as the core reads it.
#[must_use]
pub fn selector_spec(selector: &LabelSelector) -> SelectorSpec {
    let expressions = selector.match_expressions.iter().flatten();
    SelectorSpec {
        match_labels: selector.match_labels.clone().unwrap_or_default(),
        match_expressions: expressions
            .map(|expression| ExpressionSpec {
                key: expression.key.clone(),
                operator: expression.operator.clone(),
                values: expression.values.clone().unwrap_or_default(),
            })
            .collect(),
    }
}

/// The object that a change is about; each is compared with what it should be, and written, alone.
///
/// The order is that in which changes are made: who may announce comes before what is announced, and
/// that before what Services show.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// A Speaker.
    Speaker(NodeName),
    /// An L2Advertisement's status.
    Advertisement(AdvertisementName),
    /// An Announcement.
    Announcement(std::net::IpAddr),
    /// A Service's status.
    Service(bellwether_core::name::ServiceName),
    /// A pool's status.
    Pool(PoolName),
    /// The events of a Service: that an address has moved, or that another host uses it.
    Notes(bellwether_core::name::ServiceName),
}
