//! The speaker: the daemon on each node that announces addresses on the local network.
//!
//! ```text
//!   API server --watch--> facts --> view --Assignments--> l2 --> frames
//!       ^                   |                              |
//!       +----- writer <-- reporter <-------reports---------+
//!                           ^                              ^
//!                         links (netlink) -----------------+
//! ```
//!
//! - [`facts`]: the little that is kept of each object; [`view`]: what follows from them.
//! - [`l2`]: one OS thread that answers ARP and NDP and sends announcements. What it decides is
//!   decided in `bellwether_core`: `election`, `announcer`, `responder`.
//! - [`socket`], [`filter`]: frames in and out, and which of them wake the thread.
//! - [`links`]: what the kernel tells of the node's links.
//! - [`privileges`]: real-time priority and locked memory, where they are granted.
//! - [`keys`]: the keys that beacons are signed with, from the Secret that all speakers share.
//! - [`status`]: what the process says of itself to who asks on the node.
//! - [`trace`]: a recording of what the election is told, to be replayed.
//! - [`reporter`]: what the node says of itself; [`writer`] writes it.
//! - [`desk`]: the task that moves all this; [`run`]: every thread, task and channel by name.

pub mod assignments;
pub mod clock;
pub mod contacts;
pub mod desk;
pub mod facts;
pub mod filter;
mod groups;
pub mod keys;
pub mod l2;
pub mod links;
pub mod metrics;
pub mod options;
pub mod privileges;
pub mod reporter;
pub mod run;
pub mod socket;
pub mod stamp;
pub mod status;
pub mod trace;
pub mod view;
pub mod writer;
