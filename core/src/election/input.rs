//! What an election is told.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::frame::beacon::Beacon;
use crate::link::{LinkIndex, Links};
use crate::mac::MacAddr;
use crate::membership::Channel;
use crate::moment::Moment;
use crate::name::NodeName;
use crate::placement::Candidate;

/// The number of a claim. Of two claims of one address, that with the higher term is the later one.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Term(pub u64);

impl Term {
    /// The term of the claim after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// The claim that the Announcement of an address records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// The node that announces the address or, if the claim does not stand, announced it last.
    pub node: Option<NodeName>,
    /// The term of the claim.
    pub term: Term,
    /// Whether it stands: not if the node has said that it does not announce the address any more.
    pub stands: bool,
}

/// Who may announce an address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The nodes, best first.
    pub candidates: Vec<Candidate>,
    /// The last claim that is known to the API.
    pub recorded: Option<Recorded>,
    /// The node that an operator wants it to be announced by.
    pub move_to: Option<NodeName>,
}

impl Assignment {
    /// What `node` may do about the address, if anything.
    #[must_use]
    pub fn candidate(&self, node: &NodeName) -> Option<&Candidate> {
        self.candidates
            .iter()
            .find(|candidate| candidate.node == *node)
    }
}

/// What the election is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    /// The links of the node, all of them, as they are now.
    Links(Links),
    /// The MAC addresses of all speakers that the API knows, so that a peer that is not heard can
    /// be told from a stranger.
    Speakers(BTreeMap<NodeName, BTreeSet<MacAddr>>),
    /// These nodes may announce the address.
    Assign {
        /// The address.
        address: IpAddr,
        /// The nodes.
        assignment: Assignment,
    },
    /// Nobody may announce the address any more.
    Unassign {
        /// The address.
        address: IpAddr,
    },
    /// A beacon whose signature is right.
    Beacon {
        /// Where it came in.
        channel: Channel,
        /// The beacon.
        beacon: Beacon,
        /// When the kernel received it.
        at: Moment,
    },
    /// A host on the link has said that it uses the address: an answer, a request or an
    /// announcement from it.
    Seen {
        /// Where.
        link: LinkIndex,
        /// The address.
        address: IpAddr,
        /// The MAC address that it says it has.
        mac: MacAddr,
    },
    /// A beacon has left on that channel.
    Sent {
        /// The channel.
        channel: Channel,
    },
    /// This node stops: it gives all that it owns to others, and takes nothing any more.
    Leave,
    /// This node stops now: it releases all that it still owns.
    Stop,
}
