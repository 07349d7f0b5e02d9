//! Addresses that no host can have.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::range::AddressRange;

/// First address, last address, what they are: IANA's special-purpose registries (RFC 6890), as far
/// as they can never be the address of a Service.
const SPECIAL: [(IpAddr, IpAddr, &str); 8] = [
    (v4([0, 0, 0, 0]), v4([0, 255, 255, 255]), "this network"),
    (v4([127, 0, 0, 0]), v4([127, 255, 255, 255]), "loopback"),
    (v4([224, 0, 0, 0]), v4([239, 255, 255, 255]), "multicast"),
    (v4([255; 4]), v4([255; 4]), "broadcast"),
    (v6(0), v6(0), "unspecified"),
    (v6(1), v6(1), "loopback"),
    (
        v6(0xffff << 32),
        v6((0xffff << 32) | 0xffff_ffff),
        "IPv4 in the form of IPv6",
    ),
    (v6(0xff << 120), v6(u128::MAX), "multicast"),
];

const fn v4([a, b, c, d]: [u8; 4]) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

const fn v6(bits: u128) -> IpAddr {
    IpAddr::V6(Ipv6Addr::from_bits(bits))
}

/// The first part of `range` that no host can have, and what it is.
pub(super) fn within(range: AddressRange) -> Option<(AddressRange, &'static str)> {
    SPECIAL.into_iter().find_map(|(first, last, kind)| {
        let special = AddressRange::new(first, last).ok()?;
        Some((range.intersection(&special)?, kind))
    })
}
