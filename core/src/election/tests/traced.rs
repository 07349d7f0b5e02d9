//! What was recorded is decided again when it is replayed, or the replay says where it is not.

use super::trace::{Decision, Line, Replay, TraceError};
use super::*;

/// An election in which the address is taken, turn by turn.
fn trace() -> Vec<Line> {
    let mut election = World::new(&["a"]).election;
    let mut lines = vec![Line::start(election.clone(), 0, Moment::ORIGIN)];
    for milliseconds in 1..1_000 {
        let at = Moment::from_millis(milliseconds);
        lines.push(Line::Deadline { at });
        election.on_deadline(at);
        while let Some(output) = election.poll_output() {
            let decision = Decision::of(&output);
            lines.extend(decision.map(|decision| Line::Decision { at, decision }));
            if let Output::Beacon { channel, .. } = output {
                let input = Input::Sent { channel };
                lines.push(Line::Input {
                    at,
                    input: input.clone(),
                });
                election.handle(input, at).expect("taken in");
            }
        }
    }
    lines
}

fn replay(lines: Vec<Line>) -> Result<(u64, u64), TraceError> {
    let mut replay = Replay::default();
    for line in lines {
        replay.take(line)?;
    }
    Ok(replay.end())
}

#[test]
fn what_was_decided_is_decided_again() {
    assert_eq!(replay(trace()), Ok((1, 0)));
}

/// What the trace and the replay of it say, without some of its lines.
fn difference(is_kept: fn(&Line) -> bool) -> (Option<Decision>, Option<Decision>) {
    let mut lines = trace();
    lines.retain(is_kept);
    match replay(lines).expect_err("a difference") {
        TraceError::Differs { traced, replayed } => (traced, replayed),
        other => panic!("{other}"),
    }
}

#[test]
fn a_decision_that_was_not_recorded_is_a_difference() {
    let found = difference(|line| !matches!(line, Line::Decision { .. }));
    assert!(
        matches!(found, (None, Some(Decision::Own { .. }))),
        "{found:?}"
    );
}

#[test]
fn a_decision_that_does_not_come_again_is_a_difference() {
    let found = difference(|line| !matches!(line, Line::Deadline { .. }));
    assert!(
        matches!(found, (Some(Decision::Own { .. }), None)),
        "{found:?}"
    );
}
