//! A model that knows nothing of sets and indexes: it looks at every address of every pool.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::allocator::{
    Allocation, Allocator, Decision, FamilyPolicy, Found, Outlook, Output, Request,
};
use bellwether_core::moment::Moment;
use bellwether_core::name::{PoolName, ServiceName};
use bellwether_core::pool::{Pool, PoolSpec};
use bellwether_core::range::{AddressRange, IpFamily};

use crate::world::Ask;

/// Something that happens.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Request(Ask),
    Release(ServiceName),
    SetPools(Vec<PoolSpec>),
    Pass(Duration),
    Restart,
}

/// The allocator, and beside it what everybody knows.
pub(crate) struct History {
    pub(crate) allocator: Allocator,
    pub(crate) now: Moment,
    pools: Vec<Arc<Pool>>,
    requests: BTreeMap<ServiceName, Request>,
    pub(crate) decisions: BTreeMap<ServiceName, Decision>,
}

impl History {
    pub(crate) fn new() -> Self {
        Self {
            allocator: Allocator::new(0),
            now: Moment::from_millis(5),
            pools: Vec::new(),
            requests: BTreeMap::new(),
            decisions: BTreeMap::new(),
        }
    }

    pub(crate) fn happen(&mut self, event: Event) {
        let concerned = match &event {
            Event::Request(Ask(request)) => Some(request.service.clone()),
            Event::Release(service) => Some(service.clone()),
            Event::SetPools(_) | Event::Pass(_) | Event::Restart => None,
        };
        let settled: Vec<(ServiceName, Decision)> = self
            .decisions
            .iter()
            .filter(|(service, decision)| concerned.as_ref() != Some(service) && !moves(decision))
            .map(|(service, decision)| (service.clone(), decision.clone()))
            .collect();
        self.happen_and_settle(event);
        for (service, decision) in settled {
            let now = self.allocator.allocations(&service);
            for had in decision.addresses() {
                assert!(
                    now.iter().any(|has| has.address == had.address),
                    "{service} lost {} although it asked for nothing new",
                    had.address
                );
            }
        }
    }

    fn happen_and_settle(&mut self, event: Event) {
        match event {
            Event::Request(Ask(request)) => {
                self.requests
                    .insert(request.service.clone(), request.clone());
                self.decide(&request.service);
            }
            Event::Release(service) => {
                self.requests.remove(&service);
                self.decisions.remove(&service);
                self.allocator.release(&service, self.now);
                assert_eq!(self.allocator.allocations(&service), []);
            }
            Event::SetPools(specs) => {
                let pools = specs
                    .into_iter()
                    .map(|spec| Pool::try_from(spec).expect("valid"));
                self.pools = pools.map(Arc::new).collect();
                self.pools.sort_by(|one, other| one.age().cmp(&other.age()));
                let before = self.everything();
                self.allocator.set_pools(self.pools.clone(), self.now);
                assert_eq!(
                    self.everything(),
                    before,
                    "an edit of pools moved an address"
                );
            }
            Event::Pass(duration) => {
                self.now += duration;
                self.allocator.on_deadline(self.now);
            }
            Event::Restart => self.restart(),
        }
        while let Some(Output::Reconsider(service)) = self.allocator.poll_output() {
            if self.requests.contains_key(&service) {
                self.decide(&service);
            }
        }
    }

    /// Decides as the controller does, and checks what may and must be checked at once.
    fn decide(&mut self, service: &ServiceName) {
        let request = self.requests[service].clone();
        let before = self.allocator.allocations(service).to_vec();
        let explained = self.allocator.explain(&request).decision;
        let decision = self.allocator.request(&request, self.now);
        assert_eq!(explained, decision, "what is explained is what is decided");
        assert_eq!(
            decision.addresses(),
            self.allocator.allocations(service),
            "what is decided is what is booked"
        );
        self.check_given(&request, &before, &decision);
        self.decisions.insert(service.clone(), decision);
        // The annotation goes when the Service was moved.
        let decision = &self.decisions[service];
        if request.reallocate && !moves(decision) {
            self.requests.get_mut(service).expect("there").reallocate = false;
        }
    }

