//! The failover benchmark measures what it says, and prints what others read.

use std::process::Stdio;

use bellwether_e2e::Result;
use bellwether_e2e::error::{Context, Error};
use serde_json::Value;

const LAB: &str = env!("CARGO_BIN_EXE_bellwether-lab");

/// A drain makes the address move, and back or not; it is the quickest strike that does.
#[tokio::test]
async fn a_drain_is_measured_and_the_last_line_is_its_summary() -> Result<()> {
    let output = tokio::process::Command::new(LAB)
        .args(["bench", "failover", "--runs=1", "--fault=drain"])
        .arg("--output=json")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context(|| "cannot run the benchmark".to_owned())?;
    let printed = bellwether_e2e::process::stdout_of("bench failover", &output)?;
    let lines: Vec<Value> = printed
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .map_err(|error| Error::Unexpected(format!("{error}: {printed}")))?;
    let [run, summary] = &lines[..] else {
        panic!("one run and one summary: {printed}");
    };
    assert_eq!(run["run"], 1);
    assert!(run["connections"].as_u64() > Some(100), "{run}");
    assert!(run["moves"].as_u64() >= Some(1), "{run}");
    assert_eq!(summary["fault"], "drain");
    assert_eq!(summary["runs"], 1);
    assert_eq!(summary["p50_ms"], summary["max_ms"]);
    for name in ["p99_ms", "lost_probes", "overlap_ms_max", "moves"] {
        assert!(summary[name].is_number(), "{name}: {summary}");
    }
    Ok(())
}
