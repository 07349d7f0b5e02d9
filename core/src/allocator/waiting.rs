//! Services that wait for something, and whose turn it is.
//!
//! A Service waits for causes: an address of a pool, one certain address, Services with its sharing
//! key. When a cause is raised, those that wait for it get their turn in a fixed order: the one
//! created first is first, and by name among equals.
//!
//! An address that becomes free is offered to one Service after the other for as long as there is
//! one free. So one address that is freed while thousands wait costs one decision, not thousands.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::name::{PoolName, ServiceName};
use crate::range::IpFamily;
use crate::sharing::SharingKey;

/// Something to wait for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cause {
    /// A free address in any of the pools that every Service falls back to.
    Fallback(IpFamily),
    /// A free address in this pool.
    Stock(PoolName, IpFamily),
    /// This address: that it is freed, or that those who share it change.
    Address(IpAddr),
    /// Who has an address with this sharing key, or on which terms.
    Key(SharingKey),
}

/// A Service's place in the queue.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    created: i64,
    service: ServiceName,
}

#[derive(Clone, Debug)]
struct Waiter {
    created: i64,
    causes: BTreeSet<Cause>,
}

/// All Services that wait.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    waiters: BTreeMap<ServiceName, Waiter>,
    by_cause: BTreeMap<Cause, BTreeSet<Turn>>,
    /// Those whose turn it is, whatever they wait for.
    ready: BTreeSet<Turn>,
    /// Free addresses that are being offered, with the last Service that they were offered to.
    offers: BTreeMap<Cause, Option<Turn>>,
}

impl Queue {
    /// `service` waits for any of `causes`, and for no other.
    pub(super) fn wait(&mut self, service: &ServiceName, created: i64, causes: BTreeSet<Cause>) {
        self.leave(service);
        for cause in &causes {
            self.by_cause
                .entry(cause.clone())
                .or_default()
                .insert(Turn {
                    created,
                    service: service.clone(),
                });
        }
        self.waiters
            .insert(service.clone(), Waiter { created, causes });
    }

    /// `service` waits for nothing.
    pub(super) fn leave(&mut self, service: &ServiceName) {
        let Some(waiter) = self.waiters.remove(service) else {
            return;
        };
        let turn = Turn {
            created: waiter.created,
            service: service.clone(),
        };
        for cause in waiter.causes {
            if let Some(turns) = self.by_cause.get_mut(&cause) {
                turns.remove(&turn);
                if turns.is_empty() {
                    self.by_cause.remove(&cause);
                }
            }
        }
        self.ready.remove(&turn);
    }

