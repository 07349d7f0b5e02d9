//! Replays what `bellwether-speaker trace` has recorded.

use std::io::{self, BufRead};

use bellwether_core::election::trace::{Decision, FORMAT, Line, Replay, TraceError, VERSION};
use bellwether_core::moment::Moment;
use serde::Deserialize;

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
    /// It begins with a state that this program does not know.
    #[error(
        "line {line}: the trace was recorded by version {version}, whose election holds something else \
         than that of this program, version {VERSION} ({error}): replay it with the build that \
         recorded it, or record again"
    )]
    State {
        /// Its number, from 1 on.
        line: usize,
        /// The version that recorded it.
        version: String,
        /// What is missing or strange.
        error: serde_json::Error,
    },
    /// It has no line.
    #[error("there is no trace in it: see what bellwether-speaker trace said when it was recorded")]
    Empty,
    /// It is of another format, or the election decides otherwise.
    #[error("line {line}: {error}")]
    Trace {
        /// Its number, from 1 on.
        line: usize,
        /// Where it differs.
        error: TraceError,
    },
}

/// As much of the first line of a trace as every version has written and can read.
#[derive(Deserialize)]
struct Beginning {
    start: Origin,
}

#[derive(Deserialize)]
struct Origin {
    format: u32,
    #[serde(default)]
    version: Option<String>,
}

/// The line of that number. Who cannot read a state says who has written it.
fn read(line: usize, text: &str) -> Result<Line, ReplayError> {
    let error = match serde_json::from_str(text) {
        Ok(read) => return Ok(read),
        Err(error) => error,
    };
    let Ok(Beginning { start }) = serde_json::from_str(text) else {
        return Err(ReplayError::Line { line, error });
    };
    let version = start.version.unwrap_or_else(|| "unknown".to_owned());
    if start.format == FORMAT {
        return Err(ReplayError::State {
            line,
            version,
            error,
        });
    }
    let error = TraceError::Format {
        format: start.format,
        version,
    };
    Err(ReplayError::Trace { line, error })
}

/// Replays a trace. `decided` hears of each decision, which is the same as in the trace.
pub fn replay(
    trace: impl BufRead,
    mut decided: impl FnMut(&Replay, Moment, Decision),
) -> Result<Replay, ReplayError> {
    let mut replay = Replay::default();
    for (index, text) in trace.lines().enumerate() {
        let line = index + 1;
        let taken = replay.take(read(line, &text?)?);
        let taken = taken.map_err(|error| ReplayError::Trace { line, error })?;
        if let Some((at, decision)) = taken {
            decided(&replay, at, decision);
        }
    }
    if replay.node().is_none() {
        return Err(ReplayError::Empty);
    }
    Ok(replay)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(trace: &str) -> String {
        let error = replay(trace.as_bytes(), |_, _, _| {}).err();
        error.expect("an error").to_string()
    }

    #[test]
    fn a_trace_of_another_version_says_which_recorded_it_and_what_to_do() {
        let election = r#""at":1,"lost":0,"election":{"config":{"node":"a"}}"#;
        let text = refused(&format!(
            r#"{{"start":{{"format":9,"version":"1.2.3",{election}}}}}"#
        ));
        assert!(
            text.contains("format 9, recorded by version 1.2.3"),
            "{text}"
        );
        assert!(text.contains("replay it with the version"), "{text}");
        let text = refused(&format!(r#"{{"start":{{"format":1,{election}}}}}"#));
        assert!(text.contains("recorded by version unknown"), "{text}");
        // Between two releases the state may change and the format not.
        let text = refused(&format!(
            r#"{{"start":{{"format":{FORMAT},"version":"1.2.3",{election}}}}}"#
        ));
        assert!(text.contains("recorded by version 1.2.3"), "{text}");
        assert!(text.contains("missing field"), "{text}");
    }

    #[test]
    fn what_is_no_trace_is_named_by_its_line() {
        let text = refused("nonsense\n");
        assert!(text.starts_with("line 1 is none of a trace"), "{text}");
        let text = refused(r#"{"deadline":{"at":1}}"#);
        assert!(text.contains("does not begin with the state"), "{text}");
        // As the shell leaves it behind a command that has failed.
        let text = refused("");
        assert!(text.starts_with("there is no trace in it"), "{text}");
    }
}
