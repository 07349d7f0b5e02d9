//! What is to happen, in the order of its time; of what is due at the same time, the first that was
//! scheduled comes first, so that a run is the same each time.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use crate::history::Time;

/// What is to happen.
#[derive(Debug)]
pub struct Queue<T> {
    waiting: BinaryHeap<Reverse<Scheduled<T>>>,
    scheduled: u64,
}

#[derive(Debug)]
struct Scheduled<T> {
    at: Time,
    order: u64,
    what: T,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            waiting: BinaryHeap::new(),
            scheduled: 0,
        }
    }
}

impl<T> Queue<T> {
    /// Lets `what` happen at that time.
    pub fn schedule(&mut self, at: Time, what: T) {
        self.scheduled += 1;
        self.waiting.push(Reverse(Scheduled {
            at,
            order: self.scheduled,
            what,
        }));
    }

    /// What comes next, if it is due by then, and its time.
    pub fn next_by(&mut self, end: Time) -> Option<(Time, T)> {
        let Reverse(first) = self.waiting.peek()?;
        if first.at > end {
            return None;
        }
        let Reverse(Scheduled { at, what, .. }) = self.waiting.pop()?;
        Some((at, what))
    }

    /// How much has ever been scheduled.
    #[must_use]
    pub const fn scheduled(&self) -> u64 {
        self.scheduled
    }
}

impl<T> PartialEq for Scheduled<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T> Eq for Scheduled<T> {}

impl<T> PartialOrd for Scheduled<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Scheduled<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}
