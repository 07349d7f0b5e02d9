//! Writes one status to the API server, once. What to do about a failure is the reporter's affair.

use bellwether_core::name::NodeName;
use bellwether_crds::announcement::{Announcement, name_of};
use bellwether_crds::speaker::Speaker;
use bellwether_daemon::call::{CallError, TIMEOUT, with_timeout};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Resource};
use serde::Serialize;
use serde_json::{Value, json};

use crate::facts::{AnnouncementFacts, SpeakerFacts};
use crate::reporter::{Write, Written};

/// The name under which the API server records what speakers write. All have the same, so that what
/// one says of an address takes the place of what another has said.
pub const FIELD_MANAGER: &str = "bellwether-speaker";

/// Writes the statuses of one node.
#[derive(Clone)]
pub struct Writer {
    client: Client,
    node: NodeName,
}

impl Writer {
    /// One that writes through `client` for `node`.
    #[must_use]
    pub fn new(client: Client, node: NodeName) -> Self {
        Self { client, node }
    }

    /// Writes a status by server-side apply, and returns the object as it is then.
    pub async fn write(&self, write: &Write) -> Result<Written, CallError> {
        let params = PatchParams::apply(FIELD_MANAGER).force();
        match write {
            Write::Speaker(status) => {
                let api: Api<Speaker> = Api::all(self.client.clone());
                let patch = Patch::Apply(body::<Speaker>(status, None)?);
                let request = api.patch_status(self.node.as_str(), &params, &patch);
                let object = with_timeout(TIMEOUT, request).await?;
                Ok(Written::Speaker(SpeakerFacts::of(object, &self.node)))
            }
            Write::Announcement {
                address,
                status,
                resource_version,
            } => {
                let api: Api<Announcement> = Api::all(self.client.clone());
                let version = resource_version.as_deref();
                let patch = Patch::Apply(body::<Announcement>(status, version)?);
                let name = name_of(*address);
                let request = api.patch_status(&name, &params, &patch);
                let object = with_timeout(TIMEOUT, request).await?;
                Ok(Written::Announcement(AnnouncementFacts::of(object)))
            }
        }
    }
}

fn body<K: Resource<DynamicType = ()>>(
    status: &impl Serialize,
    resource_version: Option<&str>,
) -> Result<Value, CallError> {
    let status =
        serde_json::to_value(status).map_err(|error| CallError::Other(error.to_string()))?;
    let mut body = json!({
        "apiVersion": K::api_version(&()), "kind": K::kind(&()), "status": status,
    });
    if let Some(version) = resource_version {
        body["metadata"] = json!({ "resourceVersion": version });
    }
    Ok(body)
}

#[cfg(test)]
mod tests;
