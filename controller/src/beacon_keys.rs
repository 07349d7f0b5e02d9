//! The Secret with the keys that speakers sign their beacons with: the leader creates it, so that an
//! installation needs no secret of its own.
//!
//! What is there is never changed: which keys there are, and which of them signs, is the operator's
//! affair from then on. What is in it and how a key is changed: [`bellwether_crds::beacon_keys`].

use std::collections::BTreeMap;
use std::time::Duration;

use bellwether_crds::beacon_keys::{CLUSTER, CLUSTER_NAMESPACE, KEY_LENGTH, SECRET, SIGNING_KEY};
use bellwether_daemon::call::{CallError, TIMEOUT, with_timeout};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};

use crate::apply::FIELD_MANAGER;

/// The number of the first key.
const FIRST: &str = "1";

/// How often to look whether the Secret is still there. Who runs goes on with the keys that it has;
/// who starts would have none.
const CHECK: Duration = Duration::from_mins(1);

/// How long after a failure to try again.
const RETRY: Duration = Duration::from_secs(2);

/// Why there is no Secret yet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// The API server did not do it.
    #[error("{what}: {source}")]
    Call {
        /// What was asked of it.
        what: &'static str,
        /// What it said.
        source: CallError,
    },
    /// Without a UID nobody can tell this cluster from another.
    #[error("the Namespace {CLUSTER_NAMESPACE} shows no UID")]
    NoCluster,
    /// A key that can be guessed is none.
    #[error("the system has no random numbers: {0}")]
    Random(getrandom::Error),
}

/// What was found or done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The Secret was there.
    Present,
    /// It was not, and is now.
    Created,
}

/// Sees to it that the Secret is in `namespace`, until it is dropped.
pub async fn keep(client: Client, namespace: String) {
    let mut said = None;
    loop {
        let pause = match ensure(&client, &namespace).await {
            Ok(outcome) => {
                if outcome == Outcome::Created {
                    tracing::info!(namespace, secret = SECRET, "made a key for beacons");
                }
                said = None;
                CHECK
            }
            Err(error) => {
                // The same trouble is said once, not at every try.
                if said.as_ref() != Some(&error) {
                    tracing::warn!(
                        namespace, secret = SECRET, %error,
                        "no keys for beacons; trying again"
                    );
                    said = Some(error);
                }
                RETRY
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// Creates the Secret in `namespace`, if it is not there.
pub async fn ensure(client: &Client, namespace: &str) -> Result<Outcome, KeysError> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let found = with_timeout(TIMEOUT, secrets.get_metadata_opt(SECRET)).await;
    if found.map_err(call("cannot read the Secret"))?.is_some() {
        return Ok(Outcome::Present);
    }
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let system = with_timeout(TIMEOUT, namespaces.get_metadata(CLUSTER_NAMESPACE)).await;
    let system = system.map_err(call("cannot read the Namespace kube-system"))?;
    let cluster = system.metadata.uid.ok_or(KeysError::NoCluster)?;
    let secret = new_secret(namespace, &cluster)?;
    let params = PostParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    };
    match with_timeout(TIMEOUT, secrets.create(&params, &secret)).await {
        Ok(_) => Ok(Outcome::Created),
        // Somebody else was quicker, and theirs holds.
        Err(CallError::AlreadyExists(_)) => Ok(Outcome::Present),
        Err(error) => Err(call("cannot create the Secret")(error)),
    }
}

fn call(what: &'static str) -> impl Fn(CallError) -> KeysError {
    move |source| KeysError::Call { what, source }
}

/// The Secret with one new key.
fn new_secret(namespace: &str, cluster: &str) -> Result<Secret, KeysError> {
    let mut key = vec![0; KEY_LENGTH];
    getrandom::fill(&mut key).map_err(KeysError::Random)?;
    let annotations = [(SIGNING_KEY, FIRST), (CLUSTER, cluster)];
    Ok(Secret {
        metadata: ObjectMeta {
            name: Some(SECRET.to_owned()),
            namespace: Some(namespace.to_owned()),
            annotations: Some(
                annotations
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .into(),
            ),
            ..ObjectMeta::default()
        },
        type_: Some("Opaque".to_owned()),
        data: Some(BTreeMap::from([(FIRST.to_owned(), ByteString(key))])),
        ..Secret::default()
    })
}

#[cfg(test)]
mod tests;