    /// What is given is what was asked for, and was there to be given.
    fn check_given(&self, request: &Request, before: &[Allocation], decision: &Decision) {
        let addresses: Vec<IpAddr> = decision.addresses().iter().map(|it| it.address).collect();
        let order = request.families.families();
        let families: Vec<IpFamily> = addresses.iter().map(|&it| IpFamily::of(it)).collect();
        for &address in &addresses {
            assert_eq!(
                self.conflict(address, request),
                None,
                "{address} is given twice"
            );
            if before.iter().all(|held| held.address != address) {
                let pool = self.giver(address).expect("a new address is of a pool");
                assert!(permits(pool, request), "{address} is of a pool for others");
                assert!(!self.rests_for_others(address, request), "{address} rests");
            }
        }
        if let Decision::Allocated {
            addresses: allocations,
            ..
        } = decision
        {
            match request.families {
                FamilyPolicy::PreferDualStack { .. } => {
                    let in_order: Vec<_> = order
                        .iter()
                        .copied()
                        .filter(|it| families.contains(it))
                        .collect();
                    assert_eq!(families, in_order);
                    assert!(!families.is_empty());
                }
                _ => assert_eq!(families, order, "both or neither, in order"),
            }
            if !request.addresses.is_empty() {
                assert!(
                    request
                        .addresses
                        .iter()
                        .all(|wanted| addresses.contains(wanted))
                );
            }
            if let Some(pool) = &request.pool {
                assert!(allocations.iter().all(|it| it.pool.as_ref() == Some(pool)));
            }
        }
    }

    /// What holds whenever nobody's turn is left.
    pub(crate) fn check(&mut self) {
        for (service, request) in &self.requests {
            let decision = &self.decisions[service];
            // Nobody was forgotten: who asks again hears the same.
            let again = self.allocator.clone().request(request, self.now);
            assert_eq!(&again, decision, "{service} should have been called");
            if let Some(refusal) = decision.refusal().filter(|_| moves(decision)) {
                assert!(
                    !self.is_possible(request),
                    "{service} is refused, but could be served: {refusal}"
                );
            }
        }
        for pool in &self.pools {
            for family in IpFamily::ALL {
                self.check_counters(pool, family);
            }
        }
    }

    fn check_counters(&self, pool: &Pool, family: IpFamily) {
        let given: Vec<IpAddr> = addresses(pool)
            .into_iter()
            .filter(|&address| IpFamily::of(address) == family)
            .filter(|&address| {
                self.giver(address)
                    .is_some_and(|it| it.name() == pool.name())
            })
            .collect();
        let count = |is: &dyn Fn(IpAddr) -> bool| {
            i64::try_from(given.iter().filter(|&&address| is(address)).count()).expect("few")
        };
        let rests = |address| {
            self.allocator
                .resting(self.now)
                .iter()
                .any(|it| it.address == address)
        };
        let used = |address| self.allocator.users(address).next().is_some();
        let counters = self.allocator.counters(pool.name(), family);
        assert_eq!(counters.total, count(&|_| true));
        assert_eq!(counters.assigned, count(&used));
        assert_eq!(counters.resting, count(&rests));
        assert_eq!(counters.available, count(&|it| !used(it) && !rests(it)));
    }

    /// A controller that knows nothing but the pools, what the API holds, and what rests.
    fn restart(&mut self) {
        let found = self
            .requests
            .iter()
            .map(|(service, request)| Found {
                service: service.clone(),
                created: request.created,
                sharing: request.sharing.clone(),
                addresses: self.allocator.allocations(service).to_vec(),
            })
            .collect();
        let resting = self.allocator.resting(self.now);
        let before = self.everything();
        self.allocator = Allocator::new(1);
        self.allocator.set_pools(self.pools.clone(), self.now);
        assert_eq!(self.allocator.adopt(found, self.now), []);
        self.allocator.rest(resting.clone(), self.now);
        assert_eq!(self.allocator.resting(self.now), resting);
        let services: Vec<ServiceName> = self.requests.keys().cloned().collect();
        for service in services {
            let old = self.decisions[&service].clone();
            self.decide(&service);
            assert_eq!(
                self.decisions[&service], old,
                "a restart changed the decision"
            );
        }
        assert_eq!(self.everything(), before, "a restart moved an address");
    }

    fn everything(&self) -> Vec<(ServiceName, Vec<Allocation>)> {
        let services = self.requests.keys();
        services
            .map(|it| (it.clone(), self.allocator.allocations(it).to_vec()))
            .collect()
    }

