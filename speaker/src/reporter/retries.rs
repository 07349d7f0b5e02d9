//! When a status may be written again: a moment after it was written, and later and later while
//! writing it fails.

use std::collections::BTreeMap;
use std::time::Duration;

use bellwether_core::moment::Moment;

use super::Target;

/// How long after a write of a status the next write of it may come, so that a link that flaps does
/// not turn into a stream of writes.
const SPACING: Duration = Duration::from_secs(1);

/// The longest pause between two tries.
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
pub(super) struct Retries(BTreeMap<Target, Wait>);

impl Retries {
    pub(super) fn succeeded(&mut self, target: Target, now: Moment) {
        self.0.insert(
            target,
            Wait {
                until: now + SPACING,
                failures: 0,
                wanted: false,
            },
        );
    }

    pub(super) fn failed(&mut self, target: Target, now: Moment) {
        let failures = self.0.get(&target).map_or(0, |wait| wait.failures);
        let pause = SPACING
            .saturating_mul(1 << failures.min(5))
            .min(LONGEST_PAUSE);
        self.0.insert(
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
        match self.0.get_mut(&target) {
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
        self.0.retain(|&target, wait| {
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
        self.0
            .values()
            .filter(|wait| wait.wanted)
            .map(|wait| wait.until)
            .min()
    }
}
