//! The failover benchmark measures what it says, and prints what others read; and nobody is without an
//! address that is handed over.

use std::process::Stdio;

use bellwether_e2e::Result;
use bellwether_e2e::error::{Context, Error};
use serde_json::Value;

const LAB: &str = env!("CARGO_BIN_EXE_bellwether-lab");

/// How many runs each fault has.
const RUNS: usize = 2;

/// Of some fault: its runs, and the line that sums them up.
fn check(fault: &str, lines: &[Value]) {
    let [runs @ .., summary] = lines else {
        panic!("no line of {fault}");
    };
    assert_eq!(runs.len(), RUNS);
    for (number, run) in runs.iter().enumerate() {
        assert_eq!(run["run"], number + 1, "{run}");
        assert!(run["connections"].as_u64() > Some(100), "{run}");
        // It was handed over, so that what follows says something.
        assert!(run["moves"].as_u64() >= Some(1), "{run}");
        for lost in ["lost_probes", "unanswered"] {
            assert_eq!(run[lost], 0, "{fault}: {run}");
        }
    }
    assert_eq!(summary["fault"], fault);
    assert_eq!(summary["runs"], RUNS);
    for none in ["p50_ms", "p99_ms", "max_ms", "lost_probes", "unanswered"] {
        assert_eq!(summary[none].as_f64(), Some(0.0), "{fault}: {summary}");
    }
    for name in ["overlap_ms_max", "moves"] {
        assert!(summary[name].is_number(), "{name}: {summary}");
    }
}

#[tokio::test]
async fn nobody_is_without_an_address_when_its_node_is_drained_or_its_speaker_restarted()
-> Result<()> {
    let faults = ["drain", "restart"];
    let output = tokio::process::Command::new(LAB)
        .args(["bench", "failover", "--output=json"])
        .arg(format!("--runs={RUNS}"))
        .arg(format!("--fault={}", faults.join(",")))
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
    assert_eq!(lines.len(), faults.len() * (RUNS + 1), "{printed}");
    for (fault, lines) in faults.into_iter().zip(lines.chunks(RUNS + 1)) {
        check(fault, lines);
    }
    Ok(())
}
