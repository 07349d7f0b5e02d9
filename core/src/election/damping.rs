//! Flap damping (R13): an address that moves to and fro gives its owners more time.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::moment::Moment;

/// More moves than this within [`WINDOW`] are flapping.
const MOVES: usize = 3;
const WINDOW: Duration = Duration::from_secs(15);
/// The time that an owner may be silent doubles at most so often.
const MOST_DOUBLINGS: u32 = 3;
/// How long it takes until all is as before.
const DECAY: Duration = Duration::from_mins(1);

/// How often an address has moved lately.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Damping {
    moves: VecDeque<Moment>,
    doublings: u32,
    last: Option<Moment>,
}

impl Damping {
    /// The address has moved.
    pub(super) fn note_move(&mut self, now: Moment) {
        self.decay(now);
        self.moves.retain(|moved| now.since(*moved) <= WINDOW);
        self.moves.push_back(now);
        if self.moves.len() > MOVES {
            self.moves.pop_front();
            self.doublings = (self.doublings + 1).min(MOST_DOUBLINGS);
            self.last = Some(now);
        }
    }

    /// How much longer than `limit` its owner may be silent.
    pub(super) fn extra(&mut self, limit: Duration, now: Moment) -> Duration {
        self.decay(now);
        limit * (2u32.pow(self.doublings) - 1)
    }

    fn decay(&mut self, now: Moment) {
        if self.last.is_some_and(|last| now.since(last) > DECAY) {
            self.doublings = 0;
            self.last = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(250);

    #[test]
    fn r13_flapping_doubles_the_time_up_to_eightfold_and_a_minute_of_calm_ends_it() {
        let mut damping = Damping::default();
        let mut now = Moment::from_millis(0);
        for expected in [0, 0, 0, 1, 3, 7, 7, 7] {
            now += Duration::from_secs(2);
            damping.note_move(now);
            assert_eq!(damping.extra(LIMIT, now), LIMIT * expected);
        }
        now += Duration::from_secs(61);
        assert_eq!(damping.extra(LIMIT, now), Duration::ZERO);
    }

    #[test]
    fn moves_that_are_far_apart_are_no_flapping() {
        let mut damping = Damping::default();
        for second in (0..100).step_by(6) {
            let now = Moment::from_millis(second * 1000);
            damping.note_move(now);
            assert_eq!(damping.extra(LIMIT, now), Duration::ZERO);
        }
    }
}
