//! A set of one or a few.

use std::collections::BTreeMap;
use std::slice;

/// A set that mostly holds one value, in order.
///
/// Ten thousand addresses have a set of users each, and nearly all have one user. A `BTreeSet` takes
/// room for eleven values with its first; this one takes room for what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Few<T>(Vec<T>);

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Ord> Few<T> {
    /// Adds a value, if it is not there.
    pub fn insert(&mut self, value: T) {
        if let Err(place) = self.0.binary_search(&value) {
            self.0.reserve_exact(1);
            self.0.insert(place, value);
        }
    }

    /// Takes a value out, if it is there.
    pub fn remove(&mut self, value: &T) {
        if let Ok(place) = self.0.binary_search(value) {
            self.0.remove(place);
        }
    }
}

impl<T> Few<T> {
    /// Whether it holds nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The values, in order.
    pub fn iter(&self) -> slice::Iter<'_, T> {
        self.0.iter()
    }
}

impl<'a, T> IntoIterator for &'a Few<T> {
    type Item = &'a T;
    type IntoIter = slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Takes `value` out of the set of `key`; an empty set goes. Says whether there was a set.
pub fn take_out<K: Ord, T: Ord>(sets: &mut BTreeMap<K, Few<T>>, key: &K, value: &T) -> bool {
    let Some(few) = sets.get_mut(key) else {
        return false;
    };
    few.remove(value);
    if few.is_empty() {
        sets.remove(key);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_each_value_once_and_in_order() {
        let mut few = Few::default();
        for value in [3, 1, 2, 3, 1] {
            few.insert(value);
        }
        assert_eq!(few.iter().copied().collect::<Vec<_>>(), [1, 2, 3]);
        few.remove(&2);
        few.remove(&7);
        assert_eq!(few.iter().copied().collect::<Vec<_>>(), [1, 3]);
        few.remove(&1);
        few.remove(&3);
        assert!(few.is_empty());
    }
}
