//! A set of addresses of both families.

use std::net::IpAddr;

use super::{AddressRange, IntervalSet, IpFamily, number};

/// A set of addresses, such as those of a pool. How many addresses it holds costs nothing; how
/// many pieces it has, does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressSet {
    v4: IntervalSet,
    v6: IntervalSet,
}

impl AddressSet {
    pub(crate) const fn numbers(&self, family: IpFamily) -> &IntervalSet {
        match family {
            IpFamily::V4 => &self.v4,
            IpFamily::V6 => &self.v6,
        }
    }

    const fn numbers_mut(&mut self, family: IpFamily) -> &mut IntervalSet {
        match family {
            IpFamily::V4 => &mut self.v4,
            IpFamily::V6 => &mut self.v6,
        }
    }

    /// Puts in the addresses of `range`.
    pub fn insert(&mut self, range: AddressRange) {
        let (first, last) = range.numbers();
        self.numbers_mut(range.family()).insert(first, last);
    }

    /// Takes out the addresses of `range`.
    pub fn remove(&mut self, range: AddressRange) {
        let (first, last) = range.numbers();
        self.numbers_mut(range.family()).remove(first, last);
    }

    /// Whether `address` is in the set.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.numbers(IpFamily::of(address))
            .contains(number(address))
    }

    /// Whether any address of `range` is in the set.
    #[must_use]
    pub fn overlaps(&self, range: AddressRange) -> bool {
        let (first, last) = range.numbers();
        self.numbers(range.family())
            .within(first, last)
            .next()
            .is_some()
    }

    /// The addresses that are in this set but not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut rest = self.clone();
        for range in other.ranges() {
            rest.remove(range);
        }
        rest
    }

    /// The ranges that the set consists of, IPv4 first, in order. No two touch.
    pub fn ranges(&self) -> impl Iterator<Item = AddressRange> {
        IpFamily::ALL.into_iter().flat_map(|family| {
            self.numbers(family)
                .intervals()
                .map(move |(first, last)| AddressRange::from_numbers(family, first, last))
        })
    }

    /// How many addresses of `family` are in the set; [`u128::MAX`] for all of IPv6.
    #[must_use]
    pub fn size(&self, family: IpFamily) -> u128 {
        self.numbers(family).size()
    }

    /// Whether no address is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }
}

impl FromIterator<AddressRange> for AddressSet {
    fn from_iter<I: IntoIterator<Item = AddressRange>>(ranges: I) -> Self {
        let mut set = Self::default();
        for range in ranges {
            set.insert(range);
        }
        set
    }
}
