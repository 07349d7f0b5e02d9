//! How many frames may go out: a token bucket.
//!
//! Switches police ARP, and receivers drop bursts. Ten thousand addresses that come to a node at
//! once are announced over a second rather than in one blow.

use std::time::Duration;

use crate::moment::Moment;

/// How long to wait at most once the bucket is empty, so that frames go out by the millisecond's
/// worth instead of one at a time.
const LEAST_WAIT: Duration = Duration::from_millis(1);

/// Lets a number of frames go at once, and a number per second in the long run.
#[derive(Clone, Debug)]
pub(super) struct Pacer {
    per_second: u64,
    burst: u64,
    /// Billionths of a frame, so that the rate times nanoseconds is added without rounding. Below
    /// zero after an announcement that was begun with the last frame.
    tokens: i128,
    filled: Moment,
}

/// Tokens that one frame costs.
const FRAME: i128 = 1_000_000_000;

impl Pacer {
    /// A full bucket.
    pub(super) fn new(per_second: u32, burst: u32) -> Self {
        let burst = u64::from(burst.max(1));
        Self {
            per_second: u64::from(per_second.max(1)),
            burst,
            tokens: i128::from(burst) * FRAME,
            filled: Moment::ORIGIN,
        }
    }

    /// Adds what has come in until `now`.
    pub(super) fn fill(&mut self, now: Moment) {
        let nanoseconds = now.as_nanos().saturating_sub(self.filled.as_nanos());
        self.filled = self.filled.max(now);
        let income = i128::from(nanoseconds) * i128::from(self.per_second);
        self.tokens = (self.tokens + income).min(i128::from(self.burst) * FRAME);
    }

    /// Whether another announcement may begin.
    pub(super) fn is_open(&self) -> bool {
        self.tokens >= FRAME
    }

    /// A frame goes out.
    pub(super) fn spend(&mut self) {
        self.tokens -= FRAME;
    }

    /// When the next announcement may begin.
    pub(super) fn opens_at(&self) -> Moment {
        if self.is_open() {
            return self.filled;
        }
        let missing = (FRAME - self.tokens).unsigned_abs();
        let nanoseconds = missing.div_ceil(u128::from(self.per_second));
        let wait = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
        self.filled + wait.max(LEAST_WAIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many frames get out from `from` to `to` (milliseconds) if there are always more.
    fn frames(pacer: &mut Pacer, from: u64, to: u64) -> u32 {
        let mut sent = 0;
        let mut now = Moment::from_millis(from);
        while now <= Moment::from_millis(to) {
            pacer.fill(now);
            while pacer.is_open() {
                pacer.spend();
                sent += 1;
            }
            now = pacer.opens_at();
        }
        sent
    }

    #[test]
    fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let mut pacer = Pacer::new(20_000, 2_000);
        assert_eq!(frames(&mut pacer, 5, 5), 2_000);
        assert_eq!(frames(&mut pacer, 5, 1005), 20_000);
    }

    #[test]
    fn silence_saves_up_no_more_than_a_burst() {
        let mut pacer = Pacer::new(20_000, 2_000);
        frames(&mut pacer, 5, 5);
        assert_eq!(frames(&mut pacer, 3_600_000, 3_600_000), 2_000);
    }

    #[test]
    fn an_announcement_that_was_begun_is_finished_and_paid_for() {
        let mut pacer = Pacer::new(1_000, 1);
        pacer.fill(Moment::ORIGIN);
        pacer.spend();
        pacer.spend();
        assert_eq!(pacer.opens_at(), Moment::from_millis(2));
    }
}
