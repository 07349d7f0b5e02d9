//! The speaker: the daemon on each node that announces addresses on the local network.
//!
//! It watches the API and the kernel, and hands what they say, as immutable snapshots, to one OS
//! thread that answers ARP and NDP and sends announcements. What that thread decides is decided in
//! `bellwether-core`; here is the IO around it.

pub mod assignments;
pub mod clock;
pub mod facts;
pub mod filter;
mod groups;
pub mod l2;
pub mod links;
pub mod metrics;
pub mod options;
pub mod reporter;
pub mod run;
pub mod socket;
pub mod view;
mod writer;
