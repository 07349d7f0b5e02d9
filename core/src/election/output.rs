//! What an election has decided, and why.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_with::serde_as;

use super::Term;
use crate::frame::beacon::Beacon;
use crate::link::LinkIndex;
use crate::mac::MacAddr;
use crate::membership::Channel;
use crate::name::NodeName;
use crate::placement::Interfaces;
use crate::seconds::Seconds;

/// What the election has decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Output {
    /// This node has claimed the address, and announces it from now on.
    Own(Owned),
    /// This node announces the address as before, but on other links. That is no new claim.
    Relink(Owned),
    /// This node does not announce the address any more.
    Release {
        /// The address.
        address: IpAddr,
        /// Why.
        reason: ReleaseReason,
    },
    /// The address is owned and has to be announced again: somebody else has.
    Announce {
        /// The address.
        address: IpAddr,
    },
    /// The address is owned, and a stranger uses it: it has to be announced one time (RFC 5227 section
    /// 2.4: one single announcement).
    Defend {
        /// The address.
        address: IpAddr,
    },
    /// A beacon is to be sent. When it has left, [`super::Input::Sent`] says so.
    Beacon {
        /// Where.
        channel: Channel,
        /// The beacon.
        beacon: Beacon,
    },
    /// Ask on the link who has the address, without saying who asks (RFC 5227 section 2.1.1, RFC
    /// 4862 section 5.4.2).
    Probe {
        /// Where.
        link: LinkIndex,
        /// The address.
        address: IpAddr,
    },
    /// A stranger uses an address that this node is to announce, so it does not (C1).
    Conflict {
        /// The address.
        address: IpAddr,
        /// The stranger.
        mac: MacAddr,
    },
    /// This node has given everything away and may end.
    Left,
}

/// An address that this node announces.
#[serde_as]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owned {
    /// The address.
    pub address: IpAddr,
    /// The links that it may be announced on.
    pub interfaces: Interfaces,
    /// The term of this node's claim.
    pub term: Term,
    /// The node that announced it before, if that is known.
    pub previous: Option<NodeName>,
    /// Why this node announces it.
    pub reason: OwnReason,
    /// How long after the last sign of life of the node before, or after its word that it is deaf or has
    /// released the address, this one claimed it; zero if that node handed it over, and none if there was
    /// none or it is not known.
    #[serde_as(as = "Option<Seconds>")]
    pub takeover: Option<Duration>,
}

/// Why this node announces an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OwnReason {
    /// Nobody announced it.
    Unclaimed,
    /// The node before is silent.
    OwnerSilent,
    /// The node before hears nobody.
    OwnerDeaf,
    /// The node before has released it.
    OwnerReleased,
    /// The node before has handed it over.
    HandedOver,
}

impl OwnReason {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Unclaimed,
        Self::OwnerSilent,
        Self::OwnerDeaf,
        Self::OwnerReleased,
        Self::HandedOver,
    ];
}

impl fmt::Display for OwnReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Why this node does not announce an address any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ReleaseReason {
    /// The address is used no more.
    Unassigned,
    /// No node may announce it.
    NoCandidate,
    /// A successor has taken it over, as it was asked to.
    HandedOver,
    /// Another node has a higher claim.
    Outclaimed,
    /// No link that it can be announced on is usable.
    LinkDown,
    /// Nothing is heard on its links.
    Deaf,
    /// The speaker stops.
    Stopping,
}

impl fmt::Display for ReleaseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