    /// The Services that wait, by name.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &ServiceName> {
        self.waiters.keys()
    }

    /// It is the turn of `service`, also if it waits for nothing so far.
    pub(super) fn call(&mut self, service: &ServiceName, created: i64) {
        if !self.waiters.contains_key(service) {
            self.wait(service, created, BTreeSet::new());
        }
        self.ready.insert(Turn {
            created,
            service: service.clone(),
        });
    }

    /// It is the turn of all that wait.
    pub(super) fn call_all(&mut self) {
        for (service, waiter) in &self.waiters {
            self.ready.insert(Turn {
                created: waiter.created,
                service: service.clone(),
            });
        }
    }

    /// Something has happened that Services may wait for.
    pub(super) fn raise(&mut self, cause: Cause) {
        let Some(turns) = self.by_cause.get(&cause) else {
            return;
        };
        match cause {
            Cause::Fallback(_) | Cause::Stock(..) => {
                self.offers.insert(cause, None);
            }
            Cause::Address(_) | Cause::Key(_) => self.ready.extend(turns.iter().cloned()),
        }
    }

    /// The Service whose turn it is. `is_free` says whether an address is still free where one is
    /// offered.
    pub(super) fn next(&mut self, is_free: impl Fn(&Cause) -> bool) -> Option<ServiceName> {
        let mut offered: Vec<(Cause, Turn)> = Vec::new();
        let by_cause = &self.by_cause;
        self.offers.retain(|cause, last| {
            let next =
                by_cause
                    .get(cause)
                    .filter(|_| is_free(cause))
                    .and_then(|turns| match last {
                        None => turns.first(),
                        Some(last) => turns
                            .range((
                                std::ops::Bound::Excluded(&*last),
                                std::ops::Bound::Unbounded,
                            ))
                            .next(),
                    });
            if let Some(turn) = next {
                offered.push((cause.clone(), turn.clone()));
            }
            next.is_some()
        });
        let turn = offered
            .iter()
            .map(|(_, turn)| turn)
            .chain(self.ready.first())
            .min()?
            .clone();
        self.ready.remove(&turn);
        for (cause, next) in offered {
            if next == turn {
                self.offers.insert(cause, Some(next));
            }
        }
        Some(turn.service)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str) -> ServiceName {
        ServiceName::new("shop", name)
    }

    fn stock() -> Cause {
        Cause::Stock("blue".into(), IpFamily::V4)
    }

    fn waiting(services: &[(&str, i64, &[Cause])]) -> Queue {
        let mut queue = Queue::default();
        for &(name, created, causes) in services {
            queue.wait(&service(name), created, causes.iter().cloned().collect());
        }
        queue
    }

    fn all(queue: &mut Queue) -> Vec<String> {
        std::iter::from_fn(|| queue.next(|_| true))
            .map(|service| service.name.to_string())
            .collect()
    }

    #[test]
    fn the_one_created_first_is_first_then_by_name() {
        let mut queue = waiting(&[
            ("c", 1, &[stock()]),
            ("b", 2, &[stock()]),
            ("a", 2, &[stock()]),
        ]);
        queue.raise(stock());
        assert_eq!(all(&mut queue), ["c", "a", "b"]);
        assert_eq!(all(&mut queue), [""; 0], "each has one turn");
    }

    #[test]
    fn only_those_that_wait_for_it_get_a_turn() {
        let address = Cause::Address(IpAddr::from([192, 0, 2, 1]));
        let mut queue = waiting(&[
            ("a", 1, &[stock()]),
            ("b", 2, std::slice::from_ref(&address)),
        ]);
        queue.raise(address);
        assert_eq!(all(&mut queue), ["b"]);
        queue.raise(Cause::Stock("green".into(), IpFamily::V4));
        assert_eq!(all(&mut queue), [""; 0]);
    }

    #[test]
    fn nobody_is_called_for_an_address_that_is_no_longer_free() {
        let mut queue = waiting(&[("a", 1, &[stock()]), ("b", 2, &[stock()])]);
        queue.raise(stock());
        assert_eq!(queue.next(|_| true), Some(service("a")));
        queue.leave(&service("a"));
        assert_eq!(queue.next(|_| false), None);
        assert_eq!(queue.next(|_| true), None, "the offer is over");
    }

    #[test]
    fn who_cannot_use_what_is_offered_lets_the_next_try() {
        let mut queue = waiting(&[("a", 1, &[stock()]), ("b", 2, &[stock()])]);
        queue.raise(stock());
        assert_eq!(queue.next(|_| true), Some(service("a")));
        queue.wait(&service("a"), 1, BTreeSet::from([stock()]));
        assert_eq!(queue.next(|_| true), Some(service("b")));
        assert_eq!(queue.next(|_| true), None);
    }

    #[test]
    fn a_second_free_address_is_offered_from_the_start_again() {
        let mut queue = waiting(&[("a", 1, &[stock()]), ("b", 2, &[stock()])]);
        queue.raise(stock());
        assert_eq!(queue.next(|_| true), Some(service("a")));
        queue.raise(stock());
        assert_eq!(all(&mut queue), ["a", "b"]);
    }

    #[test]
    fn who_is_called_for_two_causes_has_one_turn() {
        let fallback = Cause::Fallback(IpFamily::V4);
        let mut queue = waiting(&[("a", 1, &[stock(), fallback.clone()])]);
        queue.raise(stock());
        queue.raise(fallback);
        queue.call(&service("a"), 1);
        assert_eq!(all(&mut queue), ["a"]);
    }

    #[test]
    fn who_has_left_is_not_called() {
        let mut queue = waiting(&[("a", 1, &[stock()])]);
        queue.raise(stock());
        queue.call_all();
        queue.call(&service("b"), 1);
        queue.leave(&service("a"));
        queue.leave(&service("b"));
        assert_eq!(all(&mut queue), [""; 0]);
    }
}
