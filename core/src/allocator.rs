//! Which Service gets which address.
//!
//! [`Allocator`] owns all that is known of addresses: the pools, who has what, what rests, who
//! waits. It is level-triggered: [`Allocator::request`] is asked as often as anybody likes, and
//! answers with the same until something changes. The same inputs give the same answers.
//!
//! How the controller uses it:
//!
//! 1. [`Allocator::set_pools`] with all pools, at the start and whenever one changes.
//! 2. [`Allocator::adopt`] with all that Services have already, before anything is allocated.
//! 3. [`Allocator::request`] for each Service, and again whenever it changes;
//!    [`Allocator::release`] when it needs no address any more.
//! 4. After each of these, and after [`Allocator::on_deadline`], [`Allocator::poll_output`] until
//!    there is none, and before new Services are let in: it names those whose turn it is.
//!
//! Where to find what: [what a Service asks for](Request), [what is decided](Decision),
//! [why not](Refusal), the decision itself in `decide`, the search for an address in `search`, what
//! is free in `inventory`, which pools may be used in `directory`, who has what in `assignments`,
//! what rests in `resting`, whose turn it is in `waiting`; why it is so, in [`Explanation`].

mod adopt;
mod assignments;
mod decide;
mod decision;
mod directory;
mod explain;
mod families;
mod inventory;
mod numbering;
mod pools;
mod reason;
mod refusal;
mod request;
mod resting;
mod search;
mod waiting;

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

pub use adopt::{Found, Lost};
pub use decision::{Allocation, Decision, Outlook};
pub use directory::Overlap;
pub use explain::{Considered, Explanation, Verdict};
pub use families::{FamilyPolicy, IpFamilyPolicy};
pub use inventory::Counters;
pub use reason::RefusalReason;
pub use refusal::{Exclusion, PoolList, Refusal};
pub use request::Request;
pub use resting::Resting;

use crate::moment::Moment;
use crate::name::ServiceName;
use crate::pool::Strategy;
use crate::range::IpFamily;
use assignments::{Assignment, Assignments};
use directory::Directory;
use inventory::{Inventory, Use};
use resting::Rest;
use search::Random;
use waiting::{Cause, Queue};

/// Decides which Service gets which address.
///
/// A copy of it answers what would happen if; nothing that is done to the copy is done.
#[derive(Clone, Debug)]
pub struct Allocator {
    directory: Directory,
    inventory: Inventory,
    assignments: Assignments,
    rest: Rest,
    queue: Queue,
    random: Random,
}

/// What the allocator wants done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Output {
    /// The decision for this Service may be another now: call [`Allocator::request`] for it.
    Reconsider(ServiceName),
}

