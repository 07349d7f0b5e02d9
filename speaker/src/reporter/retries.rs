//! When a status may be written again: a moment after it was written, and later and later while the
//! API server refuses it. While the server is away none is written but for a few tries each second,
//! so that all is said soon after it is back.

use std::collections::BTreeMap;
use std::time::Duration;

use bellwether_core::moment::Moment;

use super::Target;

/// How long after a write of a status the next write of it may come, so that a link that flaps does
/// not turn into a stream of writes.
const SPACING: Duration = Duration::from_secs(1);

/// How long no status is written after the API server could not be reached.
const AWAY: Duration = Duration::from_secs(1);

/// The longest pause between two tries of what is refused.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What a target waits for.
#[derive(Clone, Copy, Debug)]
struct Wait {
    until: Moment,
    failures: u32,
    /// Whether something is to be written then.
    wanted: bool,
}

/// The targets that wait.
#[derive(Debug, Default)]
pub(super) struct Retries {
    waits: BTreeMap<Target, Wait>,
    /// Until when the API server is taken to be away.
    away_until: Moment,
}

impl Retries {
    pub(super) fn succeeded(&mut self, target: Target, now: Moment) {
        self.waits.insert(
            target,
            Wait {
                until: now + SPACING,
                failures: 0,
                wanted: false,
            },
        );
    }

    /// The API server cannot be reached, so no target can be written.
    pub(super) fn unreachable(&mut self, target: Target, now: Moment) {
        self.away_until = now + AWAY;
        let failures = self.waits.get(&target).map_or(0, |wait| wait.failures);
        self.waits.insert(
            target,
            Wait {
                until: self.away_until,
                failures,
                wanted: true,
            },
        );
    }

    /// The API server refuses what was written.
    pub(super) fn refused(&mut self, target: Target, now: Moment) {
        let failures = self.waits.get(&target).map_or(0, |wait| wait.failures);
        let pause = SPACING
            .saturating_mul(1 << failures.min(5))
            .min(LONGEST_PAUSE);
        self.waits.insert(
            target,
            Wait {
                until: now + pause,
                failures: failures + 1,
                wanted: true,
            },
        );
    }

    /// Whether `target` may not be written yet. If so, it will be due when it may.
    pub(super) fn must_wait(&mut self, target: Target, now: Moment) -> bool {
        if self.away_until > now {
            let wait = self.waits.entry(target).or_insert(Wait {
                until: self.away_until,
                failures: 0,
                wanted: true,
            });
            wait.until = wait.until.max(self.away_until);
        }
        match self.waits.get_mut(&target) {
            Some(wait) if wait.until > now => {
                wait.wanted = true;
                true
            }
            _ => false,
        }
    }

    /// The targets that have waited long enough for what is to be written.
    pub(super) fn due(&mut self, now: Moment) -> Vec<Target> {
        let mut due = Vec::new();
        self.waits.retain(|&target, wait| {
            if wait.until > now {
                return true;
            }
            if wait.wanted {
                wait.wanted = false;
                due.push(target);
            }
            // How often it failed is remembered until it has succeeded.
            wait.failures > 0
        });
        due
    }

    /// When the first target has waited long enough.
    pub(super) fn next(&self) -> Option<Moment> {
        self.waits
            .values()
            .filter(|wait| wait.wanted)
            .map(|wait| wait.until)
            .min()
    }
}
