//! A set of numbers, kept as the intervals that it consists of.
//!
//! Every operation on one number takes time in the logarithm of the number of intervals, never of
//! the numbers: a set of 2^64 of them with a thousand taken out is a thousand and one intervals.

use std::collections::BTreeMap;

/// A set of numbers. Its intervals neither overlap nor touch, so that equal sets compare equal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct IntervalSet {
    /// First number of each interval to its last.
    intervals: BTreeMap<u128, u128>,
}

impl IntervalSet {
    /// Puts in the numbers from `first` to `last`.
    pub(crate) fn insert(&mut self, mut first: u128, mut last: u128) {
        if let Some((&start, &end)) = self.intervals.range(..=first).next_back()
            && end.saturating_add(1) >= first
        {
            first = start;
            last = last.max(end);
        }
        while let Some((&start, &end)) = self.intervals.range(first..).next()
            && start <= last.saturating_add(1)
        {
            self.intervals.remove(&start);
            last = last.max(end);
        }
        self.intervals.insert(first, last);
    }

    /// Takes out the numbers from `first` to `last`.
    pub(crate) fn remove(&mut self, first: u128, last: u128) {
        if let Some((&start, end)) = self.intervals.range_mut(..first).next_back()
            && *end >= first
        {
            let old_end = *end;
            // `start < first`, so `first` is at least 1.
            *end = first - 1;
            debug_assert!(start < first, "the interval keeps its first number");
            if old_end > last {
                self.intervals.insert(last + 1, old_end);
            }
        }
        while let Some((&start, &end)) = self.intervals.range(first..=last).next() {
            self.intervals.remove(&start);
            if end > last {
                self.intervals.insert(last + 1, end);
            }
        }
    }

    /// Whether `number` is in the set.
    pub(crate) fn contains(&self, number: u128) -> bool {
        self.intervals
            .range(..=number)
            .next_back()
            .is_some_and(|(_, &end)| end >= number)
    }

    /// The lowest number of the set that is not below `number`.
    pub(crate) fn next_from(&self, number: u128) -> Option<u128> {
        if self.contains(number) {
            return Some(number);
        }
        let (&start, _) = self.intervals.range(number..).next()?;
        Some(start)
    }

    /// The intervals, as first and last number, in order.
    pub(crate) fn intervals(&self) -> impl Iterator<Item = (u128, u128)> {
        self.intervals.iter().map(|(&first, &last)| (first, last))
    }

    /// The parts of the interval from `first` to `last` that are in the set, in order.
    pub(crate) fn within(&self, first: u128, last: u128) -> impl Iterator<Item = (u128, u128)> {
        // The interval that `first` is in, or else the next.
        let from = self
            .intervals
            .range(..=first)
            .next_back()
            .filter(|&(_, &end)| end >= first)
            .map_or(first, |(&start, _)| start);
        self.intervals
            .range(from..=last)
            .map(move |(&start, &end)| (start.max(first), end.min(last)))
    }

    /// How many numbers are in the set; [`u128::MAX`] if they are all.
    pub(crate) fn size(&self) -> u128 {
        self.intervals().fold(0, |sum: u128, (first, last)| {
            sum.saturating_add(last - first).saturating_add(1)
        })
    }

    /// Whether no number is in the set.
    pub(crate) fn is_empty(&self) -> bool {
        self.intervals.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn intervals_that_touch_become_one() {
        let mut set = IntervalSet::default();
        set.insert(1, 2);
        set.insert(5, 6);
        set.insert(3, 4);
        assert_eq!(set.intervals().collect::<Vec<_>>(), [(1, 6)]);
    }

    #[test]
    fn the_ends_of_all_numbers_are_numbers_like_others() {
        let mut set = IntervalSet::default();
        set.insert(0, u128::MAX);
        assert_eq!(set.size(), u128::MAX);
        set.remove(0, 0);
        set.remove(u128::MAX, u128::MAX);
        assert_eq!(set.intervals().collect::<Vec<_>>(), [(1, u128::MAX - 1)]);
        assert_eq!(set.next_from(0), Some(1));
        assert_eq!(set.next_from(u128::MAX), None);
        set.insert(u128::MAX, u128::MAX);
        set.insert(0, 0);
        assert_eq!(set.intervals().collect::<Vec<_>>(), [(0, u128::MAX)]);
    }

    #[derive(Clone, Debug)]
    enum Operation {
        Insert(u128, u128),
        Remove(u128, u128),
    }

    fn operation() -> impl Strategy<Value = Operation> {
        (any::<bool>(), 0u128..40, 0u128..8).prop_map(|(insert, first, length)| {
            if insert {
                Operation::Insert(first, first + length)
            } else {
                Operation::Remove(first, first + length)
            }
        })
    }

    proptest! {
        #[test]
        fn it_holds_what_a_plain_set_holds(operations in prop::collection::vec(operation(), 0..40)) {
            let (mut set, mut model) = (IntervalSet::default(), BTreeSet::new());
            for operation in operations {
                match operation {
                    Operation::Insert(first, last) => {
                        set.insert(first, last);
                        model.extend(first..=last);
                    }
                    Operation::Remove(first, last) => {
                        set.remove(first, last);
                        model.retain(|number| !(first..=last).contains(number));
                    }
                }
            }
            prop_assert_eq!(set.size(), model.len() as u128);
            prop_assert_eq!(set.is_empty(), model.is_empty());
            for number in 0..60 {
                prop_assert_eq!(set.contains(number), model.contains(&number));
                prop_assert_eq!(set.next_from(number), model.range(number..).next().copied());
                let within: BTreeSet<u128> =
                    set.within(number, number + 5).flat_map(|(first, last)| first..=last).collect();
                let expected: BTreeSet<u128> = model.range(number..=number + 5).copied().collect();
                prop_assert_eq!(within, expected);
            }
            let intervals: Vec<_> = set.intervals().collect();
            for pair in intervals.windows(2) {
                prop_assert!(pair[0].1 + 1 < pair[1].0, "{:?} touch", pair);
            }
        }
    }
}
