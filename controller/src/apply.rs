//! Writes one change to the API server. It decides nothing, and tries once: what to do about a
//! failure is the state's affair.

use std::fmt::Debug;

use bellwether_core::name::ServiceName;
use bellwether_crds::annotation::{REALLOCATE, REALLOCATED};
use bellwether_crds::announcement::{Announcement, AnnouncementSpec, name_of};
use bellwether_crds::l2advertisement::L2Advertisement;
use bellwether_crds::pool::IPAddressPool;
use bellwether_crds::speaker::Speaker;
use bellwether_daemon::call::{CallError, TIMEOUT, with_timeout};
use k8s_openapi::api::core::v1::Service;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::change::{Change, Written};
use crate::events::Events;
use crate::facts::{ServiceFacts, Version};

/// The name under which the API server records what the controller writes.
pub const FIELD_MANAGER: &str = "bellwether-controller";

/// Writes changes, and events about them.
#[derive(Clone)]
pub struct Applier {
    client: Client,
    events: Events,
}

impl Applier {
    /// One that writes through `client`, and hands events over to `events`.
    #[must_use]
    pub const fn new(client: Client, events: Events) -> Self {
        Self { client, events }
    }

    /// Writes `change` and returns the object as it is now.
    pub async fn apply(&self, change: Change) -> Result<Written, CallError> {
        match change {
            Change::CreateAnnouncement(spec) => {
                let announcement = Announcement::new(&name_of(spec.address), spec);
                let params = PostParams {
                    field_manager: Some(FIELD_MANAGER.to_owned()),
                    ..PostParams::default()
                };
                let api: Api<Announcement> = Api::all(self.client.clone());
                let written = with_timeout(TIMEOUT, api.create(&params, &announcement)).await?;
                Ok(Written::Announcement(written.into()))
            }
            Change::UpdateAnnouncement { version, spec } => {
                self.update_announcement(&version, &spec).await
            }
            Change::DeleteAnnouncement { address, version } => {
                self.delete::<Announcement>(&name_of(address), version)
                    .await
            }
            Change::ServiceStatus {
                service,
                version,
                ingress,
                conditions,
                moved,
                event,
            } => {
                let mut status = json!({ "conditions": conditions });
                if let Some(ingress) = ingress {
                    let entries: Vec<Value> = ingress
                        .iter()
                        .map(|ip| json!({"ip": ip, "ipMode": "VIP"}))
                        .collect();
                    status["loadBalancer"] = json!({ "ingress": entries });
                }
                let mut metadata = precondition(&version);
                if moved {
                    metadata["annotations"] = json!({ REALLOCATE: REALLOCATED });
                }
                let patch = json!({
                    "apiVersion": "v1", "kind": "Service", "metadata": metadata, "status": status,
                });
                let api: Api<Service> = Api::namespaced(self.client.clone(), &service.namespace);
                let written = apply_status(&api, &service.name, patch).await?;
                let written = ServiceFacts::from(written);
                if let Some(note) = event {
                    let uid = written.version.uid.clone();
                    self.events.publish(note, service, uid);
                }
                Ok(Written::Service(Box::new(written)))
            }
            Change::RemoveReallocate { service, version } => {
                self.remove_reallocate(&service, &version).await
            }
            Change::Tell {
                service,
                uid,
                notes,
            } => {
                for note in notes {
                    self.events.publish(note, service.clone(), uid.clone());
                }
                Ok(Written::Told)
            }
            Change::PoolStatus { pool, status } => {
                let api: Api<IPAddressPool> = Api::all(self.client.clone());
                let written = apply_status(&api, pool.as_str(), status_of(&api, &status)?).await?;
                Ok(Written::Pool(Box::new(written.into())))
            }
            Change::AdvertisementStatus {
                advertisement,
                status,
            } => {
                let api: Api<L2Advertisement> = Api::all(self.client.clone());
                let patch = status_of(&api, &status)?;
                let written = apply_status(&api, advertisement.as_str(), patch).await?;
                Ok(Written::Advertisement(Box::new(written.into())))
            }
            Change::ApplySpeaker { node, owner, spec } => {
                let owner = json!({"apiVersion": "v1", "kind": "Node", "name": node, "uid": owner});
                let patch = json!({
                    "apiVersion": Speaker::api_version(&()), "kind": Speaker::kind(&()),
                    "metadata": {"name": node, "ownerReferences": [owner]},
                    "spec": spec,
                });
                let api: Api<Speaker> = Api::all(self.client.clone());
                let params = PatchParams::apply(FIELD_MANAGER).force();
                let patch = Patch::Apply(patch);
                let request = api.patch(node.as_str(), &params, &patch);
                Ok(Written::Speaker(
                    with_timeout(TIMEOUT, request).await?.into(),
                ))
            }
            Change::DeleteSpeaker { node, version } => {
                self.delete::<Speaker>(node.as_str(), version).await
            }
        }
    }

