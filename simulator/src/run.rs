//! One run, judged.

use bellwether_core::mutation::Mutation;

use crate::checker::{Violation, check};
use crate::history::{Event, What};
use crate::plan::Plan;
use crate::world;

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// What happened.
    pub history: Vec<Event>,
    /// What must not have.
    pub violations: Vec<Violation>,
}

impl Outcome {
    /// How often an address changed its owner.
    #[must_use]
    pub fn moves(&self) -> usize {
        self.history
            .iter()
            .filter(|event| matches!(event.what, What::Owned { .. }))
            .count()
    }
}

/// Runs `plan`, with one rule broken if so wished, and judges what happened.
#[must_use]
pub fn run(plan: &Plan, mutation: Option<Mutation>) -> Outcome {
    let history = world::run(plan, mutation);
    let violations = check(plan, &history);
    Outcome {
        history,
        violations,
    }
}
