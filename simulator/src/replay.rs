//! Replays what `bellwether-speaker trace` has recorded.

use std::io::{self, BufRead};

use bellwether_core::election::trace::{Decision, Replay, TraceError};
use bellwether_core::moment::Moment;

/// Why a trace cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// It cannot be read.
    #[error("the trace cannot be read: {0}")]
    Read(#[from] io::Error),
    /// A line of it makes no sense.
    #[error("line {line} is none of a trace: {error}")]
    Line {
        /// Its number, from 1 on.
        line: usize,
        /// Why.
        error: serde_json::Error,
    },
    /// The election decides otherwise.
    #[error("line {line}: {error}")]
    Trace {
        /// Its number, from 1 on.
        line: usize,
        /// Where it differs.
        error: TraceError,
    },
}

/// Replays a trace. `decided` hears of each decision, which is the same as in the trace.
pub fn replay(
    trace: impl BufRead,
    mut decided: impl FnMut(&Replay, Moment, Decision),
) -> Result<Replay, ReplayError> {
    let mut replay = Replay::default();
    for (index, text) in trace.lines().enumerate() {
        let line = index + 1;
        let read = serde_json::from_str(&text?);
        let read = read.map_err(|error| ReplayError::Line { line, error })?;
        let taken = replay.take(read);
        let taken = taken.map_err(|error| ReplayError::Trace { line, error })?;
        if let Some((at, decision)) = taken {
            decided(&replay, at, decision);
        }
    }
    Ok(replay)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_trace_is_named_by_its_line() {
        let error = replay("nonsense\n".as_bytes(), |_, _, _| {}).err();
        let text = error.expect("an error").to_string();
        assert!(text.starts_with("line 1 is none of a trace"), "{text}");
        let turn = r#"{"deadline":{"at":1}}"#;
        let error = replay(turn.as_bytes(), |_, _, _| {}).err();
        let text = error.expect("an error").to_string();
        assert!(text.contains("does not begin with the state"), "{text}");
    }
}
