//! An API server of a few lines that keeps facts instead of objects.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use bellwether_core::name::{NodeName, ServiceName};
use bellwether_crds::condition::{SERVICE_ALLOCATED, SERVICE_ANNOUNCED};
use bellwether_daemon::call::CallError;

use crate::change::{Change, Written};
use crate::facts::{
    AdvertisementFacts, AnnouncementFacts, ClaimFacts, ConditionFacts, NodeFacts, PoolFacts,
    Reallocation, ServiceFacts, SliceFacts, SpeakerFacts, Target, Version,
};

/// What the API server holds.
#[derive(Default)]
pub(super) struct Server {
    pub(super) clock: i64,
    pub(super) services: BTreeMap<ServiceName, ServiceFacts>,
    pub(super) nodes: BTreeMap<String, NodeFacts>,
    pub(super) slices: BTreeMap<ServiceName, SliceFacts>,
    pub(super) pools: BTreeMap<String, PoolFacts>,
    pub(super) advertisements: BTreeMap<String, AdvertisementFacts>,
    pub(super) announcements: BTreeMap<IpAddr, AnnouncementFacts>,
    pub(super) speakers: BTreeMap<NodeName, SpeakerFacts>,
}

impl Server {
    pub(super) fn version(&mut self, uid: &str) -> Version {
        self.clock += 1;
        Version {
            uid: Arc::from(uid),
            resource_version: Arc::from(self.clock.to_string()),
            generation: 0,
        }
    }

    /// What the API server answers to a write; events go to `events`.
    pub(super) fn write(
        &mut self,
        target: &Target,
        change: Change,
        events: &mut Vec<String>,
    ) -> Result<Written, CallError> {
        let gone = || CallError::NotFound(format!("{target:?}"));
        match change {
            Change::CreateAnnouncement(spec) => {
                if self.announcements.contains_key(&spec.address) {
                    return Err(CallError::AlreadyExists(spec.address.to_string()));
                }
                let facts = AnnouncementFacts {
                    name: bellwether_crds::announcement::name_of(spec.address),
                    version: self.version(&spec.address.to_string()),
                    spec,
                    node: None,
                    claim: ClaimFacts::default(),
                    conflict: None,
                };
                self.announcements.insert(facts.spec.address, facts.clone());
                Ok(Written::Announcement(facts))
            }
            Change::UpdateAnnouncement { version, spec } => {
                let new = self.version(&spec.address.to_string());
                let known = self.announcements.get_mut(&spec.address).ok_or_else(gone)?;
                if let Some(error) = conflict(&known.version, &version) {
                    return Err(error);
                }
                (known.version, known.spec) = (new, spec);
                Ok(Written::Announcement(known.clone()))
            }
            Change::DeleteAnnouncement { address, version } => {
                let known = self.announcements.get(&address).ok_or_else(gone)?;
                if let Some(error) = conflict(&known.version, &version) {
                    return Err(error);
                }
                self.announcements.remove(&address);
                Ok(Written::Deleted)
            }
            change @ (Change::ServiceStatus { .. } | Change::RemoveReallocate { .. }) => {
                self.write_service(change, events)
            }
            Change::Tell { notes, .. } => {
                events.extend(notes.into_iter().map(|note| note.message));
                Ok(Written::Told)
            }
            Change::PoolStatus { pool, status } => {
                let new = self.version(pool.as_str());
                let known = self.pools.get_mut(pool.as_str()).ok_or_else(gone)?;
                (known.version, known.status) = (new, status);
                Ok(Written::Pool(Box::new(known.clone())))
            }
            Change::AdvertisementStatus {
                advertisement,
                status,
            } => {
                let new = self.version(advertisement.as_str());
                let known = self
                    .advertisements
                    .get_mut(advertisement.as_str())
                    .ok_or_else(gone)?;
                (known.version, known.status) = (new, status);
                Ok(Written::Advertisement(Box::new(known.clone())))
            }
            Change::ApplySpeaker { node, owner, spec } => {
                let version = self.version(node.as_str());
                let known = self.speakers.get(&node);
                let facts = SpeakerFacts {
                    name: node.clone(),
                    version,
                    owner: Some(owner),
                    spec,
                    links: known.map(|known| known.links.clone()).unwrap_or_default(),
                };
                self.speakers.insert(node, facts.clone());
                Ok(Written::Speaker(facts))
            }
            Change::DeleteSpeaker { node, .. } => {
                self.speakers.remove(&node);
                Ok(Written::Deleted)
            }
        }
    }

    fn write_service(
        &mut self,
        change: Change,
        events: &mut Vec<String>,
    ) -> Result<Written, CallError> {
        let (Change::ServiceStatus {
            service, version, ..
        }
        | Change::RemoveReallocate { service, version }) = &change
        else {
            panic!("{change:?} is of no Service");
        };
        let new = self.version(&service.name);
        let known = self.services.get_mut(service);
        let known = known.ok_or_else(|| CallError::NotFound(service.to_string()))?;
        if let Some(error) = conflict(&known.version, version) {
            return Err(error);
        }
        known.version = new;
        if let Change::ServiceStatus {
            service,
            ingress,
            conditions,
            moved,
            event,
            ..
        } = change
        {
            if let Some(ingress) = ingress {
                (known.ingress, known.ingress_is_foreign) = (ingress, false);
            }
            known.allocated = ConditionFacts::find(&conditions, SERVICE_ALLOCATED);
            known.announced = ConditionFacts::find(&conditions, SERVICE_ANNOUNCED);
            // An annotation that is ours goes when an apply does not name it any more.
            known.reallocation = match known.reallocation {
                _ if moved => Reallocation::Done,
                Reallocation::Done => Reallocation::No,
                other => other,
            };
            events.extend(event.map(|note| format!("{} {}", service.name, note.reason)));
        } else {
            known.reallocation = Reallocation::No;
        }
        Ok(Written::Service(Box::new(known.clone())))
    }
}

fn conflict(known: &Version, decided: &Version) -> Option<CallError> {
    (known != decided).then(|| CallError::Conflict(format!("{decided:?}")))
}
