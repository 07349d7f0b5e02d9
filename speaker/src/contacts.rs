//! Where the other speakers are, as their Speaker objects say it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use bellwether_core::mac::MacAddr;
use bellwether_core::name::NodeName;

/// Where a speaker is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contact {
    /// The MAC addresses that its node announces from.
    pub macs: BTreeSet<MacAddr>,
    /// The addresses of its node, for datagrams: the first one that can be sent to is used.
    pub addresses: Vec<IpAddr>,
}

impl Contact {
    /// Whether the speaker has ever said where it is: of a node on which none has run there is a Speaker
    /// object too.
    #[must_use]
    pub fn has_run(&self) -> bool {
        !self.macs.is_empty() || !self.addresses.is_empty()
    }
}

/// All other speakers, by node.
pub type Contacts = BTreeMap<NodeName, Contact>;
