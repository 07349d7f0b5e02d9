//! Addresses as numbers without gaps where `avoidBuggyIPs` leaves some out.

use std::net::IpAddr;

use crate::range::{AddressRange, IpFamily, address};

/// How addresses are numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numbering {
    /// As they are.
    Plain,
    /// IPv4 without those that end in .0 and .255: 254 numbers for each 256 addresses.
    WithoutBuggy,
}

impl Numbering {
    /// The numbers of the addresses of `range`; `None` if it has none.
    pub(super) fn numbers(self, range: AddressRange) -> Option<(u128, u128)> {
        let (first, last) = range.numbers();
        match self {
            Self::Plain => Some((first, last)),
            Self::WithoutBuggy => {
                let before_first = numbers_below(first);
                let through_last = numbers_below(last + 1);
                Some((before_first, through_last.checked_sub(1)?))
                    .filter(|(first, last)| first <= last)
            }
        }
    }

    pub(super) fn number(self, address: IpAddr) -> Option<u128> {
        let (first, _) = self.numbers(AddressRange::single(address))?;
        Some(first)
    }

    pub(super) fn address(self, family: IpFamily, number: u128) -> IpAddr {
        match self {
            Self::Plain => address(family, number),
            Self::WithoutBuggy => address(family, number / 254 * 256 + number % 254 + 1),
        }
    }
}

/// How many IPv4 addresses below `address` end in neither .0 nor .255.
const fn numbers_below(address: u128) -> u128 {
    let (block, host) = (address / 256, address % 256);
    block * 254 + host.saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_address_that_is_not_buggy_has_a_number_of_its_own(
            first in 0u32..0xffff_0000,
            length in 0u32..1000,
        ) {
            let range = AddressRange::new(
                IpAddr::from(first.to_be_bytes()),
                IpAddr::from((first + length).to_be_bytes()),
            ).expect("ordered");
            let addresses: Vec<IpAddr> = (first..=first + length)
                .filter(|number| !matches!(number & 0xff, 0 | 0xff))
                .map(|number| IpAddr::from(number.to_be_bytes()))
                .collect();
            let numbers: Vec<u128> = Numbering::WithoutBuggy
                .numbers(range)
                .into_iter()
                .flat_map(|(first, last)| first..=last)
                .collect();
            let back: Vec<IpAddr> = numbers
                .iter()
                .map(|&number| Numbering::WithoutBuggy.address(IpFamily::V4, number))
                .collect();
            prop_assert_eq!(&back, &addresses);
            for (address, number) in addresses.into_iter().zip(numbers) {
                prop_assert_eq!(Numbering::WithoutBuggy.number(address), Some(number));
            }
        }
    }
}
