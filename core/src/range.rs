//! Ranges and sets of IP addresses.
//!
//! [`AddressRange`] is what a user writes into a pool: a network or `first-last`. It cannot be
//! backwards and cannot mix families. [`AddressSet`] is what a pool makes of several of them.
//! Inside, an address is a number of its family (`number` and `address`), so that the sets
//! need to know nothing about IP.
//!
//! Which addresses a pool may hold is decided in [`crate::pool`]; which are free, in
//! [`crate::allocator`].

mod interval;
mod set;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

pub(crate) use interval::IntervalSet;
pub use set::AddressSet;

/// An IP address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum IpFamily {
    /// IPv4.
    #[serde(rename = "IPv4")]
    V4,
    /// IPv6.
    #[serde(rename = "IPv6")]
    V6,
}

impl IpFamily {
    /// Both families, IPv4 first.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// The family that `address` is of.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// The other family.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::V4 => Self::V6,
            Self::V6 => Self::V4,
        }
    }

    /// How many bits an address has; also the longest prefix length.
    #[must_use]
    pub const fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }
}

impl fmt::Display for IpFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// `address` as a number, in the order of its family.
#[must_use]
pub(crate) const fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits() as u128,
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The address of `family` that has this `number`; the reverse of [`number`].
///
/// A number beyond the family's last address gives that last address.
#[must_use]
pub(crate) fn address(family: IpFamily, number: u128) -> IpAddr {
    match family {
        IpFamily::V4 => Ipv4Addr::from_bits(u32::try_from(number).unwrap_or(u32::MAX)).into(),
        IpFamily::V6 => Ipv6Addr::from_bits(number).into(),
    }
}

/// Consecutive addresses of one family: at least one, at most all.
///
/// Its text is a network where it is exactly one (`192.0.2.0/24`, `192.0.2.10/32`), else
/// `first-last`; both can be read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AddressRange {
    family: IpFamily,
    first: u128,
    last: u128,
}

impl AddressRange {
    /// The addresses from `first` to `last`, both included.
    pub fn new(first: IpAddr, last: IpAddr) -> Result<Self, RangeError> {
        if IpFamily::of(first) != IpFamily::of(last) {
            return Err(RangeError::MixedFamilies { first, last });
        }
        if first > last {
            return Err(RangeError::Backwards { first, last });
        }
        Ok(Self {
            family: IpFamily::of(first),
            first: number(first),
            last: number(last),
        })
    }

    /// The range that holds `address` alone.
    #[must_use]
    pub const fn single(address: IpAddr) -> Self {
        Self {
            family: IpFamily::of(address),
            first: number(address),
            last: number(address),
        }
    }

    /// The range of numbers from `first` to `last`, which the caller has ordered.
    pub(crate) const fn from_numbers(family: IpFamily, first: u128, last: u128) -> Self {
        debug_assert!(first <= last, "a range never runs backwards");
        Self {
            family,
            first,
            last,
        }
    }

    /// The family of its addresses.
    #[must_use]
    pub const fn family(&self) -> IpFamily {
        self.family
    }

    /// The lowest address.
    #[must_use]
    pub fn first(&self) -> IpAddr {
        address(self.family, self.first)
    }

    /// The highest address.
    #[must_use]
    pub fn last(&self) -> IpAddr {
        address(self.family, self.last)
    }

    /// The lowest and the highest address as numbers.
    pub(crate) const fn numbers(&self) -> (u128, u128) {
        (self.first, self.last)
    }

    /// How many addresses it holds. All of IPv6, which are one too many for the type, count as
    /// [`u128::MAX`].
    #[must_use]
    pub const fn size(&self) -> u128 {
        (self.last - self.first).saturating_add(1)
    }

    /// Whether `address` is one of them.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        IpFamily::of(address) == self.family && (self.first..=self.last).contains(&number(address))
    }

    /// The addresses that both hold.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        let (first, last) = (self.first.max(other.first), self.last.min(other.last));
        (self.family == other.family && first <= last).then_some(Self {
            family: self.family,
            first,
            last,
        })
    }

    /// The prefix length, if these are exactly the addresses of one network.
    fn prefix_length(&self) -> Option<u8> {
        let host = self.last - self.first;
        let host_bits = host.trailing_ones();
        // A network's size is a power of two and its first address a multiple of it.
        let is_network = host.count_ones() == host_bits && self.first & host == 0;
        u8::try_from(u32::from(self.family.bits()).checked_sub(host_bits)?)
            .ok()
            .filter(|_| is_network)
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prefix_length() {
            Some(length) => write!(f, "{}/{length}", self.first()),
            None => write!(f, "{}-{}", self.first(), self.last()),
        }
    }
}

