//! The controller's own metrics. Labels are kinds and results, never Services or addresses, so that
//! their number does not grow with the cluster.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::facts::Target;

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
        metrics
    }
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
        Target::Moves(_) => "Event",
    }
}
