//! That what is exported is what is documented, and what it says.

use std::collections::BTreeMap;

use bellwether_daemon::watch::WatchMetrics;
use prometheus_client::encoding::text::encode;

use super::*;

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

fn text(registry: &Registry) -> String {
    let mut text = String::new();
    encode(&mut text, registry).expect("a string takes everything");
    text
}

#[test]
fn what_is_exported_is_what_is_documented() {
    let (_, registry) = exported();
    let text = text(&registry);
    let lines = |word: &str| -> BTreeMap<String, String> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(word));
        lines
            .filter_map(|line| line.split_once(' '))
            .map(|(name, rest)| (name.to_owned(), rest.to_owned()))
            .collect()
    };
    let exported: BTreeMap<String, String> = lines("# TYPE ")
        .into_iter()
        .map(|(name, kind)| {
            let name = if kind == "counter" {
                format!("{name}_total")
            } else {
                name
            };
            (name, kind)
        })
        .collect();
    let documented: BTreeMap<String, String> = DOCUMENTED
        .lines()
        .filter_map(|line| line.strip_prefix("| `bellwether_controller_"))
        .map(|row| {
            let mut cells = row.split(" | ");
            let name = cells.next().unwrap_or_default().replace('`', "");
            let kind = cells.next().unwrap_or_default().to_owned();
            (format!("bellwether_controller_{name}"), kind)
        })
        .collect();
    assert_eq!(documented, exported);
    let helps = lines("# HELP ");
    assert_eq!(helps.len(), exported.len());
    assert!(helps.values().all(|help| help.len() > 10), "{helps:?}");
    for (name, unit) in lines("# UNIT ") {
        assert!(name.ends_with(&unit), "{name} is in {unit}");
    }
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
