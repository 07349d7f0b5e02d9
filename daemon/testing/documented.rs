//! That a daemon's metrics are those of `docs/metrics.md`. The tests of both daemons take this file in.

use std::collections::BTreeMap;

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

/// The metrics as they are served.
pub fn text(registry: &Registry) -> String {
    let mut text = String::new();
    encode(&mut text, registry).expect("a string takes everything");
    text
}

/// Checks names, types, helps and units against the tables of the documentation, of which those rows
/// count whose names begin with `prefix`.
pub fn check(registry: &Registry, prefix: &str, documentation: &str) {
    let text = text(registry);
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
    let row = format!("| `{prefix}");
    let documented: BTreeMap<String, String> = documentation
        .lines()
        .filter_map(|line| line.strip_prefix(&row))
        .map(|row| {
            let mut cells = row.split(" | ");
            let name = cells.next().unwrap_or_default().replace('`', "");
            let kind = cells.next().unwrap_or_default().to_owned();
            (format!("{prefix}{name}"), kind)
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
