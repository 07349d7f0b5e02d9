//! The one clock that the L2 thread reads, once per turn.

use bellwether_core::moment::Moment;
use nix::time::{ClockId, clock_gettime};

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