    async fn update_announcement(
        &self,
        version: &Version,
        spec: &AnnouncementSpec,
    ) -> Result<Written, CallError> {
        let mut value = to_value(spec)?;
        // In a merge patch what is not named stays, so that what shall go is named.
        if spec.only_nodes.is_none() {
            value["onlyNodes"] = Value::Null;
        }
        let patch = json!({"metadata": precondition(version), "spec": value});
        let api: Api<Announcement> = Api::all(self.client.clone());
        let name = name_of(spec.address);
        let params = PatchParams::default();
        let patch = Patch::Merge(patch);
        let written = with_timeout(TIMEOUT, api.patch(&name, &params, &patch)).await?;
        Ok(Written::Announcement(written.into()))
    }

    /// Through the status, so that no permission is needed to change Services.
    async fn remove_reallocate(
        &self,
        service: &ServiceName,
        version: &Version,
    ) -> Result<Written, CallError> {
        let mut metadata = precondition(version);
        metadata["annotations"] = json!({ REALLOCATE: null });
        let api: Api<Service> = Api::namespaced(self.client.clone(), &service.namespace);
        let params = PatchParams::default();
        let patch = Patch::Merge(json!({ "metadata": metadata }));
        let request = api.patch_status(&service.name, &params, &patch);
        let written = with_timeout(TIMEOUT, request).await?;
        Ok(Written::Service(Box::new(written.into())))
    }

    /// Deletes that version of that object and no other.
    async fn delete<K>(&self, name: &str, version: Version) -> Result<Written, CallError>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
        K: Resource<Scope = kube::core::ClusterResourceScope>,
    {
        let api: Api<K> = Api::all(self.client.clone());
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: Some(version.uid.to_string()),
                resource_version: Some(version.resource_version.to_string()),
            }),
            ..DeleteParams::default()
        };
        match with_timeout(TIMEOUT, api.delete(name, &params)).await {
            Ok(_) | Err(CallError::NotFound(_)) => Ok(Written::Deleted),
            Err(error) => Err(error),
        }
    }
}

/// What makes a write fail if the object has changed since.
fn precondition(version: &Version) -> Value {
    json!({ "resourceVersion": version.resource_version })
}

fn to_value(content: &impl Serialize) -> Result<Value, CallError> {
    serde_json::to_value(content).map_err(|error| CallError::Other(error.to_string()))
}

fn status_of<K: Resource<DynamicType = ()>>(
    _api: &Api<K>,
    status: &impl Serialize,
) -> Result<Value, CallError> {
    Ok(json!({
        "apiVersion": K::api_version(&()), "kind": K::kind(&()),
        "status": to_value(status)?,
    }))
}

/// Server-side apply to the status. What we wrote before and do not name is removed; what others
/// wrote stays.
async fn apply_status<K>(api: &Api<K>, name: &str, patch: Value) -> Result<K, CallError>
where
    K: Clone + DeserializeOwned + Debug,
{
    let params = PatchParams::apply(FIELD_MANAGER).force();
    with_timeout(
        TIMEOUT,
        api.patch_status(name, &params, &Patch::Apply(patch)),
    )
    .await
}

#[cfg(test)]
mod tests;
