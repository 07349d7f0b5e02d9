//! The one clock that the L2 thread reads, and what the kernel's stamps are by it.

use std::time::Duration;

use bellwether_core::moment::Moment;
use nix::sys::time::{TimeSpec, TimeValLike};
use nix::time::{ClockId, clock_gettime};

/// Clocks that were read within this time of each other were read together.
const TOGETHER: Duration = Duration::from_micros(10);

/// So often two clocks are read until they are.
const TRIES: usize = 4;

/// The time since the machine started, which goes on while it sleeps.
///
/// # Panics
/// If the kernel has no such clock; Linux has had it since 2.6.39.
#[must_use]
pub fn now() -> Moment {
    #[expect(
        clippy::expect_used,
        reason = "without a clock nothing can be decided, and there is no kernel without it"
    )]
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("CLOCK_BOOTTIME");
    // Neither is negative: this clock starts at zero.
    let seconds = u64::try_from(now.tv_sec()).unwrap_or(0);
    let nanoseconds = u64::try_from(now.tv_nsec()).unwrap_or(0);
    Moment::from_nanos(
        seconds
            .saturating_mul(1_000_000_000)
            .saturating_add(nanoseconds),
    )
}

/// When a frame came that is read now: by the kernel's stamp, which is of the wall clock, and so
/// worth no more than its distance from what that shows now (R5). Without a stamp, now.
#[must_use]
pub fn arrival(stamp: Option<TimeSpec>) -> Moment {
    let Some(stamp) = stamp else {
        return now();
    };
    let (now, wall) = read_together(now, || clock_gettime(ClockId::CLOCK_REALTIME).ok());
    let age = wall.and_then(|wall| u64::try_from((wall - stamp).num_nanoseconds()).ok());
    now - Duration::from_nanos(age.unwrap_or(0))
}

/// What two clocks show at one time. Between two readings the thread may be held up for
/// milliseconds: a stamp would seem older by those, and a question asked before it was.
fn read_together<W>(
    mut moment: impl FnMut() -> Moment,
    mut wall: impl FnMut() -> W,
) -> (Moment, W) {
    let mut before = moment();
    let (mut shown, mut after) = (wall(), moment());
    let mut closest = (after, after.since(before));
    for _ in 1..TRIES {
        if closest.1 <= TOGETHER {
            break;
        }
        before = after;
        let again = wall();
        after = moment();
        if after.since(before) < closest.1 {
            closest = (after, after.since(before));
            shown = again;
        }
    }
    (closest.0, shown)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Reads two clocks that show the same, with a thread that is held up for so many microseconds
    /// before each of its readings; the last number goes on.
    fn difference(delays: &[u64]) -> Duration {
        let (time, reading) = (Cell::new(0), Cell::new(0));
        let read = || {
            let delay = delays.get(reading.get()).or(delays.last());
            reading.set(reading.get() + 1);
            time.set(time.get() + delay.copied().unwrap_or_default() * 1000);
            Moment::from_nanos(time.get())
        };
        let (moment, wall) = read_together(read, read);
        moment.since(wall).max(wall.since(moment))
    }

    #[test]
    fn clocks_are_read_together_though_the_thread_is_held_up_between() {
        let close = |delays: &[u64]| difference(delays) <= TOGETHER;
        assert!(close(&[1, 1, 1]), "it is not held up");
        assert!(close(&[1, 6600, 1, 1]), "between the first and the second");
        assert!(close(&[1, 1, 6600, 1]), "between the second and the third");
        assert!(close(&[1, 6600, 1, 6600, 1, 6600, 1, 1]), "three times");
        let slow = difference(&[1, 6600, 1, 90, 1, 500, 1, 800]);
        assert_eq!(slow, Duration::from_micros(1), "the closest that were read");
    }

    #[test]
    fn what_has_no_stamp_and_what_is_stamped_now_came_now() {
        let before = now();
        let stamp = clock_gettime(ClockId::CLOCK_REALTIME).ok();
        let (stamped, without) = (arrival(stamp), arrival(None));
        assert!(stamped + Duration::from_micros(20) >= before);
        assert!(stamped <= now() && (before..=now()).contains(&without));
    }
}
