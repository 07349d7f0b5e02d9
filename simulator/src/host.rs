//! Stations that are no nodes: how they remember who has an address.

use bellwether_core::mac::MacAddr;

use crate::history::Time;

const SECOND: Time = 1_000_000_000;

/// How a kind of station keeps its ARP cache (wire.md's figures: RFC 826 leaves it open).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Asks again after 15 to 45 s.
    Linux,
    /// The same by default.
    Windows,
    /// Keeps an entry for 20 minutes.
    Bsd,
    /// Keeps an entry for 4 hours.
    Router,
}

/// A station.
#[derive(Debug)]
pub struct Host {
    /// Its kind.
    pub kind: Kind,
    /// By address: the MAC address, and when it was learned.
    pub cache: Vec<Option<(MacAddr, Time)>>,
}

impl Host {
    /// A station that knows none of so many addresses.
    #[must_use]
    pub fn new(kind: Kind, addresses: usize) -> Self {
        Self {
            kind,
            cache: vec![None; addresses],
        }
    }

    /// Whether it has to ask for the address.
    #[must_use]
    pub fn must_ask(&self, address: usize, now: Time) -> bool {
        let lifetime = match self.kind {
            Kind::Linux | Kind::Windows => 30 * SECOND,
            Kind::Bsd => 20 * 60 * SECOND,
            Kind::Router => 4 * 3600 * SECOND,
        };
        self.cache[address].is_none_or(|(_, learned)| now - learned > lifetime)
    }

    /// A station answered for the address, or announced it. What is announced is only learned by
    /// those that know the address already; Linux for one creates no entry (`arp_accept` 0).
    pub fn learn(&mut self, address: usize, mac: MacAddr, now: Time, announced: bool) {
        let known = &mut self.cache[address];
        if !announced || known.is_some() {
            *known = Some((mac, now));
        }
    }
}