impl Allocator {
    /// An allocator without pools. The strategy Random draws from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            directory: Directory::default(),
            inventory: Inventory::default(),
            assignments: Assignments::default(),
            rest: Rest::default(),
            queue: Queue::default(),
            random: Random::new(seed),
        }
    }

    /// Decides what a Service gets, and books it.
    pub fn request(&mut self, request: &Request, now: Moment) -> Decision {
        self.on_deadline(now);
        let outcome = self.decide(request);
        let addresses = outcome.decision.addresses();
        let assignment = (!addresses.is_empty()).then(|| Assignment {
            created: request.created,
            addresses: addresses.to_vec(),
            sharing: request.sharing.clone(),
            reallocated: outcome.reallocated,
        });
        let before = self.allocations(&request.service).to_vec();
        let waits = outcome.waits_for.is_some();
        match outcome.waits_for {
            Some(causes) => self.queue.wait(&request.service, request.created, causes),
            None => self.queue.leave(&request.service),
        }
        self.assign(&request.service, assignment, now);
        let after = self.allocations(&request.service);
        // What it gave up may rest, so that it is offered to nobody. It may have it back itself.
        if waits && before.iter().any(|given_up| !after.contains(given_up)) {
            self.queue.call(&request.service, request.created);
        }
        self.random.advance();
        outcome.decision
    }

    /// The Service needs no address any more: it is deleted, or of another type or class.
    pub fn release(&mut self, service: &ServiceName, now: Moment) {
        self.on_deadline(now);
        self.queue.leave(service);
        self.assign(service, None, now);
    }

    /// A Service whose turn it is: the one created first, then by name.
    pub fn poll_output(&mut self) -> Option<Output> {
        let Self {
            directory,
            inventory,
            queue,
            ..
        } = self;
        let next = queue.next(|cause| match cause {
            Cause::Fallback(family) => inventory.first_open(&[*family]).is_some(),
            Cause::Stock(pool, family) => directory
                .find(pool)
                .is_some_and(|(id, _)| inventory.has_free(id, &[*family])),
            Cause::Address(_) | Cause::Key(_) => true,
        });
        next.map(Output::Reconsider)
    }

    /// When [`Allocator::on_deadline`] has something to do: an address has rested enough.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Moment> {
        self.rest.next_deadline()
    }

    /// Offers addresses that have rested enough to those that wait.
    pub fn on_deadline(&mut self, now: Moment) {
        while let Some((address, last_user)) = self.rest.pop_rested(now) {
            if let Some((id, pool)) = self.directory.locate(address) {
                if pool.strategy() == Strategy::Sticky {
                    self.rest.remember(address, last_user);
                }
                self.inventory.change(id, address, Use::Resting, Use::Free);
                self.offer(address);
            }
        }
    }

    /// The Services that use `address`, by name.
    pub fn users(&self, address: IpAddr) -> impl Iterator<Item = &ServiceName> {
        self.assignments.users(address)
    }

    /// The addresses that a Service has, in the order of its status.
    #[must_use]
    pub fn allocations(&self, service: &ServiceName) -> &[Allocation] {
        self.assignments
            .get(service)
            .map_or(&[], |assignment| &assignment.addresses)
    }

    /// The Services that wait for an address or for another one than they have, by name.
    pub fn waiting(&self) -> impl Iterator<Item = &ServiceName> {
        self.queue.waiting()
    }

    /// Gives `service` what `new` says and takes what it had, with all that follows.
    fn assign(&mut self, service: &ServiceName, new: Option<Assignment>, now: Moment) {
        let old = self.assignments.get(service);
        if old == new.as_ref() {
            return;
        }
        let both = || old.into_iter().chain(&new);
        let keys: BTreeSet<_> = both().filter_map(|it| it.sharing.key.clone()).collect();
        let addresses: BTreeSet<IpAddr> = both()
            .flat_map(|assignment| &assignment.addresses)
            .map(|allocation| allocation.address)
            .collect();
        let were_used: Vec<(IpAddr, bool)> = addresses
            .into_iter()
            .map(|address| (address, self.assignments.is_used(address)))
            .collect();
        self.assignments.replace(service, new);
        for (address, was_used) in were_used {
            match (was_used, self.assignments.is_used(address)) {
                (false, true) => self.take(address),
                (true, false) => self.free(address, service, now),
                (true, true) | (false, false) => {}
            }
            // Also who cannot have it must hear who has it now.
            self.queue.raise(Cause::Address(address));
        }
        for key in keys {
            self.queue.raise(Cause::Key(key));
        }
    }

    /// Books that somebody uses `address` now.
    fn take(&mut self, address: IpAddr) {
        let was_resting = self.rest.forget(address);
        if let Some((id, _)) = self.directory.locate(address) {
            let from = if was_resting { Use::Resting } else { Use::Free };
            self.inventory.change(id, address, from, Use::Assigned);
        }
    }

    /// Books that nobody uses `address` any more.
    fn free(&mut self, address: IpAddr, last_user: &ServiceName, now: Moment) {
        let Some((id, pool)) = self.directory.locate(address) else {
            return;
        };
        if pool.cooldown().is_zero() {
            if pool.strategy() == Strategy::Sticky {
                self.rest.remember(address, last_user.clone());
            }
            self.inventory.change(id, address, Use::Assigned, Use::Free);
            self.offer(address);
        } else {
            self.rest
                .rest(address, last_user.clone(), now + pool.cooldown());
            self.inventory
                .change(id, address, Use::Assigned, Use::Resting);
        }
    }

    /// Tells those that may wait for it that `address` is free.
    fn offer(&mut self, address: IpAddr) {
        let Some((id, pool)) = self.directory.locate(address) else {
            return;
        };
        let family = IpFamily::of(address);
        let stock = Cause::Stock(pool.name().clone(), family);
        let is_fallback = self.directory.is_fallback(id);
        self.queue.raise(stock);
        self.queue.raise(Cause::Address(address));
        if is_fallback {
            self.queue.raise(Cause::Fallback(family));
        }
    }
}
