//! What happened in a run, as an observer who sees everything writes it down.

use bellwether_core::election::{OwnReason, ReleaseReason};
use serde::Serialize;

/// Nanoseconds since the start of the run.
pub type Time = u64;

/// Something that happened.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    /// When.
    pub at: Time,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, Serialize)]
pub enum What {
    /// A fault began.
    FaultBegan(usize),
    /// A fault ended.
    FaultEnded(usize),
    /// A speaker started.
    Started(usize),
    /// A speaker ended, whether it wanted to or not.
    Ended(usize),
    /// A speaker is stopped.
    Paused(usize),
    /// A speaker that was stopped runs again, after so long.
    Resumed(usize, Time),
    /// A speaker may answer, or may not (R6, R7).
    Answering(usize, bool),
    /// A speaker's beacon went out.
    Beacon {
        /// The node.
        node: usize,
        /// How late it says that it is at times.
        lateness: Time,
    },
    /// A speaker owns an address.
    Owned {
        /// The node.
        node: usize,
        /// The address.
        address: usize,
        /// The term of its claim.
        term: u64,
        /// Why.
        reason: OwnReason,
    },
    /// A speaker does not own an address any more.
    Released {
        /// The node.
        node: usize,
        /// The address.
        address: usize,
        /// Why.
        reason: ReleaseReason,
    },
    /// A speaker announced an address to all.
    Announced {
        /// The node.
        node: usize,
        /// The address.
        address: usize,
    },
    /// A speaker answered for an address.
    Answered {
        /// The node.
        node: usize,
        /// The address.
        address: usize,
        /// When the question had reached it.
        asked: Time,
    },
    /// A frame for an address that is not among those of the run, or one of a node's own.
    Alien(usize),
    /// A speaker refused a genuine beacon: it did not have the key, or could not read it.
    Refused(usize),
    /// Who may announce an address, as the API has it from now on; one bit for each node.
    Candidates(usize, u32),
    /// So much happens that the run would not come to an end, and is ended here.
    Endless,
    /// What hosts believe at the end: the MAC address of that node, or of a stranger.
    Believed {
        /// The host.
        host: usize,
        /// The address.
        address: usize,
        /// The node.
        node: Option<usize>,
    },
    /// Who can hear whose beacons changed: a row of bits for each receiver.
    Hearing(Vec<u32>),
    /// Who can hear whose other frames changed.
    Reaching(Vec<u32>),
}
