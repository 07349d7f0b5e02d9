//! Addresses that a Service had and may have again.
//!
//! An address of a pool with a `cooldown` rests after it was freed: only its last user gets it.
//! An address of a pool with the strategy `Sticky` is remembered beyond that, until another Service
//! gets it, so that a Service that is created again finds its own.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::moment::Moment;
use crate::name::ServiceName;

/// A resting address, in a form that outlives the process: how long it still rests, not until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resting {
    /// The address.
    pub address: IpAddr,
    /// The Service that had it last.
    pub last_user: ServiceName,
    /// How long it still rests.
    pub remaining: Duration,
}

/// How many addresses are remembered that do not rest. Beyond that, the one that was freed first is
/// forgotten; its last user gets the address that follows from its name, as after a restart.
const REMEMBERED: usize = 4096;

/// Addresses that nobody uses, with the Service that had them last.
#[derive(Clone, Debug, Default)]
pub(super) struct Rest {
    entries: BTreeMap<IpAddr, Entry>,
    by_service: BTreeMap<ServiceName, BTreeSet<IpAddr>>,
    /// When each resting address has rested enough.
    deadlines: BTreeSet<(Moment, IpAddr)>,
    /// Those that do not rest, in the order in which they were freed.
    remembered: BTreeSet<(u64, IpAddr)>,
    /// Counts what was remembered so far.
    sequence: u64,
}

#[derive(Clone, Debug)]
struct Entry {
    last_user: ServiceName,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Resting { until: Moment },
    Remembered { sequence: u64 },
}

impl Rest {
    /// From now until `until`, only `last_user` gets `address`.
    pub(super) fn rest(&mut self, address: IpAddr, last_user: ServiceName, until: Moment) {
        self.forget(address);
        self.deadlines.insert((until, address));
        self.enter(address, last_user, State::Resting { until });
    }

    /// `last_user` gets `address` again if it asks before another does.
    pub(super) fn remember(&mut self, address: IpAddr, last_user: ServiceName) {
        self.forget(address);
        let sequence = self.sequence;
        self.sequence += 1;
        self.remembered.insert((sequence, address));
        self.enter(address, last_user, State::Remembered { sequence });
        if self.remembered.len() > REMEMBERED
            && let Some(&(_, first)) = self.remembered.first()
        {
            self.forget(first);
        }
    }

    fn enter(&mut self, address: IpAddr, last_user: ServiceName, state: State) {
        self.by_service
            .entry(last_user.clone())
            .or_default()
            .insert(address);
        self.entries.insert(address, Entry { last_user, state });
    }

    /// Takes out `address`; says whether it was resting.
    pub(super) fn forget(&mut self, address: IpAddr) -> bool {
        let Some(entry) = self.entries.remove(&address) else {
            return false;
        };
        if let Some(addresses) = self.by_service.get_mut(&entry.last_user) {
            addresses.remove(&address);
            if addresses.is_empty() {
                self.by_service.remove(&entry.last_user);
            }
        }
        match entry.state {
            State::Resting { until } => {
                self.deadlines.remove(&(until, address));
                true
            }
            State::Remembered { sequence } => {
                self.remembered.remove(&(sequence, address));
                false
            }
        }
    }

    /// The addresses that `service` had last, and that nobody had since.
    pub(super) fn of(&self, service: &ServiceName) -> impl Iterator<Item = IpAddr> {
        self.by_service.get(service).into_iter().flatten().copied()
    }

    /// Who had `address` last and until when it rests, if it does.
    pub(super) fn resting(&self, address: IpAddr) -> Option<(&ServiceName, Moment)> {
        let entry = self.entries.get(&address)?;
        match entry.state {
            State::Resting { until } => Some((&entry.last_user, until)),
            State::Remembered { .. } => None,
        }
    }

    /// All resting addresses, in order.
    pub(super) fn all_resting(&self) -> impl Iterator<Item = (IpAddr, &ServiceName, Moment)> {
        self.entries.iter().filter_map(|(&address, entry)| {
            let State::Resting { until } = entry.state else {
                return None;
            };
            Some((address, &entry.last_user, until))
        })
    }

    /// All entries' addresses, resting or remembered.
    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.entries.keys().copied()
    }

    /// When the next address has rested enough.
    pub(super) fn next_deadline(&self) -> Option<Moment> {
        self.deadlines.first().map(|&(until, _)| until)
    }

    /// Takes out an address that has rested enough, with its last user.
    pub(super) fn pop_rested(&mut self, now: Moment) -> Option<(IpAddr, ServiceName)> {
        let &(until, address) = self.deadlines.first()?;
        if until > now {
            return None;
        }
        let last_user = self.entries.get(&address)?.last_user.clone();
        self.forget(address);
        Some((address, last_user))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_limit_what_was_freed_first_is_forgotten() {
        let mut rest = Rest::default();
        let address = |number: u16| {
            let [high, low] = number.to_be_bytes();
            IpAddr::from([10, 0, high, low])
        };
        let service = |number: u16| ServiceName::new("shop", &number.to_string());
        let limit = u16::try_from(REMEMBERED).expect("small");
        // The highest first: it is the order of freeing that counts.
        for number in (0..=limit).rev() {
            rest.remember(address(number), service(number));
        }
        assert_eq!(rest.of(&service(limit)).count(), 0);
        assert_eq!(rest.of(&service(limit - 1)).count(), 1);
        assert_eq!(rest.of(&service(0)).count(), 1);
        assert_eq!(rest.entries.len(), REMEMBERED);
        assert_eq!(rest.remembered.len(), REMEMBERED);
    }
}
