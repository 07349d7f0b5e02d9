//! When an address is announced on a link, counted from the moment at which this begins.

use std::hash::Hasher;
use std::net::IpAddr;
use std::time::Duration;

use siphasher::sip::SipHasher24;

/// G2: early ones against caches that are locked for their first second, late ones against switches
/// that take seconds to forward.
const IPV4: [Duration; 6] = [
    Duration::ZERO,
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_millis(1100),
    Duration::from_secs(3),
    Duration::from_secs(10),
];

/// N4: at most `MAX_NEIGHBOR_ADVERTISEMENT` (3), a `RetransTimer` (1 s) apart.
const IPV6: [Duration; 3] = [
    Duration::ZERO,
    Duration::from_secs(1),
    Duration::from_secs(2),
];

/// How long after its announcement number `step` (from 0 on) the next one of `address` is due, or
/// none if it was the last before the refreshes.
pub(super) fn pause_after(address: IpAddr, step: usize) -> Option<Duration> {
    let offsets: &[Duration] = match address {
        IpAddr::V4(_) => &IPV4,
        IpAddr::V6(_) => &IPV6,
    };
    let this = offsets.get(step)?;
    let next = offsets.get(step + 1)?;
    Some(next.saturating_sub(*this))
}

/// How long to wait for the refresh of `address` after `step` announcements: `refresh` with up to
/// 20 % more or less, by hash, so that the refreshes of many addresses spread and stay apart.
pub(super) fn refresh_after(refresh: Duration, address: IpAddr, step: usize) -> Duration {
    let mut hasher = SipHasher24::new();
    match address {
        IpAddr::V4(address) => hasher.write(&address.octets()),
        IpAddr::V6(address) => hasher.write(&address.octets()),
    }
    hasher.write_usize(step);
    // From 0 to 400, so that the factor is from 0.8 to 1.2 in steps of a thousandth.
    let thousandths = 800 + (hasher.finish() % 401) as u32;
    refresh.saturating_mul(thousandths) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 10));
    const V6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);

    fn millis(address: IpAddr) -> Vec<u128> {
        let mut at = Duration::ZERO;
        let mut moments = vec![0];
        while let Some(pause) = pause_after(address, moments.len() - 1) {
            at += pause;
            moments.push(at.as_millis());
        }
        moments
    }

    #[test]
    fn g2_ipv4_is_announced_six_times_within_ten_seconds() {
        assert_eq!(millis(V4), [0, 100, 500, 1100, 3000, 10_000]);
    }

    #[test]
    fn n4_ipv6_is_announced_three_times_a_second_apart() {
        assert_eq!(millis(V6), [0, 1000, 2000]);
    }

    #[test]
    fn g2_refreshes_are_within_a_fifth_and_differ() {
        let minute = Duration::from_mins(1);
        let pauses: Vec<_> = (0..=255)
            .map(|host| refresh_after(minute, [192, 0, 2, host].into(), 6))
            .collect();
        for pause in &pauses {
            assert!((48_000..=72_000).contains(&pause.as_millis()), "{pause:?}");
        }
        let (least, most) = (pauses.iter().min(), pauses.iter().max());
        assert!(least < Some(&Duration::from_secs(50)) && most > Some(&Duration::from_secs(70)));
        assert_ne!(refresh_after(minute, V4, 6), refresh_after(minute, V4, 7));
    }
}
