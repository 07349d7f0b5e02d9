//! What is counted of the beacons of a peer on one channel, for people: nothing is decided by it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::moment::Moment;

/// How long the worst delay is remembered at least; at most twice as long.
const REMEMBERED: Duration = Duration::from_secs(30);

/// The beacons of a peer on one channel, since its start was first heard there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) received: u64,
    /// Those that should have come between two that did.
    pub(crate) missed: u64,
    /// Recordings, and those that others have overtaken.
    pub(crate) replayed: u64,
    /// By how much a beacon was later than the interval allows, at worst: since then, and before.
    worst: [Duration; 2],
    since: Moment,
}

impl Tally {
    pub(super) const fn new(now: Moment) -> Self {
        Self {
            received: 0,
            missed: 0,
            replayed: 0,
            worst: [Duration::ZERO; 2],
            since: now,
        }
    }

    /// The first beacon came.
    pub(super) fn begin(&mut self) {
        self.received += 1;
    }

    /// A beacon came at that time, so long after the one before, by which its sender had promised
    /// one each `interval`; its number is higher by `step`.
    ///
    /// A sender that was late has sent nothing meanwhile, and so its numbers do not grow. They count
    /// over all its channels, though: where it has several, some of the late ones count as missed.
    pub(super) fn note(&mut self, at: Moment, gap: Duration, interval: Duration, step: u64) {
        self.received += 1;
        self.turn(at);
        self.worst[0] = self.worst[0].max(gap.saturating_sub(interval));
        // From one to the next it is 90 to 100 % of the interval.
        let usual = interval * 19 / 20;
        if gap > usual * 3 / 2 && !usual.is_zero() {
            let intervals = (gap + usual / 2).as_nanos() / usual.as_nanos();
            let due = u64::try_from(intervals).unwrap_or(u64::MAX);
            self.missed += due.min(step).saturating_sub(1);
        }
    }

    /// By how much a beacon was later than the interval allows, at worst in the last half a minute
    /// to a minute.
    pub(crate) fn delay(&self, now: Moment) -> Duration {
        let [latest, before] = self.worst;
        match now.since(self.since) {
            age if age < REMEMBERED => latest.max(before),
            age if age < REMEMBERED * 2 => latest,
            _ => Duration::ZERO,
        }
    }

    fn turn(&mut self, at: Moment) {
        let age = at.since(self.since);
        if age >= REMEMBERED {
            let before = if age < REMEMBERED * 2 {
                self.worst[0]
            } else {
                Duration::ZERO
            };
            self.worst = [Duration::ZERO, before];
            self.since = at;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(50);

    fn after(gap: u64, step: u64) -> Tally {
        let mut tally = Tally::new(Moment::ORIGIN);
        let gap = Duration::from_millis(gap);
        tally.note(Moment::ORIGIN + gap, gap, INTERVAL, step);
        tally
    }

    #[test]
    fn what_is_lost_leaves_a_gap_in_time_and_in_numbers() {
        for (case, gap, step, missed) in [
            ("the next one", 50, 1, 0),
            ("the next one, a bit late", 60, 1, 0),
            ("one out of turn between", 48, 2, 0),
            ("datagrams between", 50, 3, 0),
            ("one lost", 95, 2, 1),
            ("one lost, with jitter", 90, 2, 1),
            ("its sender was late", 500, 1, 0),
            ("its sender was late, and a datagram was sent", 500, 2, 1),
            ("five lost, and datagrams between", 285, 8, 5),
            ("ten minutes", 600_000, 20_000, 12_631),
        ] {
            assert_eq!(after(gap, step).missed, missed, "{case}");
        }
    }

    #[test]
    fn a_pulse_without_an_interval_misses_nothing() {
        let mut tally = Tally::new(Moment::ORIGIN);
        tally.note(Moment::ORIGIN, INTERVAL, Duration::ZERO, 9);
        assert_eq!(tally.missed, 0);
    }

    #[test]
    fn the_worst_delay_is_forgotten_after_a_minute() {
        let mut tally = after(80, 1);
        let at = Moment::from_millis;
        let worst = Duration::from_millis(30);
        let mut seen = Vec::new();
        for second in 1..=70 {
            tally.note(at(80 + second * 1000), INTERVAL, INTERVAL, 1);
            seen.push(tally.delay(at(80 + second * 1000)));
        }
        assert!(seen[..30].iter().all(|delay| *delay == worst), "{seen:?}");
        assert!(seen[60..].iter().all(Duration::is_zero), "{seen:?}");
    }

    #[test]
    fn a_peer_that_falls_silent_was_not_late_for_ever() {
        let tally = after(80, 1);
        assert_eq!(tally.delay(Moment::from_millis(59_000)).as_millis(), 30);
        assert_eq!(tally.delay(Moment::from_millis(60_000)), Duration::ZERO);
    }
}
