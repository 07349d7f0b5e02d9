//! Stations that are no nodes: how they remember who has an address.

use bellwether_core::mac::MacAddr;

use crate::history::Time;

const SECOND: Time = 1_000_000_000;

/// Linux takes no other MAC address for so long after it has taken one (`locktime`).
const LOCKED: Time = SECOND;

/// How a kind of station keeps its ARP cache (RFC 826 leaves it open).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Asks the station itself again after 15 to 45 s, and all when that does not answer three times.
    /// Takes no other answer for the first second.
    Linux,
    /// Asks the station itself again after 15 to 45 s, once, and then all.
    Windows,
    /// Keeps an entry for 20 minutes.
    Bsd,
    /// Keeps an entry for 4 hours, and takes announcements as requests alone.
    Router,
}

/// How a station asks for an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// It asks all.
    All,
    /// It asks whom it knows, to see that it is still there.
    Known(MacAddr),
}

/// What a station knows of an address.
#[derive(Clone, Copy, Debug)]
struct Entry {
    mac: MacAddr,
    learned: Time,
    /// How often the station itself was asked since.
    asked: u8,
}

/// How a station is told who has an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It had asked.
    Answer,
    /// To all, as a request.
    Request,
    /// To all, as a reply.
    Reply,
}

/// A station.
#[derive(Debug)]
pub struct Host {
    kind: Kind,
    /// By address.
    cache: Vec<Option<Entry>>,
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

    /// The MAC address that it would send to.
    #[must_use]
    pub fn believes(&self, address: usize) -> Option<MacAddr> {
        self.cache[address].map(|entry| entry.mac)
    }

    /// Whether and how it asks for the address before it sends to it.
    pub fn question(&mut self, address: usize, now: Time) -> Option<Question> {
        let kind = self.kind;
        let Some(entry) = &mut self.cache[address] else {
            return Some(Question::All);
        };
        let (lifetime, questions) = match kind {
            // Drawn at random there; here it follows from when the entry was made.
            Kind::Linux => ((15 + entry.learned / 1_000 % 30) * SECOND, 3),
            Kind::Windows => ((15 + entry.learned / 1_000 % 30) * SECOND, 1),
            Kind::Bsd => (20 * 60 * SECOND, 0),
            Kind::Router => (4 * 3600 * SECOND, 0),
        };
        if now - entry.learned <= lifetime {
            return None;
        }
        if entry.asked < questions {
            entry.asked += 1;
            return Some(Question::Known(entry.mac));
        }
        self.cache[address] = None;
        Some(Question::All)
    }

    /// A station says that it has the address. An announcement makes no entry, as with Linux
    /// (`arp_accept` 0).
    pub fn learn(&mut self, address: usize, mac: MacAddr, now: Time, told: Told) {
        let known = &mut self.cache[address];
        let takes = match (&known, self.kind) {
            (None, _) => told == Told::Answer,
            (Some(entry), Kind::Linux) => entry.mac == mac || now - entry.learned > LOCKED,
            (Some(_), Kind::Router) => told != Told::Reply,
            (Some(_), _) => true,
        };
        if takes {
            *known = Some(Entry {
                mac,
                learned: now,
                asked: 0,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const NEW: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

    fn told(kind: Kind, after: Time, how: Told) -> Option<MacAddr> {
        let mut host = Host::new(kind, 1);
        host.learn(0, OLD, 0, Told::Answer);
        host.learn(0, NEW, after, how);
        host.believes(0)
    }

    #[test]
    fn kinds_differ_in_which_announcements_they_take() {
        assert_eq!(told(Kind::Linux, SECOND / 2, Told::Request), Some(OLD));
        assert_eq!(told(Kind::Linux, 2 * SECOND, Told::Reply), Some(NEW));
        assert_eq!(told(Kind::Router, 2 * SECOND, Told::Reply), Some(OLD));
        assert_eq!(told(Kind::Router, 2 * SECOND, Told::Request), Some(NEW));
        assert_eq!(told(Kind::Bsd, SECOND / 2, Told::Reply), Some(NEW));
        let mut host = Host::new(Kind::Windows, 1);
        host.learn(0, OLD, 0, Told::Request);
        assert_eq!(host.believes(0), None, "an announcement makes no entry");
    }

    #[test]
    fn linux_asks_whom_it_knows_three_times_before_it_asks_all() {
        let mut host = Host::new(Kind::Linux, 1);
        host.learn(0, OLD, 0, Told::Answer);
        assert_eq!(host.question(0, 15 * SECOND), None);
        for _ in 0..3 {
            assert_eq!(host.question(0, 50 * SECOND), Some(Question::Known(OLD)));
        }
        assert_eq!(host.question(0, 50 * SECOND), Some(Question::All));
    }
}
