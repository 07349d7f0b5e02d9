//! That what is exported is what is documented, and what it says.

use bellwether_daemon::watch::WatchMetrics;

use self::documented::{check, text};
use super::*;

#[path = "../../../daemon/testing/documented.rs"]
mod documented;

const DOCUMENTED: &str = include_str!("../../../docs/metrics.md");

fn counters(total: i64, assigned: i64) -> Counters {
    Counters {
        total,
        assigned,
        available: total - assigned,
        resting: 0,
    }
}

/// What a replica exports that has seen all that can be counted.
fn exported() -> (Metrics, Registry) {
    let mut registry = Registry::with_prefix("bellwether_controller");
    WatchMetrics::register(&mut registry).begin("services");
    let metrics = Metrics::register(&mut registry);
    let reason = "Exhausted";
    metrics.refused.get_or_create(&Refused { reason }).set(1);
    let (kind, result) = ("Service", "ok");
    metrics.writes.get_or_create(&Write { kind, result }).inc();
    metrics.follow_pool(&"lan".into(), Some([counters(8, 3), counters(0, 0)]));
    (metrics, registry)
}

#[test]
fn what_is_exported_is_what_is_documented() {
    let (_, registry) = exported();
    check(&registry, "bellwether_controller_", DOCUMENTED);
}

#[test]
fn a_pool_that_is_gone_and_a_replica_that_leads_no_more_say_nothing_of_pools() {
    let (metrics, registry) = exported();
    for line in [
        "bellwether_controller_pool_size{pool=\"lan\",family=\"IPv4\"} 8",
        "bellwether_controller_pool_addresses{pool=\"lan\",family=\"IPv4\",state=\"assigned\"} 3",
        "bellwether_controller_pool_addresses{pool=\"lan\",family=\"IPv4\",state=\"available\"} 5",
        "bellwether_controller_services_refused{reason=\"Exhausted\"} 1",
    ] {
        assert!(text(&registry).lines().any(|it| it == line), "{line}");
    }
    metrics.follow_pool(&"lan".into(), None);
    assert!(!text(&registry).contains("pool=\"lan\""));
    metrics.follow_pool(&"lan".into(), Some([counters(8, 3), counters(0, 0)]));
    metrics.forget();
    let text = text(&registry);
    assert!(!text.contains("pool=\"lan\"") && !text.contains("Exhausted"));
}
