//! The speakers' election in an invented network, with faults.
//!
//! ```text
//!   seed --> plan --> world (nodes, network, hosts, API) --> history --> checker --> violations
//!             ^                                                              |
//!             +------------------------ shrink <-----------------------------+
//! ```
//!
//! - [`plan`]: what happens in a run: how many nodes and addresses, which faults and when. It follows
//!   from the seed alone.
//! - [`world`]: runs the unchanged [`bellwether_core`] on each node, event by event.
//! - [`queue`]: what is to happen, in order. [`network`], [`host`]: the switch and the cables, the stations that are no nodes.
//! - [`history`]: what happened. [`checker`] judges it, and shares no code with the election.
//! - [`shrink`]: finds the smallest plan that still fails.
//! - [`mutants`]: rules broken on purpose, which the checker has to notice.
//! - [`timeline`]: a history as a person reads it.
//!
//! A run is a pure function of its plan: the same plan gives the same history on every machine.

pub mod checker;
pub mod history;
pub mod host;
pub mod mutants;
pub mod network;
pub mod node;
pub mod plan;
pub mod queue;
pub mod replay;
pub mod run;
pub mod shrink;
pub mod timeline;
pub mod world;
