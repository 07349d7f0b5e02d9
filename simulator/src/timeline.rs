//! A history as a person reads it.

use std::fmt::Write as _;

use crate::checker::Violation;
use crate::history::{Event, What};
use crate::plan::Plan;

/// The events of a history, a line each, without those that only repeat, and the violations where
/// they were noticed.
#[must_use]
pub fn render(plan: &Plan, history: &[Event], violations: &[Violation]) -> String {
    let mut text = String::new();
    let mut noted = violations.iter().peekable();
    let mut last_announced = std::collections::BTreeMap::new();
    for event in history {
        while let Some(violation) = noted.next_if(|violation| violation.at <= event.at) {
            write_line(
                &mut text,
                violation.at,
                &format!("!! {}: {}", violation.rule, violation.message),
            );
        }
        if let What::Announced { node, address } = event.what
            && last_announced.insert(address, node) == Some(node)
        {
            continue;
        }
        if let Some(line) = describe(plan, &event.what) {
            write_line(&mut text, event.at, &line);
        }
    }
    for violation in noted {
        write_line(
            &mut text,
            violation.at,
            &format!("!! {}: {}", violation.rule, violation.message),
        );
    }
    text
}

fn write_line(text: &mut String, at: u64, line: &str) {
    let seconds = at / 1_000_000_000;
    let micros = at / 1000 % 1_000_000;
    let _infallible = writeln!(text, "{seconds:>3}.{micros:06}  {line}");
}

fn describe(plan: &Plan, what: &What) -> Option<String> {
    Some(match what {
        What::FaultBegan(index) => format!("-- {:?}", plan.faults[*index].fault),
        What::FaultEnded(index) => format!("-- end of {:?}", plan.faults[*index].fault),
        What::Started(node) => format!("node {node} starts"),
        What::Ended(node) => format!("node {node} ends"),
        What::Paused(node) => format!("node {node} is stopped"),
        What::Resumed(node, away) => format!("node {node} goes on after {} ms", away / 1_000_000),
        What::Answering(node, true) => format!("node {node} may answer"),
        What::Answering(node, false) => format!("node {node} may not answer"),
        What::Owned {
            node,
            address,
            term,
            reason,
        } => format!("node {node} owns address {address}, term {term}: {reason}"),
        What::Released {
            node,
            address,
            reason,
        } => format!("node {node} releases address {address}: {reason}"),
        What::Announced { node, address } => format!("node {node} announces address {address}"),
        What::Candidates(address, candidates) => {
            format!("candidates of address {address}: {candidates:b}")
        }
        What::Believed {
            host,
            address,
            node,
        } => format!("host {host} believes that {node:?} has address {address}"),
        What::Refused(node) => format!("node {node} refuses a genuine beacon"),
        What::Alien(node) => format!("node {node} sends a frame for an alien address"),
        What::Endless => "the run does not come to an end".to_owned(),
        What::Beacon { .. } | What::Answered { .. } | What::Hearing(_) | What::Reaching(_) => {
            return None;
        }
    })
}
