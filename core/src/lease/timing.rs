//! How long a Lease is held, and how often it is renewed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long a Lease is held, and how often it is renewed: retry period < renew deadline < duration,
/// so that a leader tries several times, and stops before another may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "TimingSpec", into = "TimingSpec")]
pub struct Timing {
    duration: Duration,
    renew_deadline: Duration,
    retry_period: Duration,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TimingSpec {
    duration: Duration,
    renew_deadline: Duration,
    retry_period: Duration,
}

/// Why three times do not make sense together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimingError {
    /// The API counts in seconds.
    #[error("a lease duration of {0:?} is not a whole number of seconds, at least 1: write 15s")]
    NotWholeSeconds(Duration),
    /// Another could take over while the leader still tries.
    #[error(
        "a renew deadline of {renew_deadline:?} is not shorter than the lease duration of \
         {duration:?}: two could lead at once; make it shorter"
    )]
    RenewDeadlineTooLong {
        /// The renew deadline.
        renew_deadline: Duration,
        /// The lease duration.
        duration: Duration,
    },
    /// The leader would give up after its first try, or never try.
    #[error(
        "a retry period of {retry_period:?} is not between zero and the renew deadline of \
         {renew_deadline:?}: make it shorter, but not zero"
    )]
    RetryPeriod {
        /// The retry period.
        retry_period: Duration,
        /// The renew deadline.
        renew_deadline: Duration,
    },
}

impl Timing {
    /// The times of Kubernetes' own components: held for 15 s, given up after 10 s, tried every 2 s.
    pub const DEFAULT: Self = Self {
        duration: Duration::from_secs(15),
        renew_deadline: Duration::from_secs(10),
        retry_period: Duration::from_secs(2),
    };

    /// A Lease that is held for `duration` after each renewal, given up by a leader that could not
    /// renew it for `renew_deadline`, and tried every `retry_period`.
    pub fn new(
        duration: Duration,
        renew_deadline: Duration,
        retry_period: Duration,
    ) -> Result<Self, TimingError> {
        if duration.is_zero() || duration.subsec_nanos() != 0 {
            return Err(TimingError::NotWholeSeconds(duration));
        }
        if renew_deadline >= duration {
            return Err(TimingError::RenewDeadlineTooLong {
                renew_deadline,
                duration,
            });
        }
        if retry_period.is_zero() || retry_period >= renew_deadline {
            return Err(TimingError::RetryPeriod {
                retry_period,
                renew_deadline,
            });
        }
        Ok(Self {
            duration,
            renew_deadline,
            retry_period,
        })
    }

    /// How long others wait after they saw the holder renew.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.duration
    }

    /// How long a leader goes on without renewing.
    #[must_use]
    pub const fn renew_deadline(self) -> Duration {
        self.renew_deadline
    }

    /// How often the Lease is read by those who follow, and renewed by the one that leads.
    #[must_use]
    pub const fn retry_period(self) -> Duration {
        self.retry_period
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl TryFrom<TimingSpec> for Timing {
    type Error = TimingError;

    fn try_from(spec: TimingSpec) -> Result<Self, Self::Error> {
        Self::new(spec.duration, spec.renew_deadline, spec.retry_period)
    }
}

impl From<Timing> for TimingSpec {
    fn from(timing: Timing) -> Self {
        Self {
            duration: timing.duration,
            renew_deadline: timing.renew_deadline,
            retry_period: timing.retry_period,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_gives_up_before_others_may_take_over() {
        let seconds = Duration::from_secs;
        let timing = |a, b, c| Timing::new(a, b, c).map_err(|error| error.to_string());
        assert_eq!(
            timing(seconds(15), seconds(10), seconds(2)),
            Ok(Timing::DEFAULT)
        );
        assert_eq!(
            timing(seconds(10), seconds(10), seconds(2)).unwrap_err(),
            "a renew deadline of 10s is not shorter than the lease duration of 10s: two could \
             lead at once; make it shorter"
        );
        assert_eq!(
            timing(seconds(15), seconds(10), seconds(10)).unwrap_err(),
            "a retry period of 10s is not between zero and the renew deadline of 10s: make it \
             shorter, but not zero"
        );
        assert!(timing(seconds(15), seconds(10), Duration::ZERO).is_err());
        assert_eq!(
            timing(
                Duration::from_millis(1500),
                seconds(1),
                Duration::from_millis(100)
            )
            .unwrap_err(),
            "a lease duration of 1.5s is not a whole number of seconds, at least 1: write 15s"
        );
        assert!(timing(Duration::ZERO, Duration::ZERO, Duration::ZERO).is_err());
    }
}
