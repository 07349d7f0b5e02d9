//! The Secret with the keys that beacons are signed with: how it is called and what is in it.
//!
//! It lies in the product's namespace. Its data are the keys, under their numbers as decimal text;
//! annotations say which of them signs, and for which cluster. The controller creates it; every
//! speaker watches this one Secret. A key is changed in three sweeps, each of which every speaker
//! has to take in before the next: add key 2, sign with key 2, remove key 1.

/// The name of the Secret.
pub const SECRET: &str = "bellwether-beacon-keys";

/// The annotation that says which key beacons are signed with: its number.
pub const SIGNING_KEY: &str = "bellwether.dev/signing-key";

/// The annotation that says which cluster the keys belong to: the UID of the Namespace
/// [`CLUSTER_NAMESPACE`]. Speakers of two clusters on one link know their own by it.
pub const CLUSTER: &str = "bellwether.dev/cluster";

/// The Namespace whose UID is the cluster's: every cluster has it, and it lasts as long as it.
pub const CLUSTER_NAMESPACE: &str = "kube-system";

/// How many octets a key has at least, and has if the controller made it.
pub const KEY_LENGTH: usize = 32;
