//! The API of Bellwether: group `bellwether.dev`, version `v1beta1`, all kinds cluster-scoped.
//!
//! | kind | who writes it |
//! |---|---|
//! | [`IPAddressPool`] | user: spec; controller: status |
//! | [`L2Advertisement`] | user: spec; controller: status |
//! | [`Announcement`] | controller: spec; the announcing speaker: status |
//! | [`Speaker`] | controller: spec; the speaker of that node: status |
//!
//! Rules about a single object are CEL in the schema, so that a wrong object is refused at
//! `kubectl apply`. This crate holds no behaviour: what the fields mean to the product is decided
//! in `bellwether-core`, and both daemons turn these types into its own before they look at them.
//!
//! The names that the product reads and writes on other people's objects are in [`annotation`],
//! [`condition`] and [`label`]; [`beacon_keys`] is the Secret that both daemons share.

pub mod annotation;
pub mod announcement;
pub mod beacon_keys;
pub mod condition;
pub mod l2advertisement;
pub mod label;
pub mod manifest;
pub mod pool;
pub mod rule;
pub mod speaker;

pub use announcement::{Announcement, AnnouncementSpec, AnnouncementStatus};
pub use l2advertisement::{L2Advertisement, L2AdvertisementSpec, L2AdvertisementStatus};
pub use pool::{IPAddressPool, IPAddressPoolSpec, IPAddressPoolStatus};
pub use speaker::{Speaker, SpeakerSpec, SpeakerStatus};

/// The API group of all kinds.
pub const GROUP: &str = "bellwether.dev";

/// The namespace that the product runs in unless it is told otherwise.
pub const NAMESPACE: &str = "bellwether-system";
