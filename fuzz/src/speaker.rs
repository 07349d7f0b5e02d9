//! Decoders of what only the speaker reads.

use std::collections::BTreeSet;

use bellwether_core::frame::beacon::keyring::Keyring;
use bellwether_speaker::keys::BeaconKeys;
use bellwether_speaker::status::{self, Status};
use k8s_openapi::api::core::v1::Secret;

/// The Secret with the keys for beacons, as the API server gives it: JSON.
pub fn keys(octets: &[u8]) {
    let Ok(secret) = serde_json::from_slice::<Secret>(octets) else {
        return;
    };
    let names: BTreeSet<String> = secret
        .data
        .iter()
        .flatten()
        .map(|(name, _)| name.clone())
        .collect();
    match BeaconKeys::of(secret) {
        Ok(keys) => {
            let numbers: BTreeSet<String> = keys.secrets.keys().map(u16::to_string).collect();
            assert_eq!(numbers, names, "a key is left out or made up");
            let ring = Keyring::new(&keys.cluster, keys.secrets, keys.signing);
            assert!(ring.is_ok(), "keys that cannot be used are taken: {ring:?}");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// What answers at the socket of a speaker: JSON, down to the tables that are shown.
pub fn status(octets: &[u8]) {
    if let Ok(status) = serde_json::from_slice::<Status>(octets) {
        assert!(status::render(&status).starts_with("Speaker of "));
        let again = serde_json::to_vec(&status).unwrap_or_default();
        let again = serde_json::from_slice::<Status>(&again);
        assert_eq!(again.ok(), Some(status));
    }
}