    /// The pool that gives `address`: the oldest that offers it, unless it avoids it.
    fn giver(&self, address: IpAddr) -> Option<&Pool> {
        let pool = self
            .pools
            .iter()
            .find(|it| it.offered().contains(address))?;
        pool.gives(address).is_ok().then_some(pool)
    }

    /// A Service that cannot share `address` with this one.
    fn conflict(&self, address: IpAddr, request: &Request) -> Option<&ServiceName> {
        self.allocator.users(address).find(|&user| {
            *user != request.service
                && self.requests[user]
                    .sharing
                    .compatible(&request.sharing)
                    .is_err()
        })
    }

    fn rests_for_others(&self, address: IpAddr, request: &Request) -> bool {
        self.allocator
            .resting(self.now)
            .iter()
            .any(|it| it.address == address && it.last_user != request.service)
    }

    fn is_available(&self, address: IpAddr, request: &Request) -> bool {
        let is_own = self
            .allocator
            .users(address)
            .any(|user| *user == request.service);
        self.conflict(address, request).is_none()
            && !self.rests_for_others(address, request)
            && !(is_own && request.reallocate)
    }

    /// Whether the Service could get all that it asks for.
    fn is_possible(&self, request: &Request) -> bool {
        let names_other = |pool: &PoolName| request.pool.as_ref().is_some_and(|it| it != pool);
        if !request.addresses.is_empty() {
            let mut families: Vec<_> = request
                .addresses
                .iter()
                .map(|&it| IpFamily::of(it))
                .collect();
            families.sort_unstable();
            let mut wanted = request.families.families();
            wanted.sort_unstable();
            let givers: Vec<_> = request.addresses.iter().map(|&it| self.giver(it)).collect();
            return families == wanted
                && givers.iter().all(|giver| {
                    giver.is_some_and(|pool| {
                        Some(pool.name()) == givers[0].map(Pool::name)
                            && permits(pool, request)
                            && !names_other(pool.name())
                    })
                })
                && request.addresses.iter().all(|&it| {
                    self.conflict(it, request).is_none() && !self.rests_for_others(it, request)
                });
        }
        self.pools.iter().any(|pool| {
            let automatic = request.pool.is_none() && pool.auto_assign();
            let named = request.pool.as_ref() == Some(pool.name());
            let has = |family: IpFamily| {
                addresses(pool).into_iter().any(|address| {
                    IpFamily::of(address) == family
                        && self
                            .giver(address)
                            .is_some_and(|it| it.name() == pool.name())
                        && self.is_available(address, request)
                })
            };
            let families = request.families.families();
            (automatic || named)
                && permits(pool, request)
                && match request.families {
                    // Nobody is moved to less than it has.
                    FamilyPolicy::PreferDualStack { .. } => {
                        let had = self.allocator.allocations(&request.service).len();
                        let least = if request.reallocate { had } else { 1 };
                        families.into_iter().filter(|&it| has(it)).count() >= least.max(1)
                    }
                    _ => families.into_iter().all(has),
                }
        })
    }
}

/// Whether the Service waits for something else than it has.
fn moves(decision: &Decision) -> bool {
    match decision {
        Decision::Allocated { .. } => false,
        Decision::Kept { outlook, .. } => *outlook == Outlook::MovesWhenPossible,
        Decision::Waiting { .. } => true,
    }
}

fn permits(pool: &Pool, request: &Request) -> bool {
    pool.service_allocation().is_none_or(|allocation| {
        allocation
            .permits(
                &request.service.namespace,
                &request.namespace_labels,
                &request.labels,
            )
            .is_ok()
    })
}

/// Every address of a small pool.
fn addresses(pool: &Pool) -> Vec<IpAddr> {
    let each = |range: AddressRange| {
        let mut addresses = Vec::new();
        let mut next = Some(range.first());
        while let Some(address) = next.filter(|it| *it <= range.last()) {
            addresses.push(address);
            next = match address {
                IpAddr::V4(it) => it.to_bits().checked_add(1).map(|it| IpAddr::V4(it.into())),
                IpAddr::V6(it) => it.to_bits().checked_add(1).map(|it| IpAddr::V6(it.into())),
            };
        }
        addresses
    };
    pool.addresses().ranges().flat_map(each).collect()
}
