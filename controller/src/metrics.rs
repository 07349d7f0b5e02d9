//! The controller's own metrics. Labels are kinds and results, never Services or addresses, so that
//! their number does not grow with the cluster.

use bellwether_core::allocator::Counters;
use bellwether_core::name::PoolName;
use bellwether_core::range::IpFamily;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::facts::Target;
use crate::state::State;

/// What is counted.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Whether this replica leads.
    pub leader: Gauge,
    /// Services of ours.
    pub services: Gauge,
    /// Services of ours that wait for an address.
    pub waiting: Gauge,
    /// Objects that wait to be looked at.
    pub backlog: Gauge,
    /// Writes, by what was written and what came of it.
    pub writes: Family<Write, Counter>,
    /// How long a write took, in seconds.
    pub write_duration: Histogram,
    /// How long it took to decide what follows from what has happened, in seconds.
    pub plan_duration: Histogram,
    /// Services that lack something they ask for, by reason.
    pub refused: Family<Refused, Gauge>,
    /// Addresses that Services were given.
    pub given: Counter,
    /// Addresses that Services gave up.
    pub returned: Counter,
    /// How many addresses a pool gives, by family.
    pub pool_size: Family<PoolFamily, Gauge>,
    /// What has become of them.
    pub pool_addresses: Family<PoolState, Gauge>,
}

/// Services that lack something.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Refused {
    /// What, in one word: the reason of the condition `bellwether.dev/Allocated`.
    pub reason: &'static str,
}

/// The addresses of one family of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PoolFamily {
    /// The pool.
    pub pool: String,
    /// `IPv4` or `IPv6`.
    pub family: String,
}

/// Some of the addresses of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PoolState {
    /// The pool.
    pub pool: String,
    /// `IPv4` or `IPv6`.
    pub family: String,
    /// `assigned`, `available` or `resting`.
    pub state: &'static str,
}

/// A write.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Write {
    /// The kind of the object.
    pub kind: &'static str,
    /// `ok` or `failed`.
    pub result: &'static str,
}

impl Metrics {
    /// Adds them to `registry`.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            leader: Gauge::default(),
            services: Gauge::default(),
            waiting: Gauge::default(),
            backlog: Gauge::default(),
            writes: Family::default(),
            write_duration: Histogram::new(exponential_buckets(0.001, 2.0, 13)),
            plan_duration: Histogram::new(exponential_buckets(0.000_01, 4.0, 10)),
            refused: Family::default(),
            given: Counter::default(),
            returned: Counter::default(),
            pool_size: Family::default(),
            pool_addresses: Family::default(),
        };
        registry.register(
            "leader",
            "Whether this replica leads",
            metrics.leader.clone(),
        );
        registry.register(
            "services",
            "Services that are served",
            metrics.services.clone(),
        );
        registry.register(
            "services_waiting",
            "Services that wait for an address",
            metrics.waiting.clone(),
        );
        registry.register(
            "backlog",
            "Objects that wait to be looked at",
            metrics.backlog.clone(),
        );
        registry.register("writes", "Writes to the API server", metrics.writes.clone());
        registry.register_with_unit(
            "write_duration",
            "How long a write to the API server took",
            Unit::Seconds,
            metrics.write_duration.clone(),
        );
        registry.register_with_unit(
            "plan_duration",
            "How long it took to decide what follows from what has happened",
            Unit::Seconds,
            metrics.plan_duration.clone(),
        );
        registry.register(
            "services_refused",
            "Services that lack something they ask for, by reason",
            metrics.refused.clone(),
        );
        let help = "Addresses that Services were given";
        registry.register("allocations", help, metrics.given.clone());
        let help = "Addresses that Services gave up";
        registry.register("releases", help, metrics.returned.clone());
        let help = "How many addresses a pool gives, by family";
        registry.register("pool_size", help, metrics.pool_size.clone());
        let help = "Addresses of a pool that are assigned, available or resting, by family";
        registry.register("pool_addresses", help, metrics.pool_addresses.clone());
        metrics
    }

    /// Takes over what is counted of decisions.
    pub fn follow(&self, state: &mut State) {
        let (services, waiting) = state.services();
        self.services.set(gauge(services));
        self.waiting.set(gauge(waiting));
        self.backlog.set(gauge(state.backlog()));
        let tally = state.tally();
        for (&reason, &count) in &tally.refused {
            self.refused
                .get_or_create(&Refused { reason })
                .set(gauge(count));
        }
        let (given, returned) = state.take_flow();
        self.given.inc_by(given);
        self.returned.inc_by(returned);
        for (pool, counters) in state.take_changed_pools() {
            self.follow_pool(&pool, counters);
        }
    }

    fn follow_pool(&self, pool: &PoolName, counters: Option<[Counters; 2]>) {
        for (index, family) in IpFamily::ALL.into_iter().enumerate() {
            let counters = counters.as_ref().and_then(|both| both.get(index));
            let (pool, family) = (pool.to_string(), family.to_string());
            let size = PoolFamily {
                pool: pool.clone(),
                family: family.clone(),
            };
            let part = |state| PoolState {
                pool: pool.clone(),
                family: family.clone(),
                state,
            };
            let Some(counters) = counters else {
                self.pool_size.remove(&size);
                for state in ["assigned", "available", "resting"] {
                    self.pool_addresses.remove(&part(state));
                }
                continue;
            };
            self.pool_size.get_or_create(&size).set(counters.total);
            for (state, count) in [
                ("assigned", counters.assigned),
                ("available", counters.available),
                ("resting", counters.resting),
            ] {
                self.pool_addresses.get_or_create(&part(state)).set(count);
            }
        }
    }

    /// This replica does not lead any more: what it knew is no longer true.
    pub fn forget(&self) {
        for gauge in [&self.leader, &self.services, &self.waiting, &self.backlog] {
            gauge.set(0);
        }
        self.refused.clear();
        self.pool_size.clear();
        self.pool_addresses.clear();
    }
}

fn gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The kind of the object that a target is.
#[must_use]
pub const fn kind(target: &Target) -> &'static str {
    match target {
        Target::Speaker(_) => "Speaker",
        Target::Advertisement(_) => "L2Advertisement",
        Target::Announcement(_) => "Announcement",
        Target::Service(_) => "Service",
        Target::Pool(_) => "IPAddressPool",
        Target::Notes(_) => "Event",
    }
}

#[cfg(test)]
mod tests;
