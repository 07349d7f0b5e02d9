//! Which object is looked at next.
//!
//! An object waits in line until it is its turn, is written by one writer at a time, and comes back
//! later when the write failed or when its kind is paced.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bellwether_core::moment::Moment;

use crate::facts::Target;

/// The first pause after a failed write; it doubles with each further failure.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause after a failed write.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The line of objects to be looked at.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    line: VecDeque<Target>,
    in_line: BTreeSet<Target>,
    /// Being written; `true` if it has to be looked at again afterwards.
    in_flight: BTreeMap<Target, bool>,
    /// Not to be looked at before; `true` if there is a reason to look at it then.
    resting: BTreeMap<Target, (Moment, bool)>,
    timers: BTreeSet<(Moment, Target)>,
    failures: BTreeMap<Target, u32>,
}

impl Schedule {
    /// Something has changed that may concern `target`.
    pub(super) fn mark(&mut self, target: Target) {
        if let Some(again) = self.in_flight.get_mut(&target) {
            *again = true;
        } else if let Some((_, reason)) = self.resting.get_mut(&target) {
            *reason = true;
        } else if self.in_line.insert(target.clone()) {
            self.line.push_back(target);
        }
    }

    /// The next object to be looked at.
    pub(super) fn next(&mut self) -> Option<Target> {
        let target = self.line.pop_front()?;
        self.in_line.remove(&target);
        Some(target)
    }

    /// A write of `target` has begun.
    pub(super) fn begin(&mut self, target: Target) {
        self.in_flight.insert(target, false);
    }

    /// The write has succeeded. The object is not written again before `pace` has passed.
    pub(super) fn succeed(&mut self, target: Target, now: Moment, pace: Duration) {
        self.failures.remove(&target);
        let again = self.in_flight.remove(&target).unwrap_or_default();
        if !pace.is_zero() {
            self.rest(target, now + pace, again);
        } else if again {
            self.mark(target);
        }
    }

    /// The write has failed. It is tried again after a pause, or after `wait` if that is longer.
    pub(super) fn fail(&mut self, target: Target, now: Moment, wait: Option<Duration>) {
        self.in_flight.remove(&target);
        let failures = self.failures.entry(target.clone()).or_default();
        let pause = FIRST_PAUSE
            .saturating_mul(1 << (*failures).min(16))
            .min(LONGEST_PAUSE);
        *failures += 1;
        self.rest(target, now + pause.max(wait.unwrap_or_default()), true);
    }

    fn rest(&mut self, target: Target, until: Moment, reason: bool) {
        self.timers.insert((until, target.clone()));
        self.resting.insert(target, (until, reason));
    }

    /// When an object may be looked at again.
    pub(super) fn next_deadline(&self) -> Option<Moment> {
        self.timers.first().map(|(moment, _)| *moment)
    }

    /// Puts those into the line that have rested enough.
    pub(super) fn on_deadline(&mut self, now: Moment) {
        while let Some((moment, _)) = self.timers.first()
            && *moment <= now
            && let Some((_, target)) = self.timers.pop_first()
        {
            if let Some((_, true)) = self.resting.remove(&target) {
                self.mark(target);
            }
        }
    }

    /// How many objects wait for their turn.
    pub(super) fn len(&self) -> usize {
        self.line.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(name: &str) -> Target {
        Target::Pool(name.into())
    }

    #[test]
    fn an_object_stands_in_line_once() {
        let mut schedule = Schedule::default();
        for name in ["a", "b", "a"] {
            schedule.mark(pool(name));
        }
        assert_eq!(schedule.next(), Some(pool("a")));
        assert_eq!(schedule.next(), Some(pool("b")));
        assert_eq!(schedule.next(), None);
    }

    #[test]
    fn an_object_that_changes_while_it_is_written_is_looked_at_afterwards() {
        let mut schedule = Schedule::default();
        schedule.begin(pool("a"));
        schedule.mark(pool("a"));
        assert_eq!(schedule.next(), None);
        schedule.succeed(pool("a"), Moment::ORIGIN, Duration::ZERO);
        assert_eq!(schedule.next(), Some(pool("a")));
    }

    #[test]
    fn a_paced_object_rests_after_a_write() {
        let mut schedule = Schedule::default();
        let second = Duration::from_secs(1);
        schedule.begin(pool("a"));
        schedule.succeed(pool("a"), Moment::ORIGIN, second);
        schedule.mark(pool("a"));
        assert_eq!(schedule.next(), None);
        assert_eq!(schedule.next_deadline(), Some(Moment::ORIGIN + second));
        schedule.on_deadline(Moment::ORIGIN + second);
        assert_eq!(schedule.next(), Some(pool("a")));
        assert_eq!(schedule.next_deadline(), None);
    }

    #[test]
    fn pauses_between_failures_double_up_to_half_a_minute() {
        let mut schedule = Schedule::default();
        let mut now = Moment::ORIGIN;
        let mut pauses = Vec::new();
        for _ in 0..12 {
            schedule.begin(pool("a"));
            schedule.fail(pool("a"), now, None);
            let deadline = schedule.next_deadline().expect("a deadline");
            pauses.push(deadline.since(now).as_millis());
            now = deadline;
            schedule.on_deadline(now);
            assert_eq!(schedule.next(), Some(pool("a")));
        }
        assert_eq!(pauses[..3], [100, 200, 400]);
        assert_eq!(pauses[11], 30_000);
    }
}
