//! Services: which are ours, what is decided for each, and what its status says.

use std::collections::BTreeSet;
use std::net::IpAddr;

use bellwether_core::allocator::{Allocation, Decision, Found, Outlook, Output};
use bellwether_core::few::take_out;
use bellwether_core::moment::Moment;
use bellwether_core::name::ServiceName;
use bellwether_core::sharing::SharingTerms;
use bellwether_crds::annotation::REALLOCATE;
use bellwether_crds::condition::{SERVICE_ALLOCATED, SERVICE_ANNOUNCED};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;

use super::State;
use crate::change::{Change, Note, Wanted};
use crate::facts::{AnnouncementFacts, Reallocation, ServiceFacts, Target};
use crate::reason::{AllocatedReason, AnnouncedReason, Problem};

/// What `Allocated` says: whether it holds, why in one word, and why in a sentence.
type Saying = (bool, &'static str, String);

impl State {
    fn is_ours(&self, service: &ServiceFacts) -> bool {
        service.is_load_balancer && self.settings.serves(service.class.as_deref())
    }

    /// Takes note of what a Service shows, and decides on it.
    pub(super) fn take_in(&mut self, name: &ServiceName, now: Moment) {
        let Some(service) = self.services.get(name) else {
            self.release(name, now);
            self.schedule.mark(Target::Service(name.clone()));
            return;
        };
        if !self.is_ours(service) {
            // What concerns us neither now nor as something to tidy up is not kept.
            if !service.has_our_conditions() {
                self.services.remove(name);
            }
            self.release(name, now);
            self.schedule.mark(Target::Service(name.clone()));
            return;
        }
        for address in service.ingress.clone() {
            self.shown_by
                .entry(address)
                .or_default()
                .insert(name.clone());
        }
        if self.is_complete() {
            // One that appears with addresses, restored from a backup for example, may keep them.
            if !self.decisions.contains_key(name)
                && let Some(found) = self.found(name)
            {
                self.allocator.adopt(vec![found], now);
            }
            self.decide(name, now);
            self.reconsider(now);
        }
        self.schedule.mark(Target::Service(name.clone()));
    }

    /// A Service does not show an address any more, so that others may.
    pub(super) fn forget_shown(&mut self, address: IpAddr, service: &ServiceName) {
        if take_out(&mut self.shown_by, &address, service) {
            self.mark_announcement(address);
        }
    }

    /// What a Service has, as its status says or, where a status was never written, as the
    /// Announcements that were made for it say.
    fn found(&self, name: &ServiceName) -> Option<Found> {
        let service = self
            .services
            .get(name)
            .filter(|service| self.is_ours(service))?;
        let mut addresses: Vec<IpAddr> = service.ingress.clone();
        if addresses.is_empty() {
            let reserved = self.reserved.get(name).into_iter().flatten();
            addresses = reserved.copied().collect();
        }
        let allocation = |address: IpAddr| Allocation {
            address,
            pool: self
                .announcements
                .get(&address)
                .map(|facts| facts.spec.pool.as_str())
                .filter(|pool| !pool.is_empty())
                .map(Into::into),
        };
        (!addresses.is_empty()).then(|| Found {
            service: name.clone(),
            created: service.created,
            sharing: self.sharing_of(service),
            addresses: addresses.into_iter().map(allocation).collect(),
        })
    }

    /// What a Service brings to an address that it shares. If its sharing key cannot be told, the
    /// Services that its Announcement names beside it know it.
    fn sharing_of(&self, service: &ServiceFacts) -> SharingTerms {
        let mut sharing = service.sharing.clone();
        if sharing.key.is_none() && service.wish.is_err() {
            let announcements = service
                .ingress
                .iter()
                .filter_map(|ip| self.announcements.get(ip).map(Box::as_ref));
            sharing.key = announcements
                .filter(|facts| facts.is_for(&service.name))
                .flat_map(AnnouncementFacts::services)
                .find_map(|other| self.services.get(&other)?.sharing.key.clone());
        }
        sharing
    }

    /// Takes every address that a Service has into the books, and only then decides on each Service,
    /// the oldest first.
    pub(super) fn adopt(&mut self, now: Moment) {
        self.allocator
            .set_pools(self.usable_pools.values().cloned().collect(), now);
        let found: Vec<Found> = self
            .services
            .keys()
            .filter_map(|name| self.found(name))
            .collect();
        for lost in self.allocator.adopt(found, now) {
            tracing::warn!(
                service = %lost.service, address = %lost.address, reason = %lost.refusal,
                "an address could not be adopted"
            );
        }
        self.is_adopted = true;
        self.rest_again(now);
        self.begin_graces(now);
        self.decide_all(now);
        self.mark_everything();
    }

    /// Decides on every Service of ours, the oldest first.
    pub(super) fn decide_all(&mut self, now: Moment) {
        let mut names: Vec<ServiceName> = self.services.keys().cloned().collect();
        names.sort_by_cached_key(|name| {
            let created = self.services.get(name).map(|service| service.created);
            (created, name.clone())
        });
        for name in names {
            self.decide(&name, now);
        }
        self.reconsider(now);
    }

    /// Decides on a Service of ours.
    pub(super) fn decide(&mut self, name: &ServiceName, now: Moment) {
        let Some(service) = self
            .services
            .get(name)
            .filter(|service| self.is_ours(service))
        else {
            return;
        };
        let namespace = self.namespaces.get(&*name.namespace);
        let labels = namespace
            .map(|namespace| namespace.labels.clone())
            .unwrap_or_default();
        let before = self.allocator.allocations(name).to_vec();
        let decision = service
            .request(labels)
            .map(|request| self.allocator.request(&request, now));
        self.tally
            .replace(self.decisions.get(name), Some(&decision));
        self.decisions.insert(name.clone(), decision);
        self.mark_moved(name, before);
    }

    /// A Service needs no address any more.
    fn release(&mut self, name: &ServiceName, now: Moment) {
        let Some(decided) = self.decisions.remove(name) else {
            return;
        };
        self.tally.replace(Some(&decided), None);
        let before = self.allocator.allocations(name).to_vec();
        self.allocator.release(name, now);
        self.mark_moved(name, before);
        self.reconsider(now);
    }

    /// Lets those decide again whose turn it is, until nobody's turn it is.
    pub(super) fn reconsider(&mut self, now: Moment) {
        if !self.is_complete() {
            return;
        }
        while let Some(Output::Reconsider(name)) = self.allocator.poll_output() {
            self.decide(&name, now);
        }
    }

    /// Somebody else has created the Announcement of an address that we had given to a Service. Who
    /// creates it has the address: our Services move on.
    pub(super) fn yield_to_creator(&mut self, address: IpAddr, now: Moment) {
        let Some(facts) = self.announcements.get(&address) else {
            return;
        };
        let theirs: BTreeSet<ServiceName> = facts.services().collect();
        let ours: Vec<ServiceName> = self.allocator.users(address).cloned().collect();
        if ours.iter().all(|service| theirs.contains(service)) {
            return;
        }
        for name in &ours {
            let before = self.allocator.allocations(name).to_vec();
            self.allocator.release(name, now);
            self.mark_moved(name, before);
        }
        let found = theirs.iter().filter_map(|name| self.found(name)).collect();
        self.allocator.adopt(found, now);
        for name in theirs.iter().chain(&ours) {
            self.decide(name, now);
        }
        self.reconsider(now);
    }

    /// Everything that depends on the addresses of a Service, before and after.
    fn mark_moved(&mut self, name: &ServiceName, before: Vec<Allocation>) {
        let after = self.allocator.allocations(name).to_vec();
        self.tally.moved(&before, &after);
        for allocation in before.into_iter().chain(after) {
            self.mark_announcement(allocation.address);
            if let Some(pool) = allocation.pool {
                self.schedule.mark(Target::Pool(pool));
            }
        }
        self.schedule.mark(Target::Service(name.clone()));
    }

    /// What is to be written to a Service's status.
    pub(super) fn service_change(&mut self, name: &ServiceName, wall: Timestamp) -> Option<Change> {
        let service = self.services.get(name)?;
        if !self.is_ours(service) {
            return service.has_our_conditions().then(|| Change::ServiceStatus {
                service: name.clone(),
                version: service.version.clone(),
                ingress: None,
                conditions: Vec::new(),
                moved: false,
                event: None,
            });
        }
        let decided = self.decisions.get(name)?;
        let addresses: Vec<IpAddr> = self
            .allocator
            .allocations(name)
            .iter()
            .map(|entry| entry.address)
            .collect();
        // An address is shown only once its Announcement says whose it is.
        let is_reserved = |address: &IpAddr| {
            self.announcements
                .get(address)
                .is_some_and(|facts| facts.is_for(name))
        };
        if !addresses.iter().all(is_reserved) {
            return None;
        }
        let allocated = self.allocated(name, decided.as_ref());
        let announced = self.announced(&addresses);
        let wanted = [
            Wanted {
                kind: SERVICE_ALLOCATED,
                holds: allocated.0,
                reason: allocated.1,
                message: &allocated.2,
            },
            Wanted {
                kind: SERVICE_ANNOUNCED,
                holds: announced.0,
                reason: announced.1.as_str(),
                message: &announced.2,
            },
        ];
        let current = [service.allocated.as_ref(), service.announced.as_ref()];
        let has_moved = service.reallocation == Reallocation::Asked && is_settled(decided);
        let is_shown = service.ingress == addresses && !service.ingress_is_foreign;
        if is_shown
            && wanted
                .iter()
                .zip(current)
                .all(|(wanted, current)| wanted.is_said_by(current))
        {
            let is_done = service.reallocation == Reallocation::Done;
            return (is_done || has_moved).then(|| Change::RemoveReallocate {
                service: name.clone(),
                version: service.version.clone(),
            });
        }
        let conditions: Vec<Condition> = wanted
            .iter()
            .zip(current)
            .map(|(wanted, current)| wanted.condition(service.version.generation, current, wall))
            .collect();
        let says_anew = !wanted[0].is_said_by(current[0]);
        Some(Change::ServiceStatus {
            service: name.clone(),
            version: service.version.clone(),
            ingress: Some(addresses),
            conditions,
            moved: has_moved,
            event: says_anew.then(|| Note {
                action: "Allocate",
                is_warning: !allocated.0,
                reason: allocated.1.to_owned(),
                message: allocated.2,
            }),
        })
    }

    /// What the condition `Allocated` says.
    fn allocated(&self, name: &ServiceName, decided: Result<&Decision, &Problem>) -> Saying {
        let keeps = |problem: &dyn std::fmt::Display, addresses: &[Allocation]| {
            if addresses.is_empty() {
                problem.to_string()
            } else {
                format!("{problem}; it keeps {} meanwhile", list(addresses))
            }
        };
        match decided {
            Ok(Decision::Allocated {
                addresses,
                degraded: None,
            }) => (
                true,
                AllocatedReason::Allocated.as_str(),
                with_pools(addresses),
            ),
            Ok(Decision::Allocated {
                addresses,
                degraded: Some(refusal),
            }) => {
                let message = format!("{}; no second address: {refusal}", with_pools(addresses));
                (true, AllocatedReason::Allocated.as_str(), message)
            }
            Ok(Decision::Kept {
                addresses,
                refusal,
                outlook: Outlook::StaysUntilReallocated,
            }) => {
                let message = format!(
                    "{refusal}; it keeps {} until it is deleted, or moved by the annotation \
                     {REALLOCATE}: \"true\"",
                    list(addresses)
                );
                (true, refusal.reason(), message)
            }
            Ok(Decision::Kept {
                addresses,
                refusal,
                outlook: Outlook::MovesWhenPossible,
            }) => (false, refusal.reason(), keeps(refusal, addresses)),
            Ok(Decision::Waiting { refusal }) => (false, refusal.reason(), keeps(refusal, &[])),
            Err(problem) => {
                let held = self.allocator.allocations(name);
                (false, problem.reason(), keeps(problem, held))
            }
        }
    }

    /// What the condition `Announced` says.
    fn announced(&self, addresses: &[IpAddr]) -> (bool, AnnouncedReason, String) {
        if addresses.is_empty() {
            return (
                false,
                AnnouncedReason::NoAddress,
                "there is no address to announce".to_owned(),
            );
        }
        for &address in addresses {
            if let Some((reason, message)) = self.not_announced(address) {
                return (false, reason, message);
            }
        }
        let all: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        (
            true,
            AnnouncedReason::Announced,
            format!("{} announced by a node", all.join(", ")),
        )
    }
}

/// Whether a Service that asked to be moved has been: it has all that it asks for. One that asks for
/// certain addresses and has them is where it wants to be.
const fn is_settled(decided: &Result<Decision, Problem>) -> bool {
    matches!(
        decided,
        Ok(Decision::Allocated { .. }
            | Decision::Kept {
                outlook: Outlook::StaysUntilReallocated,
                ..
            })
    )
}

fn list(addresses: &[Allocation]) -> String {
    let all: Vec<String> = addresses
        .iter()
        .map(|entry| entry.address.to_string())
        .collect();
    all.join(", ")
}

fn with_pools(addresses: &[Allocation]) -> String {
    let one = |entry: &Allocation| match &entry.pool {
        Some(pool) => format!("{} from pool {pool}", entry.address),
        None => entry.address.to_string(),
    };
    let all: Vec<String> = addresses.iter().map(one).collect();
    all.join(", ")
}
