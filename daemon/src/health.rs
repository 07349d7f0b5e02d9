//! Whether the daemon is ready and alive: named checks, each owned by the part it speaks of.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// All checks of a process. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<Checks>>);

#[derive(Debug, Default)]
struct Checks {
    readiness: BTreeMap<&'static str, Result<(), String>>,
    heartbeats: BTreeMap<&'static str, (Heartbeat, Duration)>,
}

impl Health {
    /// Adds a condition for being ready. It fails, with `reason`, until [`Check::set_ok`].
    #[must_use]
    pub fn readiness(&self, name: &'static str, reason: &str) -> Check {
        let check = Check {
            health: self.clone(),
            name,
        };
        check.set_failing(reason);
        check
    }

    /// Adds a condition for being alive: the holder beats at least once in `within`, unless it has said
    /// that it rests.
    #[must_use]
    pub fn liveness(&self, name: &'static str, within: Duration) -> Heartbeat {
        let heartbeat = Heartbeat {
            start: Instant::now(),
            last: Arc::default(),
        };
        self.checks()
            .heartbeats
            .insert(name, (heartbeat.clone(), within));
        heartbeat
    }

    /// What `/readyz` says: ready when every check is, and alive too.
    #[must_use]
    pub fn ready(&self) -> Report {
        let checks = self.checks();
        let mut report = Report::alive(&checks);
        report.lines.extend(
            checks
                .readiness
                .iter()
                .map(|(name, state)| (*name, state.clone())),
        );
        report
    }

    /// What `/healthz` says.
    #[must_use]
    pub fn alive(&self) -> Report {
        Report::alive(&self.checks())
    }

    fn checks(&self) -> MutexGuard<'_, Checks> {
        // A panic while the lock was held cannot have left a map half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One condition for being ready.
#[derive(Clone, Debug)]
pub struct Check {
    health: Health,
    name: &'static str,
}

impl Check {
    /// The condition holds.
    pub fn set_ok(&self) {
        self.set(Ok(()));
    }

    /// The condition does not hold, because of `reason`.
    pub fn set_failing(&self, reason: &str) {
        self.set(Err(reason.to_owned()));
    }

    fn set(&self, state: Result<(), String>) {
        self.health.checks().readiness.insert(self.name, state);
    }
}

/// A sign of life. Beating takes no lock, so that a thread that must not wait can do it.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    start: Instant,
    /// Milliseconds after `start`, or [`RESTING`].
    last: Arc<AtomicU64>,
}

/// In place of the last beat: there is nothing to do, and so no sign of life is due.
const RESTING: u64 = u64::MAX;

impl Heartbeat {
    /// The holder is alive now.
    pub fn beat(&self) {
        let elapsed = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(elapsed, Ordering::Relaxed);
    }

    /// The holder has nothing to do, and will not beat before it has.
    pub fn rest(&self) {
        self.last.store(RESTING, Ordering::Relaxed);
    }

    /// How long ago the last beat was; `None` while the holder rests.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        match self.last.load(Ordering::Relaxed) {
            RESTING => None,
            last => Some(
                self.start
                    .elapsed()
                    .saturating_sub(Duration::from_millis(last)),
            ),
        }
    }
}

/// The state of all checks at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    lines: Vec<(&'static str, Result<(), String>)>,
}

impl Report {
    fn alive(checks: &Checks) -> Self {
        let lines = checks
            .heartbeats
            .iter()
            .map(|(name, (heartbeat, within))| {
                let state = match heartbeat.age() {
                    Some(age) if age > *within => {
                        Err(format!("no sign of life for {:.1} s", age.as_secs_f64()))
                    }
                    _ => Ok(()),
                };
                (*name, state)
            })
            .collect();
        Self { lines }
    }

    /// Whether every check holds.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.lines.iter().all(|(_, state)| state.is_ok())
    }

    /// The text that an endpoint answers with, a line for each check, in the form that
    /// kube-apiserver uses; without `verbose` only those that fail.
    #[must_use]
    pub fn text(&self, verbose: bool) -> String {
        if self.is_ok() && !verbose {
            return "ok\n".to_owned();
        }
        let mut text = String::new();
        for (name, state) in &self.lines {
            let written = match state {
                Ok(()) if verbose => writeln!(text, "[+]{name} ok"),
                Ok(()) => Ok(()),
                Err(reason) => writeln!(text, "[-]{name} failed: {reason}"),
            };
            debug_assert!(written.is_ok(), "writing to a String cannot fail");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weakness_4_47_ready_names_what_is_missing() {
        let health = Health::default();
        let list = health.readiness("services", "not listed yet");
        let links = health.readiness("links", "not known yet");
        list.set_ok();
        assert_eq!(
            health.ready().text(false),
            "[-]links failed: not known yet\n"
        );
        assert!(!health.ready().is_ok());
        links.set_ok();
        assert_eq!(health.ready().text(false), "ok\n");
        assert_eq!(health.ready().text(true), "[+]links ok\n[+]services ok\n");
        links.set_failing("lost");
        assert!(!health.ready().is_ok());
    }

    #[test]
    fn a_heart_that_stops_is_neither_alive_nor_ready() {
        let health = Health::default();
        let heartbeat = health.liveness("loop", Duration::ZERO);
        heartbeat.last.store(0, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(2));
        assert!(!health.alive().is_ok());
        assert!(!health.ready().is_ok());
        heartbeat.rest();
        assert!(health.alive().is_ok(), "who rests owes no sign of life");
        let heartbeat = health.liveness("loop", Duration::from_hours(1));
        heartbeat.beat();
        assert!(health.alive().is_ok());
    }
}
