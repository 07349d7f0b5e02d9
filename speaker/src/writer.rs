//! Writes one status to the API server. It decides nothing, and tries once.

use bellwether_core::name::NodeName;
use bellwether_crds::announcement::{Announcement, name_of};
use bellwether_crds::speaker::Speaker;
use bellwether_daemon::call::{CallError, TIMEOUT, with_timeout};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::facts::{AnnouncementFacts, SpeakerFacts};
use crate::reporter::{Write, Written};

/// The name under which the API server records what speakers write. One for all of them, so that a
/// node that takes an address over replaces the whole status of the node before.
const FIELD_MANAGER: &str = "bellwether-speaker";

/// Writes `write` as the speaker of `node`, and returns the object as it is now.
pub async fn write(client: Client, node: &NodeName, write: Write) -> Result<Written, CallError> {
    match write {
        Write::Speaker(status) => {
            let api: Api<Speaker> = Api::all(client);
            let written = apply(&api, node.as_str(), &status, None).await?;
            Ok(Written::Speaker(SpeakerFacts::of(written, node)))
        }
        Write::Announcement {
            address,
            status,
            resource_version,
        } => {
            let api: Api<Announcement> = Api::all(client);
            let version = resource_version.as_deref();
            let written = apply(&api, &name_of(address), &status, version).await?;
            Ok(Written::Announcement(AnnouncementFacts::of(written)))
        }
    }
}

async fn apply<K>(
    api: &Api<K>,
    name: &str,
    status: &impl Serialize,
    version: Option<&str>,
) -> Result<K, CallError>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let mut patch = json!({
        "apiVersion": K::api_version(&()), "kind": K::kind(&()), "status": status,
    });
    if let Some(version) = version {
        patch["metadata"] = json!({ "resourceVersion": version });
    }
    let params = PatchParams::apply(FIELD_MANAGER).force();
    with_timeout(
        TIMEOUT,
        api.patch_status(name, &params, &Patch::Apply(patch)),
    )
    .await
}
