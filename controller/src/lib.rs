//! The controller: gives Services of type LoadBalancer their addresses, and decides who may announce
//! them.
//!
//! One way, from left to right:
//!
//! ```text
//! API server --watch--> facts --> state --> change --> apply --> API server
//!                                   |  ^                  |
//!                        core::allocator, core::placement +-- what was written
//! ```
//!
//! - [`facts`]: the little that is kept of each object.
//! - [`state`]: one owner of all that is known; it compares what should be with what is and says the
//!   difference as [`change::Change`]s. It does no IO.
//! - [`apply`]: writes one change.
//! - [`beacon_keys`]: the Secret with the keys that speakers sign with; the leader creates it.
//! - [`explain`], [`plan`]: commands that ask and change nothing, with the [`live`] cluster in the same
//!   state.
//! - `page`: what they print for people.
//! - [`leadership`]: the Lease, so that one replica at a time does all this.
//! - [`run`]: every watch and task by name.

pub mod apply;
pub mod beacon_keys;
pub mod change;
pub mod events;
pub mod explain;
pub mod facts;
pub mod leadership;
pub mod live;
pub mod metrics;
pub mod options;
pub(crate) mod page;
pub mod plan;
pub mod reason;
pub mod run;
pub mod state;
