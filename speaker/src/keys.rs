//! The keys that beacons are signed with, from the Secret that all speakers share.
//!
//! [`follow`] watches that one Secret; [`BeaconKeys::of`] reads it. A Secret that cannot be used is
//! named in the log and changes nothing: the keys that were read last stay. What is in it and how a
//! key is changed: [`bellwether_crds::beacon_keys`].

use std::collections::BTreeMap;
use std::fmt;

use bellwether_crds::beacon_keys::{CLUSTER, CLUSTER_NAMESPACE, KEY_LENGTH, SECRET, SIGNING_KEY};
use bellwether_daemon::watch::{Event, Watch, WatchMetrics};
use k8s_openapi::api::core::v1::Secret;
use kube::core::DeserializeGuard;
use kube::{Api, Client};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

/// How many events may wait to be read. When they are that many, the watch waits; the API server
/// keeps what it has not read.
const EVENTS: usize = 4;

/// The keys of a cluster's beacons.
#[derive(Clone, PartialEq, Eq)]
pub struct BeaconKeys {
    /// Which cluster they belong to: beacons of another are not for us.
    pub cluster: String,
    /// The keys, by number. Beacons signed with any of them are accepted.
    pub secrets: BTreeMap<u16, Vec<u8>>,
    /// The number of the key that beacons are signed with; it is among `secrets`.
    pub signing: u16,
}

impl fmt::Debug for BeaconKeys {
    /// Shows the numbers, never the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BeaconKeys")
            .field("cluster", &self.cluster)
            .field("secrets", &self.secrets.keys())
            .field("signing", &self.signing)
            .finish()
    }
}

/// What is wrong with the Secret, and how to put it right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// It does not say whose it is.
    #[error(
        "Secret {SECRET} lacks the annotation {CLUSTER}: set it to the UID of the Namespace \
         {CLUSTER_NAMESPACE}"
    )]
    NoCluster,
    /// The name of a key is no number.
    #[error(
        "Secret {SECRET} has {0:?} in its data: name each key by a number from 1 to 65535, without \
         leading zeros"
    )]
    Name(String),
    /// A key can be guessed.
    #[error(
        "key {number} of Secret {SECRET} has {length} octets: make one of at least {KEY_LENGTH} \
         random octets"
    )]
    Short {
        /// The key's number.
        number: u16,
        /// Its length in octets.
        length: usize,
    },
    /// There is no key.
    #[error("Secret {SECRET} holds no key: delete it, and the controller makes a new one")]
    Empty,
    /// It does not say which key to sign with.
    #[error(
        "Secret {SECRET} lacks the annotation {SIGNING_KEY}: set it to the number of the key to \
         sign with ({})", numbers(.0)
    )]
    NoSigningKey(Vec<u16>),
    /// It says that there is nothing to sign with.
    #[error(
        "Secret {SECRET} says {SIGNING_KEY}={signing:?}, which is not among its keys: set it to one \
         of {}", numbers(.known)
    )]
    UnknownSigningKey {
        /// What the annotation says.
        signing: String,
        /// The keys that there are.
        known: Vec<u16>,
    },
}

fn numbers(keys: &[u16]) -> String {
    let texts: Vec<String> = keys.iter().map(u16::to_string).collect();
    texts.join(", ")
}

impl BeaconKeys {
    /// What `secret` holds.
    pub fn of(secret: Secret) -> Result<Self, KeysError> {
        let annotations = secret.metadata.annotations.unwrap_or_default();
        let annotation = |name: &str| {
            let value = annotations.get(name).map(|value| value.trim());
            value.filter(|value| !value.is_empty())
        };
        let cluster = annotation(CLUSTER).ok_or(KeysError::NoCluster)?.to_owned();
        let mut secrets = BTreeMap::new();
        for (name, key) in secret.data.unwrap_or_default() {
            let number = number_of(&name).ok_or(KeysError::Name(name))?;
            let length = key.0.len();
            if length < KEY_LENGTH {
                return Err(KeysError::Short { number, length });
            }
            secrets.insert(number, key.0);
        }
        if secrets.is_empty() {
            return Err(KeysError::Empty);
        }
        let known = || secrets.keys().copied().collect();
        let text = annotation(SIGNING_KEY).ok_or_else(|| KeysError::NoSigningKey(known()))?;
        let signing = number_of(text)
            .filter(|number| secrets.contains_key(number))
            .ok_or_else(|| KeysError::UnknownSigningKey {
                signing: text.to_owned(),
                known: known(),
            })?;
        Ok(Self {
            cluster,
            secrets,
            signing,
        })
    }
}

/// The number that is written exactly like this: no two names are one number.
fn number_of(text: &str) -> Option<u16> {
    let number: u16 = text.parse().ok()?;
    (number != 0 && number.to_string() == text).then_some(number)
}

/// Calls `publish` with the keys, now and whenever they change, until `shutdown`.
pub async fn follow(
    client: Client,
    namespace: String,
    watches: WatchMetrics,
    metrics: Metrics,
    publish: impl FnMut(BeaconKeys),
    shutdown: CancellationToken,
) {
    let (sender, events) = mpsc::channel(EVENTS);
    let watch = Watch::<Secret> {
        api: Api::<DeserializeGuard<Secret>>::namespaced(client, &namespace),
        kind: "secrets",
        metrics: watches,
    };
    let watching = watch.run_one(SECRET, BeaconKeys::of, |event| event, sender, shutdown);
    tokio::join!(watching, read(events, &namespace, &metrics, publish));
}

/// Takes in what the watch says, until it ends.
async fn read(
    mut events: mpsc::Receiver<Event<Result<BeaconKeys, KeysError>>>,
    namespace: &str,
    metrics: &Metrics,
    mut publish: impl FnMut(BeaconKeys),
) {
    let mut published = None;
    while let Some(event) = events.recv().await {
        let read = match event {
            Event::Applied(read) => Some(read),
            Event::Listed {
                mut objects,
                undecodable,
            } => match objects.pop() {
                // What cannot be decoded was named by the watch.
                None if !undecodable.is_empty() => continue,
                read => read,
            },
            Event::Deleted(_) => None,
        };
        match read {
            None => tracing::warn!(
                namespace,
                secret = SECRET,
                "there are no keys for beacons; the controller makes some while it leads"
            ),
            Some(Err(error)) => {
                tracing::warn!(namespace, %error, "the keys for beacons cannot be used");
            }
            Some(Ok(keys)) if published.as_ref() == Some(&keys) => {}
            Some(Ok(keys)) => {
                let count = i64::try_from(keys.secrets.len()).unwrap_or(i64::MAX);
                metrics.beacon_keys.set(count);
                metrics.signing_key.set(i64::from(keys.signing));
                published = Some(keys.clone());
                publish(keys);
            }
        }
    }
}

#[cfg(test)]
mod tests;
