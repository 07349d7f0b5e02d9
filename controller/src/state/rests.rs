//! Addresses that rest: their pools' status lists them, so that they go on resting when another
//! replica leads.
//!
//! The status is written at most once a second for each pool. An address that was freed in the last
//! second before its controller died does not rest.

use std::time::Duration;

use bellwether_core::allocator::Resting;
use bellwether_core::moment::Moment;
use bellwether_core::name::{PoolName, ServiceName};
use bellwether_core::range::IpFamily;
use bellwether_crds::pool::{MOST_RESTING, RestingAddress};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::State;
use crate::facts::{PoolFacts, Target};

/// Times of day that differ by no more are the same: those of two replicas differ a little.
const SAME: SignedDuration = SignedDuration::from_secs(2);

/// A moment, and what time of day it was then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Anchor {
    pub(super) now: Moment,
    pub(super) wall: Timestamp,
}

impl Default for Anchor {
    fn default() -> Self {
        Self {
            now: Moment::ORIGIN,
            wall: Timestamp::UNIX_EPOCH,
        }
    }
}

impl Anchor {
    /// The time of day so long after the anchor, as Kubernetes writes it: to the second.
    fn wall_after(self, since: Duration) -> Timestamp {
        let exact = self.wall.saturating_add(since).unwrap_or(self.wall);
        let up = exact.as_second() + i64::from(exact.subsec_nanosecond() > 0);
        Timestamp::from_second(up).unwrap_or(exact)
    }

    /// How long it is at `now` until that time of day; zero if it is past.
    fn remaining(self, until: Timestamp, now: Moment) -> Duration {
        let since_anchor = until.duration_since(self.wall);
        let since_anchor = Duration::try_from(since_anchor).unwrap_or_default();
        since_anchor.saturating_sub(now.since(self.now))
    }
}

impl State {
    /// Lets rest what rested under the controller that led before.
    pub(super) fn rest_again(&mut self, now: Moment) {
        let listed = self.pools.values().flat_map(|facts| &facts.status.resting);
        let resting: Vec<Resting> = listed
            .map(|entry| Resting {
                address: entry.address,
                last_user: ServiceName::new(&entry.namespace, &entry.name),
                remaining: self.anchor.remaining(entry.until.0, now),
            })
            .collect();
        self.allocator.rest(resting, now);
    }

    /// Ends the rest of addresses that have rested enough.
    pub(super) fn end_rests(&mut self, now: Moment) {
        let deadline = self.allocator.next_deadline();
        if deadline.is_none_or(|deadline| deadline > now) {
            return;
        }
        let with_resting: Vec<PoolName> = self
            .pools
            .keys()
            .filter(|pool| self.has_resting(pool))
            .cloned()
            .collect();
        self.allocator.on_deadline(now);
        for pool in with_resting {
            self.schedule.mark(Target::Pool(pool));
        }
        self.reconsider(now);
    }

    fn has_resting(&self, pool: &PoolName) -> bool {
        IpFamily::ALL
            .into_iter()
            .any(|family| self.allocator.counters(pool, family).resting > 0)
    }

    /// What the status of a pool says of those that rest.
    pub(super) fn resting_of(&self, facts: &PoolFacts) -> Vec<RestingAddress> {
        let Some(pool) = self
            .usable_pools
            .get(&facts.name)
            .filter(|_| self.has_resting(&facts.name))
        else {
            return Vec::new();
        };
        let mut resting = self.allocator.resting(self.anchor.now);
        resting.retain(|entry| pool.offered().contains(entry.address));
        if resting.len() > MOST_RESTING {
            resting.sort_by_key(|entry| std::cmp::Reverse(entry.remaining));
            resting.truncate(MOST_RESTING);
            resting.sort_by_key(|entry| entry.address);
        }
        let said = |entry: &RestingAddress| {
            let known = facts.status.resting.iter();
            let same = |known: &&RestingAddress| {
                let apart = known.until.0.duration_since(entry.until.0).abs();
                (known.address, &known.namespace, &known.name)
                    == (entry.address, &entry.namespace, &entry.name)
                    && apart <= SAME
            };
            known.clone().find(same).cloned()
        };
        resting
            .into_iter()
            .map(|entry| RestingAddress {
                address: entry.address,
                namespace: entry.last_user.namespace.to_string(),
                name: entry.last_user.name.to_string(),
                until: Time(self.anchor.wall_after(entry.remaining)),
            })
            .map(|entry| said(&entry).unwrap_or(entry))
            .collect()
    }
}
