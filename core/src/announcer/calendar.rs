//! Which announcement of which address on which link is due when.
//!
//! How many there are of a kind and how far apart is in [`super::timeline`].

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use super::Next;
use super::message::Occasion;
use super::timeline;
use crate::link::LinkIndex;
use crate::moment::Moment;

/// An address on a link.
pub(super) type Place = (IpAddr, LinkIndex);

/// The announcements of an owned address on a link.
#[derive(Clone, Copy, Debug)]
struct Series {
    /// How many have begun.
    begun: usize,
    next: Next,
}

impl Series {
    fn occasion(&self, address: IpAddr) -> Occasion {
        if self.begun == 0 {
            Occasion::First
        } else if timeline::pause_after(address, self.begun - 1).is_some() {
            Occasion::Repeat
        } else {
            Occasion::Refresh
        }
    }
}

/// Holds a series for each owned address on each of its links.
///
/// A series that ends leaves its entries in the queues behind. They are recognised when their turn
/// comes, because the series is not where they say; so ending one costs nothing, and at rest
/// nothing is allocated.
#[derive(Debug)]
pub(super) struct Calendar {
    refresh: Duration,
    series: HashMap<Place, Series>,
    timers: BinaryHeap<Reverse<(Moment, Place)>>,
    /// Announcements that are due, in the order in which they became so: of many addresses that
    /// come at once, each is announced once before any is announced twice.
    ready: VecDeque<Place>,
}

impl Calendar {
    /// An empty calendar, for refreshes every `refresh` on average; zero: none.
    pub(super) fn new(refresh: Duration) -> Self {
        Self {
            refresh,
            series: HashMap::new(),
            timers: BinaryHeap::new(),
            ready: VecDeque::new(),
        }
    }

    pub(super) fn contains(&self, place: Place) -> bool {
        self.series.contains_key(&place)
    }

    /// Begins a series, from its start if it is under way. Without `can_send` it begins when it is
    /// started again.
    pub(super) fn start(&mut self, place: Place, can_send: bool, now: Moment) {
        let next = if can_send { Next::At(now) } else { Next::Never };
        self.series.insert(place, Series { begun: 0, next });
        if can_send {
            self.set_timer(now, place);
        }
    }

    /// Ends a series at once.
    pub(super) fn end(&mut self, place: Place) {
        self.series.remove(&place);
    }

    /// Makes ready what is due by `now`.
    pub(super) fn on_deadline(&mut self, now: Moment) {
        while let Some(&Reverse((due, place))) = self.timers.peek() {
            if due > now {
                break;
            }
            self.timers.pop();
            if let Some(series) = self.series.get_mut(&place)
                && series.next == Next::At(due)
            {
                series.next = Next::Waiting;
                self.ready.push_back(place);
            }
        }
    }

    /// The next announcement that is ready. Sets the time of the one after it.
    pub(super) fn begin(&mut self, now: Moment) -> Option<(Place, Occasion)> {
        loop {
            let place = self.ready.pop_front()?;
            let (address, _) = place;
            let Some(series) = self.series.get_mut(&place) else {
                continue;
            };
            if series.next != Next::Waiting {
                continue;
            }
            let occasion = series.occasion(address);
            series.begun += 1;
            let pause = timeline::pause_after(address, series.begun - 1).or_else(|| {
                let refresh = timeline::refresh_after(self.refresh, address, series.begun);
                (!refresh.is_zero()).then_some(refresh)
            });
            series.next = pause.map_or(Next::Never, |pause| Next::At(now + pause));
            if let Some(pause) = pause {
                self.set_timer(now + pause, place);
            }
            return Some((place, occasion));
        }
    }

    /// Whether an announcement is ready.
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// When the next announcement is due.
    pub(super) fn next_deadline(&self) -> Option<Moment> {
        self.timers.peek().map(|&Reverse((due, _))| due)
    }

    /// Each series, and when its next announcement is.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Place, Next)> {
        self.series
            .iter()
            .map(|(&place, series)| (place, series.next))
    }

    fn set_timer(&mut self, due: Moment, place: Place) {
        // What ended series have left behind is cleared away before it outgrows the rest.
        if self.timers.len() > 2 * self.series.len() + 1024 {
            let series = &self.series;
            self.timers.retain(|&Reverse((due, place))| {
                series
                    .get(&place)
                    .is_some_and(|series| series.next == Next::At(due))
            });
        }
        self.timers.push(Reverse((due, place)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = (
        IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 10)),
        LinkIndex(1),
    );

    #[test]
    fn what_ended_series_leave_behind_is_cleared_away() {
        let mut calendar = Calendar::new(Duration::from_mins(1));
        for round in 0..100_000 {
            let now = Moment::from_millis(round);
            calendar.start(PLACE, true, now);
            calendar.on_deadline(now);
            calendar.begin(now);
            calendar.end(PLACE);
        }
        assert!(calendar.timers.len() < 2048, "{}", calendar.timers.len());
    }
}
