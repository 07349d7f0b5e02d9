//! Beacons: how speakers tell each other that they live and what they announce.
//!
//! A [`Beacon`] says who sends it, how fast it beats, whom it hears, and a [`Part`] of its book of
//! claims. This module holds the typed values; [`wire`] turns them into octets and back, and
//! [`keyring`] signs those and checks them. What a beacon means is not decided here: see
//! [`crate::membership`] for who is alive, [`crate::election`] for who announces.

use std::hash::Hasher;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher24;

use crate::election::Term;
use crate::mac::MacAddr;
use crate::name::NodeName;

pub mod keyring;
mod spares;
pub mod wire;

pub use spares::Spares;

/// The `EtherType` of beacons: local experimental 1 (IEEE 802-2014 section 9.2.3).
pub const ETHER_TYPE: u16 = 0x88b5;

/// The group that beacons are sent to: locally administered, and not one of IP's, so that switches
/// that snoop IGMP or MLD flood it.
pub const GROUP: MacAddr = MacAddr([0x03, 0x62, 0x77, 0x62, 0x63, 0x6e]);

/// One start of one speaker: a number drawn at random. It doubles as the nonce that others echo to
/// prove that they hear this process now and not a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Session(pub u64);

/// What a speaker says at fixed intervals, and at once when something changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beacon {
    /// The node that sends it.
    pub sender: NodeName,
    /// Its start.
    pub session: Session,
    /// Grows with each beacon of the session, over all its channels.
    pub sequence: u64,
    /// The MAC address that the sender announces on this link; none on a channel without frames.
    pub mac: Option<MacAddr>,
    /// How fast it beats.
    pub pulse: Pulse,
    /// What it says of itself.
    pub flags: Flags,
    /// The sessions that it has heard on this channel.
    pub heard: Vec<Heard>,
    /// What it announces, or a part of that.
    pub part: Part,
}

/// How often a speaker sends beacons, and for how long it may be silent (RFC 5880's detection
/// time).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pulse {
    /// The longest time between two beacons when all is well. In microseconds on the wire.
    pub interval: Duration,
    /// How many may be missed.
    pub misses: u8,
    /// How late the sender's loop wakes up at times. In microseconds on the wire.
    pub lateness: Duration,
}

/// What a speaker says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flags {
    /// It wants to give its addresses away and takes none.
    pub leaving: bool,
    /// Nothing arrives on this link; by datagram, on any link (R12).
    pub deaf: bool,
    /// It has started less than 30 s ago: others are better targets of planned moves.
    pub young: bool,
}

/// A session that a speaker hears. Its being listed is the echo of its nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// The session.
    pub session: Session,
    /// How long ago its last beacon came. In milliseconds on the wire, at most 65,535.
    pub age: Duration,
    /// Whether the whole book of that session is known to the sender.
    pub synced: bool,
}

/// A part of a speaker's book: of the claims that it makes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The digest of the whole book, by which others tell whether they know all of it.
    pub digest: Digest,
    /// From which to which address `entries` hold all that is in the book; none, if they are only
    /// what has changed.
    pub range: Option<(IpAddr, IpAddr)>,
    /// Claims, and what else is to be said about addresses.
    pub entries: Vec<Entry>,
}

impl Part {
    /// All addresses, in the order of [`IpAddr`].
    pub const EVERYTHING: (IpAddr, IpAddr) = (
        IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(Ipv6Addr::from_bits(u128::MAX)),
    );
}

/// A statement about an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The address.
    pub address: IpAddr,
    /// The term of the claim that the statement is about.
    pub term: Term,
    /// The statement.
    pub standing: Standing,
}

impl Entry {
    /// Whether it is in the book of its sender, and so in its digest.
    #[must_use]
    pub const fn is_claim(&self) -> bool {
        matches!(self.standing, Standing::Own | Standing::Offer { .. })
    }
}

/// What a speaker says about an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// The sender announces it.
    Own,
    /// The sender announces it, and asks that session to take it over.
    Offer {
        /// The session.
        to: Session,
    },
    /// The sender announced it and does not any more.
    Released,
    /// The sender hears two owners, or has just yielded to one; this is the claim that holds. For
    /// those who cannot hear each other.
    Relayed {
        /// Who holds it.
        holder: Session,
        /// The weight of that node for the address ([`crate::placement::rendezvous_weight`]).
        weight: u64,
    },
}

/// A digest of a book that does not depend on the order of its entries, and that can be kept up to
/// date one entry at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(pub u64);

impl Digest {
    /// Adds a claim that was not in it.
    pub fn add(&mut self, entry: &Entry) {
        self.0 = self.0.wrapping_add(entry_hash(entry));
    }

    /// Removes a claim that was in it.
    pub fn remove(&mut self, entry: &Entry) {
        self.0 = self.0.wrapping_sub(entry_hash(entry));
    }
}

/// Part of the protocol between versions. An offer counts like the claim that it is.
fn entry_hash(entry: &Entry) -> u64 {
    let mut hasher = SipHasher24::new();
    match entry.address {
        IpAddr::V4(address) => hasher.write(&address.octets()),
        IpAddr::V6(address) => hasher.write(&address.octets()),
    }
    hasher.write(&entry.term.0.to_be_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests;
