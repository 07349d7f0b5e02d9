//! How long silence may last: R5 and what follows from it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_with::serde_as;

use crate::frame::beacon::Pulse;
use crate::seconds::Seconds;

/// How fast a speaker beats. Each speaker says its own in its beacons, so that profiles may differ
/// from node to node.
#[serde_as]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The longest time between two beacons.
    #[serde_as(as = "Seconds")]
    pub interval: Duration,
    /// How many may be missed.
    pub misses: u8,
}

impl Profile {
    /// Wired networks: failover within a quarter of a second.
    pub const DEFAULT: Self = Self {
        interval: Duration::from_millis(50),
        misses: 5,
    };

    /// Wired networks and speakers with real-time priority: within a tenth of a second.
    pub const FAST: Self = Self {
        interval: Duration::from_millis(20),
        misses: 5,
    };

    /// Wireless networks, where access points hold multicast back: within a second.
    pub const WIFI: Self = Self {
        interval: Duration::from_millis(200),
        misses: 5,
    };
}

impl Default for Profile {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// R5: how long the sender of such a pulse may be silent before it counts as down. A speaker whose
/// loop is late at times gets more time.
#[must_use]
pub fn silence_limit(pulse: Pulse) -> Duration {
    const SHORTEST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(2);
    let missed = pulse.interval.saturating_mul(u32::from(pulse.misses));
    let late = pulse
        .interval
        .saturating_mul(3)
        .saturating_add(pulse.lateness.saturating_mul(4));
    // A pulse that is slow on purpose is not cut: it is not silence.
    missed.max(late.min(LONGEST)).max(SHORTEST)
}

/// So many tenths of the silence limit, by which the rules measure.
#[must_use]
pub fn tenths(limit: Duration, tenths: u32) -> Duration {
    limit * tenths / 10
}

/// From here on a silent peer is asked for (R9).
pub const SUSPECT: u32 = 4;
/// A link that nothing is heard on for longer is blind (R8).
pub const BLIND: u32 = 6;
/// An owner that has not said for longer that it lives is silent in all respects (R6, R7), and a
/// peer that heard another within this time vouches for it (R10).
pub const FENCE: u32 = 8;
/// An owner that hears nothing for longer is deaf (R12).
pub const DEAF: u32 = 12;

#[cfg(test)]
mod tests {
    use super::*;

    fn pulse(interval: u64, misses: u8, lateness: u64) -> Pulse {
        Pulse {
            interval: Duration::from_millis(interval),
            misses,
            lateness: Duration::from_millis(lateness),
        }
    }

    #[test]
    fn r5_a_peer_that_is_late_at_times_gets_more_time() {
        for (case, expected) in [
            (pulse(50, 5, 0), 250),
            (pulse(50, 5, 25), 250),
            (pulse(50, 5, 100), 550),
            (pulse(20, 5, 0), 100),
            (pulse(20, 3, 0), 100),
            (pulse(200, 5, 0), 1000),
            (pulse(50, 5, 5000), 2000),
        ] {
            assert_eq!(
                silence_limit(case),
                Duration::from_millis(expected),
                "{case:?}"
            );
        }
    }
}