impl FromStr for AddressRange {
    type Err = RangeError;

    /// Reads `192.0.2.0/24`, `2001:db8::/64` or `192.0.2.10-192.0.2.20`; spaces around the parts
    /// are allowed.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if let Some((first, last)) = text.split_once('-') {
            return Self::new(parse_address(text, first)?, parse_address(text, last)?);
        }
        let Some((start, length)) = text.split_once('/') else {
            let address = parse_address(text, text)?;
            return Err(RangeError::SingleAddress {
                address,
                bits: IpFamily::of(address).bits(),
            });
        };
        let start = parse_address(text, start)?;
        let family = IpFamily::of(start);
        let network = length
            .trim()
            .parse()
            .ok()
            .and_then(|length| IpNet::new(start, length).ok())
            .ok_or_else(|| RangeError::PrefixLength {
                text: text.to_owned(),
                family,
                bits: family.bits(),
            })?;
        if network.network() != start {
            return Err(RangeError::HostBits {
                text: text.to_owned(),
                network: network.trunc(),
                first: start,
                last: network.broadcast(),
            });
        }
        Self::new(network.network(), network.broadcast())
    }
}

fn parse_address(text: &str, part: &str) -> Result<IpAddr, RangeError> {
    let address: IpAddr = part.trim().parse().map_err(|_| RangeError::NotAnAddress {
        text: text.to_owned(),
        part: part.trim().to_owned(),
    })?;
    match address {
        IpAddr::V6(mapped) => match mapped.to_ipv4_mapped() {
            Some(plain) => Err(RangeError::Ipv4InIpv6 { mapped, plain }),
            None => Ok(address),
        },
        IpAddr::V4(_) => Ok(address),
    }
}

impl TryFrom<String> for AddressRange {
    type Error = RangeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<AddressRange> for String {
    fn from(range: AddressRange) -> Self {
        range.to_string()
    }
}

/// Why a text names no addresses, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// An address without a prefix length: somebody may mean its network.
    #[error("{address} is a single address: write {address}/{bits}")]
    SingleAddress {
        /// The address.
        address: IpAddr,
        /// The prefix length that means this address alone.
        bits: u8,
    },
    /// One part is no address.
    #[error(
        "{text:?} is neither a network nor a range, because {part:?} is not an IP address: write \
         192.0.2.0/24 or 192.0.2.10-192.0.2.20"
    )]
    NotAnAddress {
        /// The whole text.
        text: String,
        /// The part that should be an address.
        part: String,
    },
    /// The number after the slash is none, or is too large.
    #[error("{text:?} is no network: the prefix length of {family} is a number from 0 to {bits}")]
    PrefixLength {
        /// The whole text.
        text: String,
        /// The family of its address.
        family: IpFamily,
        /// The longest prefix.
        bits: u8,
    },
    /// The address is not the first of the network.
    #[error(
        "{text} has host bits set: write {network} for the whole network, or a range such as \
         {first}-{last}"
    )]
    HostBits {
        /// The whole text.
        text: String,
        /// The network that the address is in.
        network: IpNet,
        /// The address.
        first: IpAddr,
        /// The last address of the network.
        last: IpAddr,
    },
    /// The first address comes after the last.
    #[error("{first}-{last} is backwards: write {last}-{first}")]
    Backwards {
        /// What is written first.
        first: IpAddr,
        /// What is written last.
        last: IpAddr,
    },
    /// One end is IPv4, the other IPv6.
    #[error("{first}-{last} mixes IPv4 and IPv6: write one range for each family")]
    MixedFamilies {
        /// What is written first.
        first: IpAddr,
        /// What is written last.
        last: IpAddr,
    },
    /// An IPv4 address written as an IPv6 one (RFC 4291 section 2.5.5.2).
    #[error("{mapped} is an IPv4 address in the form of an IPv6 one: write {plain}")]
    Ipv4InIpv6 {
        /// What is written.
        mapped: Ipv6Addr,
        /// The same as IPv4.
        plain: Ipv4Addr,
    },
}
