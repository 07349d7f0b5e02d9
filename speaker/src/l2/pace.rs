//! That the loop does not go round for ever without waiting for anything.
//!
//! What is due at once when a turn ends is done in the next one, without a wait. A few such turns in a
//! row are right. If two rules were ever at odds they would have no end, and the thread would take a
//! whole core, with real-time priority from everybody else: so after [`MOST_TURNS`] each waits a
//! little, and the speaker beats, hears and answers as before.

use std::time::Duration;

use bellwether_core::moment::Moment;

/// So many turns in a row may begin at once.
const MOST_TURNS: u32 = 64;

/// How long each waits after that: short for every rule, long for a processor.
const REST: Duration = Duration::from_millis(1);

/// How many turns in a row have ended with something due already.
#[derive(Debug, Default)]
pub(super) struct Pace {
    turns: u32,
}

impl Pace {
    /// When the next turn begins at the latest, if the one that began at `now` has left something to
    /// do at `due`.
    pub(super) fn next_turn(&mut self, due: Moment, now: Moment) -> Moment {
        if due > now {
            self.turns = 0;
            return due;
        }
        self.turns = self.turns.saturating_add(1);
        if self.turns == MOST_TURNS + 1 {
            tracing::warn!(
                turns = MOST_TURNS,
                "there is always more to do at once; from now on each turn waits a little"
            );
        }
        if self.turns > MOST_TURNS {
            now + REST
        } else {
            due
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_that_never_wait_are_slowed_down_and_those_that_do_are_not() {
        let mut pace = Pace::default();
        let now = Moment::from_millis(1000);
        let (past, future) = (now - REST, now + REST * 50);
        for _ in 0..3 {
            for _ in 0..MOST_TURNS {
                assert_eq!(pace.next_turn(past, now), past);
            }
            // It is slow until a turn has nothing left to do at once.
            for _ in 0..10 {
                assert_eq!(pace.next_turn(now, now), now + REST);
            }
            assert_eq!(pace.next_turn(future, now), future);
        }
    }
}
