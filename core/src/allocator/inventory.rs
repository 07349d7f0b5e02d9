//! What is free, in use and resting in each pool.
//!
//! The addresses of a pool that it really gives (without those excluded, those that an older pool
//! has, and those that `avoidBuggyIPs` leaves out) are numbered without gaps, so that a hash or a
//! random number picks one of them; free ones are kept as intervals, so that the next free one is
//! found in logarithmic time however large and however full the pool is.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::directory::{Directory, PoolId};
use super::numbering::Numbering;
use super::refusal::PoolList;
use crate::range::{AddressRange, IntervalSet, IpFamily};

/// How many addresses of a family a pool has. Each is capped at [`i64::MAX`], as the API's numbers
/// are; `total` is the sum of the others unless it is capped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Addresses that the pool gives, used or not.
    pub total: i64,
    /// Those in use; one that several Services share counts once.
    pub assigned: i64,
    /// Those that could be given to any Service now.
    pub available: i64,
    /// Those that only the Service that had them last may get for now.
    pub resting: i64,
}

/// What an address of a pool is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Free,
    Assigned,
    Resting,
}

/// The addresses of all pools.
#[derive(Clone, Debug, Default)]
pub(super) struct Inventory {
    /// By pool and family.
    stocks: Vec<[Stock; 2]>,
    /// Pools that every Service falls back to.
    fallback: BTreeSet<PoolId>,
    /// The fallback pools with a free address of a family, by family.
    open: [BTreeSet<PoolId>; 2],
    /// The fallback pools with free addresses of both.
    open_for_both: BTreeSet<PoolId>,
    /// The fallback pools with addresses of a family, used or not, by family.
    has_family: [PoolList; 2],
    /// The fallback pools with addresses of both families, used or not.
    has_both: PoolList,
}

impl Inventory {
    /// All addresses of the pools, free.
    pub(super) fn new(directory: &Directory) -> Self {
        let mut stocks: Vec<[Stock; 2]> = directory
            .pools()
            .map(|(_, pool)| {
                let buggy = if pool.avoids_buggy_ips() {
                    Numbering::WithoutBuggy
                } else {
                    Numbering::Plain
                };
                [Stock::new(buggy), Stock::new(Numbering::Plain)]
            })
            .collect();
        for (id, range) in directory.ranges() {
            if let Some(stock) = stocks.get_mut(id) {
                stock[index(range.family())].add(range);
            }
        }
        let mut inventory = Self {
            stocks,
            fallback: directory.fallback().iter().copied().collect(),
            ..Self::default()
        };
        for &id in directory.fallback() {
            inventory.open_or_close(id);
        }
        let with = |families: &[IpFamily]| {
            let has_all = |id: &PoolId| {
                families
                    .iter()
                    .all(|&family| inventory.total(*id, family) > 0)
            };
            directory.names(directory.fallback().iter().copied().filter(has_all))
        };
        (inventory.has_family, inventory.has_both) = (
            IpFamily::ALL.map(|family| with(&[family])),
            with(&IpFamily::ALL),
        );
        inventory
    }

    pub(super) fn stock(&self, pool: PoolId, family: IpFamily) -> Option<&Stock> {
        Some(&self.stocks.get(pool)?[index(family)])
    }

    /// How many addresses of `family` the pool gives, used or not.
    pub(super) fn total(&self, pool: PoolId, family: IpFamily) -> u128 {
        self.stock(pool, family).map_or(0, |stock| stock.total)
    }

    /// Whether the pool has a free address of each of `families`.
    pub(super) fn has_free(&self, pool: PoolId, families: &[IpFamily]) -> bool {
        families.iter().all(|&family| {
            self.stock(pool, family)
                .is_some_and(|stock| stock.available() > 0)
        })
    }

    /// The fallback pools with addresses of all of `families`, used or not.
    pub(super) fn fallback_with(&self, families: &[IpFamily]) -> &PoolList {
        match families {
            [family] => &self.has_family[index(*family)],
            _ => &self.has_both,
        }
    }

    /// The oldest fallback pool with a free address of each of `families`.
    pub(super) fn first_open(&self, families: &[IpFamily]) -> Option<PoolId> {
        let open = match families {
            [] => return None,
            [family] => &self.open[index(*family)],
            _ => &self.open_for_both,
        };
        open.first().copied()
    }

    /// Changes what `address` of the pool, which [`Directory::locate`] said gives it, is used for.
    pub(super) fn change(&mut self, pool: PoolId, address: IpAddr, from: Use, to: Use) {
        let family = IpFamily::of(address);
        if let Some(stocks) = self.stocks.get_mut(pool) {
            stocks[index(family)].change(address, from, to);
            self.open_or_close(pool);
        }
    }

    /// Enters the pool among those with a free address, if it is a fallback pool.
    fn open_or_close(&mut self, pool: PoolId) {
        if !self.fallback.contains(&pool) {
            return;
        }
        let free = IpFamily::ALL.map(|family| self.has_free(pool, &[family]));
        let [v4, v6] = &mut self.open;
        for (open, is_open) in [
            (v4, free[0]),
            (v6, free[1]),
            (&mut self.open_for_both, free[0] && free[1]),
        ] {
            if is_open {
                open.insert(pool);
            } else {
                open.remove(&pool);
            }
        }
    }
}

const fn index(family: IpFamily) -> usize {
    match family {
        IpFamily::V4 => 0,
        IpFamily::V6 => 1,
    }
}

