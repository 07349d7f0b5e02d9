//! How late the own loop wakes up: what a speaker tells its peers, so that they give it time (R5).

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Width of a bucket.
const STEP: Duration = Duration::from_millis(4);

/// What is later than all buckets counts as this late.
const BUCKETS: usize = 100;

/// After so many wake-ups, old ones count half.
const HALVING: u32 = 2048;

/// The lateness that at most one of a thousand recent wake-ups exceeded.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Lateness {
    /// [`BUCKETS`] of them.
    counts: Vec<u32>,
    total: u32,
}

impl Lateness {
    pub(super) fn new() -> Self {
        Self {
            counts: vec![0; BUCKETS],
            total: 0,
        }
    }

    /// A wake-up came so late.
    pub(super) fn record(&mut self, late: Duration) {
        let bucket = late.as_nanos() / STEP.as_nanos();
        let bucket = usize::try_from(bucket).map_or(BUCKETS - 1, |b| b.min(BUCKETS - 1));
        self.counts[bucket] += 1;
        self.total += 1;
        if self.total >= HALVING {
            // What is odd goes to the bucket below: of late ones that lie far apart half remain too.
            let mut odd = 0;
            for count in self.counts.iter_mut().rev() {
                let halved = *count + odd;
                *count = halved / 2;
                odd = halved % 2;
            }
            self.total = self.counts.iter().sum();
        }
    }

    /// The 99.9th percentile; zero while all wake-ups are in the first bucket.
    pub(super) fn percentile(&self) -> Duration {
        let mut above = self.total / 1000;
        for (bucket, &count) in self.counts.iter().enumerate().skip(1).rev() {
            if count > above {
                let bucket = u32::try_from(bucket).unwrap_or(u32::MAX);
                return STEP * (bucket + 1);
            }
            above -= count;
        }
        Duration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_a_thousand_is_forgiven() {
        let mut lateness = Lateness::new();
        for _ in 0..1000 {
            lateness.record(Duration::from_millis(1));
        }
        assert_eq!(lateness.percentile(), Duration::ZERO);
        lateness.record(Duration::from_millis(90));
        assert_eq!(lateness.percentile(), Duration::ZERO, "one");
        lateness.record(Duration::from_millis(50));
        assert_eq!(lateness.percentile(), Duration::from_millis(52), "the next");
    }

    #[test]
    fn what_was_long_ago_is_forgotten() {
        let mut lateness = Lateness::new();
        for _ in 0..20 {
            lateness.record(Duration::from_secs(9));
        }
        assert_eq!(lateness.percentile(), STEP * 100);
        for _ in 0..20_000 {
            lateness.record(Duration::ZERO);
        }
        assert_eq!(lateness.percentile(), Duration::ZERO);
    }

    #[test]
    fn r5_late_wake_ups_that_differ_are_remembered_when_old_ones_count_half() {
        let mut lateness = Lateness::new();
        let late = (0..20).map(|step| Duration::from_millis(100 + 8 * step));
        late.for_each(|late| lateness.record(late));
        while lateness.total + 1 < HALVING {
            lateness.record(Duration::ZERO);
        }
        let before = lateness.percentile();
        lateness.record(Duration::ZERO);
        assert!(lateness.total < HALVING, "old ones count half");
        let after = lateness.percentile();
        assert!(after + STEP * 4 >= before, "{before:?}, then {after:?}");
    }
}
