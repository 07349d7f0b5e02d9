//! What the controller wants written: data that can be compared in a test and printed to a person.

use std::net::IpAddr;
use std::sync::Arc;

use bellwether_core::name::{AdvertisementName, NodeName, PoolName, ServiceName};
use bellwether_crds::announcement::AnnouncementSpec;
use bellwether_crds::l2advertisement::L2AdvertisementStatus;
use bellwether_crds::pool::IPAddressPoolStatus;
use bellwether_crds::speaker::SpeakerSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

use crate::facts::{
    AdvertisementFacts, AnnouncementFacts, ConditionFacts, PoolFacts, ServiceFacts, SpeakerFacts,
    Version,
};

/// One write to the API server.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Reserve an address. It fails if somebody else has done so.
    CreateAnnouncement(AnnouncementSpec),
    /// Change who may announce an address, or for whom. It fails if the object has changed since.
    UpdateAnnouncement {
        /// The version that this was decided on.
        version: Version,
        /// The whole spec.
        spec: AnnouncementSpec,
    },
    /// Nobody uses the address any more. It fails if the object has changed since.
    DeleteAnnouncement {
        /// The address.
        address: IpAddr,
        /// The version that this was decided on.
        version: Version,
    },
    /// What a Service shows. It fails if the object has changed since.
    ServiceStatus {
        /// The Service.
        service: ServiceName,
        /// The version that this was decided on.
        version: Version,
        /// Its addresses, or `None` to leave them as they are.
        ingress: Option<Vec<IpAddr>>,
        /// Our conditions; those of ours that are not here are removed.
        conditions: Vec<Condition>,
        /// Whether the Service has been moved as its annotation asked, so that the annotation says so
        /// from then on.
        moved: bool,
        /// What to tell whoever describes the Service.
        event: Option<Note>,
    },
    /// A Service has been moved as its annotation asked: the annotation goes. It fails if the object
    /// has changed since.
    RemoveReallocate {
        /// The Service.
        service: ServiceName,
        /// The version that this was decided on.
        version: Version,
    },
    /// What to tell whoever describes a Service, and nothing else.
    Tell {
        /// The Service.
        service: ServiceName,
        /// Its uid.
        uid: Arc<str>,
        /// What to tell, in this order.
        notes: Vec<Note>,
    },
    /// What a pool shows.
    PoolStatus {
        /// The pool.
        pool: PoolName,
        /// The whole status.
        status: IPAddressPoolStatus,
    },
    /// What an advertisement shows.
    AdvertisementStatus {
        /// The advertisement.
        advertisement: AdvertisementName,
        /// The whole status.
        status: L2AdvertisementStatus,
    },
    /// Whether a node may announce.
    ApplySpeaker {
        /// The node.
        node: NodeName,
        /// The uid of the Node, which owns the Speaker.
        owner: String,
        /// The whole spec.
        spec: SpeakerSpec,
    },
    /// The node is gone.
    DeleteSpeaker {
        /// The node.
        node: NodeName,
        /// The version that this was decided on.
        version: Version,
    },
}

/// An event on a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What the controller was at: `Allocate` or `Announce`.
    pub action: &'static str,
    /// Whether something is wrong.
    pub is_warning: bool,
    /// Why, in one word.
    pub reason: String,
    /// Why, in a sentence.
    pub message: String,
}

/// What a write has made of its object.
#[derive(Clone, Debug, PartialEq)]
pub enum Written {
    /// The Announcement as it is now.
    Announcement(AnnouncementFacts),
    /// The Service as it is now.
    Service(Box<ServiceFacts>),
    /// The pool as it is now.
    Pool(Box<PoolFacts>),
    /// The advertisement as it is now.
    Advertisement(Box<AdvertisementFacts>),
    /// The Speaker as it is now.
    Speaker(SpeakerFacts),
    /// It is gone, or on its way.
    Deleted,
    /// It has been said.
    Told,
}

/// A condition to be written.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Its type.
    pub kind: &'static str,
    /// Whether it is `True` or `False`.
    pub holds: bool,
    /// Why, in one word.
    pub reason: &'a str,
    /// Why, in a sentence.
    pub message: &'a str,
}

impl Wanted<'_> {
    /// Whether `current` says the same.
    #[must_use]
    pub fn is_said_by(&self, current: Option<&ConditionFacts>) -> bool {
        current.is_some_and(|current| {
            current.holds == Some(self.holds)
                && current.reason == self.reason
                && current.message == self.message
        })
    }

    /// The condition; the time of the last transition stays unless the status changes.
    #[must_use]
    pub fn condition(
        &self,
        generation: i64,
        current: Option<&ConditionFacts>,
        wall: Timestamp,
    ) -> Condition {
        let unchanged = current.filter(|current| current.holds == Some(self.holds));
        Condition {
            type_: self.kind.to_owned(),
            status: if self.holds { "True" } else { "False" }.to_owned(),
            reason: self.reason.to_owned(),
            message: self.message.to_owned(),
            observed_generation: (generation > 0).then_some(generation),
            last_transition_time: Time(unchanged.map_or(wall, |current| current.since)),
        }
    }
}

/// The conditions of an object of ours, and whether those that it has say the same.
#[must_use]
pub fn conditions(
    wanted: &[Wanted<'_>],
    current: &[Condition],
    generation: i64,
    wall: Timestamp,
) -> (Vec<Condition>, bool) {
    let find = |kind: &str| ConditionFacts::find(current, kind);
    let same = wanted.len() == current.len()
        && wanted
            .iter()
            .all(|wanted| wanted.is_said_by(find(wanted.kind).as_ref()));
    let conditions = wanted
        .iter()
        .map(|wanted| wanted.condition(generation, find(wanted.kind).as_ref(), wall))
        .collect();
    (conditions, same)
}