/// The addresses of one family of one pool.
#[derive(Clone, Debug)]
pub(super) struct Stock {
    numbering: Numbering,
    /// The intervals of numbers that the pool gives, in order.
    pieces: Vec<Piece>,
    total: u128,
    assigned: u128,
    resting: u128,
    free: IntervalSet,
}

/// Consecutive numbers.
#[derive(Clone, Copy, Debug)]
struct Piece {
    /// How many numbers there are in the pieces before it.
    position: u128,
    first: u128,
}

impl Stock {
    fn new(numbering: Numbering) -> Self {
        Self {
            numbering,
            pieces: Vec::new(),
            total: 0,
            assigned: 0,
            resting: 0,
            free: IntervalSet::default(),
        }
    }

    /// Adds addresses that come after all that it has.
    fn add(&mut self, range: AddressRange) {
        let Some((first, last)) = self.numbering.numbers(range) else {
            return;
        };
        self.pieces.push(Piece {
            position: self.total,
            first,
        });
        // No pool has all of IPv6, so this does not overflow.
        self.total += last - first + 1;
        self.free.insert(first, last);
    }

    fn available(&self) -> u128 {
        self.total - self.assigned - self.resting
    }

    pub(super) const fn total(&self) -> u128 {
        self.total
    }

    pub(super) fn counters(&self) -> Counters {
        let capped = |count| i64::try_from(count).unwrap_or(i64::MAX);
        Counters {
            total: capped(self.total),
            assigned: capped(self.assigned),
            available: capped(self.available()),
            resting: capped(self.resting),
        }
    }

    fn change(&mut self, address: IpAddr, from: Use, to: Use) {
        let Some(number) = self.numbering.number(address) else {
            return;
        };
        match from {
            Use::Free => self.free.remove(number, number),
            Use::Assigned => self.assigned -= 1,
            Use::Resting => self.resting -= 1,
        }
        match to {
            Use::Free => self.free.insert(number, number),
            Use::Assigned => self.assigned += 1,
            Use::Resting => self.resting += 1,
        }
    }

    /// The lowest free address.
    pub(super) fn first_free(&self, family: IpFamily) -> Option<IpAddr> {
        let number = self.free.next_from(0)?;
        Some(self.numbering.address(family, number))
    }

    /// The first free address from the `position`-th of the stock on; behind the last comes the
    /// first.
    pub(super) fn next_free(&self, family: IpFamily, position: u128) -> Option<IpAddr> {
        let start = self.number_at(position)?;
        let number = self
            .free
            .next_from(start)
            .or_else(|| self.free.next_from(0))?;
        Some(self.numbering.address(family, number))
    }

    fn number_at(&self, position: u128) -> Option<u128> {
        let after = self
            .pieces
            .partition_point(|piece| piece.position <= position);
        let piece = self.pieces.get(after.checked_sub(1)?)?;
        Some(piece.first + (position - piece.position))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stock(numbering: Numbering, ranges: &[&str]) -> Stock {
        let mut stock = Stock::new(numbering);
        for text in ranges {
            stock.add(text.parse().expect("a range"));
        }
        stock
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn without_buggy_ones_254_of_256_are_left() {
        for (range, total) in [
            ("192.0.2.0/24", 254),
            ("192.0.2.0/32", 0),
            ("192.0.2.255/32", 0),
            ("192.0.2.1/32", 1),
            ("192.0.2.254/31", 1),
            ("192.0.2.255-192.0.3.0", 0),
            ("192.0.2.254-192.0.3.1", 2),
            ("10.0.0.0/8", 254 << 16),
            ("255.255.255.0-255.255.255.254", 254),
        ] {
            assert_eq!(
                stock(Numbering::WithoutBuggy, &[range]).total,
                total,
                "{range}"
            );
        }
    }

    #[test]
    fn weakness_4_37_buggy_ones_are_counted_once() {
        let counters =
            stock(Numbering::WithoutBuggy, &["192.0.2.0/32", "192.0.2.255/32"]).counters();
        assert_eq!(counters, Counters::default());
    }

    #[test]
    fn weakness_4_37_huge_pools_are_capped_and_never_negative() {
        for ranges in [
            &["2001:db8::/64"][..],
            &["2001:db8::/64", "2001:db8:1::/64"],
            &["2000::/4"],
        ] {
            let mut stock = stock(Numbering::Plain, ranges);
            stock.change(ip("2001:db8::1"), Use::Free, Use::Assigned);
            let counters = stock.counters();
            assert_eq!(counters.total, i64::MAX);
            assert_eq!(counters.available, i64::MAX);
            assert_eq!(counters.assigned, 1);
        }
    }

    proptest! {
        #[test]
        fn positions_go_through_all_pieces(taken in prop::collection::btree_set(0u8..16, 0..16)) {
            let mut stock = stock(
                Numbering::Plain,
                &["192.0.2.0/30", "192.0.2.8/29", "198.51.100.0/30"],
            );
            let all: Vec<IpAddr> = (0..16)
                .map(|position| stock.next_free(IpFamily::V4, position).expect("free"))
                .collect();
            for &position in &taken {
                stock.change(all[usize::from(position)], Use::Free, Use::Assigned);
            }
            for position in 0..16u8 {
                let expected = (position..16)
                    .chain(0..position)
                    .find(|position| !taken.contains(position))
                    .map(|position| all[usize::from(position)]);
                prop_assert_eq!(stock.next_free(IpFamily::V4, position.into()), expected);
            }
        }
    }
}
