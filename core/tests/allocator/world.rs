//! A small language for the tests: pools, Services, and what is decided, as text.

use std::net::IpAddr;
use std::sync::Arc;

use bellwether_core::allocator::{
    Allocation, Allocator, Decision, FamilyPolicy, Found, Outlook, Output, Request,
};
use bellwether_core::labels::Labels;
use bellwether_core::moment::Moment;
use bellwether_core::name::ServiceName;
use bellwether_core::pool::{Pool, PoolSpec, ServiceAllocationSpec, Strategy};
use bellwether_core::range::IpFamily;
use bellwether_core::selector::SelectorSpec;
use bellwether_core::sharing::{Backend, Port, Protocol, SharingKey};

pub(crate) const V4: FamilyPolicy = FamilyPolicy::SingleStack(IpFamily::V4);
pub(crate) const V6: FamilyPolicy = FamilyPolicy::SingleStack(IpFamily::V6);
pub(crate) const PREFER_V4: FamilyPolicy = FamilyPolicy::PreferDualStack {
    primary: IpFamily::V4,
};
pub(crate) const PREFER_V6: FamilyPolicy = FamilyPolicy::PreferDualStack {
    primary: IpFamily::V6,
};
pub(crate) const REQUIRE_V4: FamilyPolicy = FamilyPolicy::RequireDualStack {
    primary: IpFamily::V4,
};
pub(crate) const REQUIRE_V6: FamilyPolicy = FamilyPolicy::RequireDualStack {
    primary: IpFamily::V6,
};

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

pub(crate) fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs
        .iter()
        .map(|&(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

pub(crate) fn selector(pairs: &[(&str, &str)]) -> SelectorSpec {
    SelectorSpec {
        match_labels: labels(pairs).into(),
        ..SelectorSpec::default()
    }
}

/// A pool that gives its lowest free address, so that the tests can tell which.
pub(crate) fn pool(name: &str, addresses: &[&str]) -> PoolSpec {
    PoolSpec {
        strategy: Strategy::First,
        ..PoolSpec::new(name, addresses)
    }
}

/// The pool, for those only who ask for it.
pub(crate) fn by_hand(spec: PoolSpec) -> PoolSpec {
    PoolSpec {
        auto_assign: false,
        ..spec
    }
}

/// The pool, for what `allocation` says only.
pub(crate) fn pinned(spec: PoolSpec, allocation: ServiceAllocationSpec) -> PoolSpec {
    PoolSpec {
        service_allocation: Some(allocation),
        ..spec
    }
}

/// For Services of `namespace`, tried with `priority`.
pub(crate) fn to_namespace(namespace: &str, priority: u32) -> ServiceAllocationSpec {
    ServiceAllocationSpec {
        priority,
        namespaces: vec![namespace.to_owned()],
        ..ServiceAllocationSpec::default()
    }
}

/// The Service `name` in the namespace shop, with one IPv4 address.
pub(crate) fn service(name: &str) -> Ask {
    let service = ServiceName::new("shop", name);
    Ask(Request::new(service, V4))
}

/// What a Service asks for.
#[derive(Clone, Debug)]
pub(crate) struct Ask(pub(crate) Request);

impl Ask {
    pub(crate) fn in_namespace(mut self, namespace: &str) -> Self {
        self.0.service = ServiceName::new(namespace, &self.0.service.name);
        self
    }
    pub(crate) fn of_namespace_with(mut self, pairs: &[(&str, &str)]) -> Self {
        self.0.namespace_labels = Arc::new(labels(pairs));
        self
    }
    pub(crate) fn with_labels(mut self, pairs: &[(&str, &str)]) -> Self {
        self.0.labels = Arc::new(labels(pairs));
        self
    }
    pub(crate) fn created(mut self, created: i64) -> Self {
        self.0.created = created;
        self
    }
    pub(crate) fn families(mut self, families: FamilyPolicy) -> Self {
        self.0.families = families;
        self
    }
    pub(crate) fn from(mut self, pool: &str) -> Self {
        self.0.pool = Some(pool.into());
        self
    }
    pub(crate) fn wants(mut self, addresses: &[&str]) -> Self {
        self.0.addresses = addresses.iter().map(|&text| ip(text)).collect();
        self
    }
    pub(crate) fn key(mut self, key: &str) -> Self {
        self.0.sharing.key = SharingKey::new(key);
        self
    }
    pub(crate) fn port(mut self, number: u16) -> Self {
        let protocol = Protocol::Tcp;
        self.0.sharing.ports.insert(Port { protocol, number });
        self
    }
    pub(crate) fn local(mut self, app: &str) -> Self {
        let selector = Arc::new(labels(&[("app", app)]));
        self.0.sharing.backend = Backend::Local { selector };
        self
    }
    pub(crate) fn reallocate(mut self, reallocate: bool) -> Self {
        self.0.reallocate = reallocate;
        self
    }
    /// The Service as it is found with these addresses in its status; `ADDRESS@POOL` if an
    /// Announcement names the pool.
    pub(crate) fn found(&self, addresses: &[&str]) -> Found {
        Found {
            service: self.0.service.clone(),
            created: self.0.created,
            sharing: self.0.sharing.clone(),
            addresses: addresses
                .iter()
                .map(|text| match text.split_once('@') {
                    Some((address, pool)) => Allocation {
                        address: ip(address),
                        pool: Some(pool.into()),
                    },
                    None => Allocation {
                        address: ip(text),
                        pool: None,
                    },
                })
                .collect(),
        }
    }
}

/// An allocator and the time.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) allocator: Allocator,
    pub(crate) now: Moment,
}

impl World {
    pub(crate) fn with(pools: &[PoolSpec]) -> Self {
        let mut world = Self {
            allocator: Allocator::new(7),
            now: Moment::from_millis(1_000_000),
        };
        world.pools(pools);
        world
    }

    /// Replaces all pools.
    pub(crate) fn pools(&mut self, pools: &[PoolSpec]) {
        let pools = pools
            .iter()
            .map(|spec| Arc::new(Pool::try_from(spec.clone()).expect("a pool that makes sense")))
            .collect();
        self.allocator.set_pools(pools, self.now);
    }

    /// Decides twice: what is decided twice in a row must be the same, or something is written
    /// again and again.
    pub(crate) fn decide(&mut self, ask: &Ask) -> Decision {
        let first = self.allocator.request(&ask.0, self.now);
        let second = self.allocator.request(&ask.0, self.now);
        assert_eq!(first, second, "a decision that is asked again is the same");
        second
    }

    /// What is decided, as text.
    pub(crate) fn ask(&mut self, ask: &Ask) -> String {
        say(&self.decide(ask))
    }

    pub(crate) fn release(&mut self, name: &str) {
        let service = ServiceName::new("shop", name);
        self.allocator.release(&service, self.now);
    }

    /// Takes `found` into the books; says what was lost as `name: address Reason`.
    pub(crate) fn adopt(&mut self, found: Vec<Found>) -> Vec<String> {
        self.allocator
            .adopt(found, self.now)
            .into_iter()
            .map(|lost| {
                let reason = lost.refusal.reason();
                format!("{}: {} {reason}", lost.service.name, lost.address)
            })
            .collect()
    }

    /// The names of those whose turn it is, in order.
    pub(crate) fn turns(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.allocator.poll_output())
            .map(|Output::Reconsider(service)| service.name.to_string())
            .collect()
    }

    /// Decides for those whose turn it is, as the controller does, until it is nobody's turn.
    pub(crate) fn settle(&mut self, asks: &[Ask]) -> Vec<String> {
        let mut changed = Vec::new();
        while let Some(Output::Reconsider(service)) = self.allocator.poll_output() {
            let ask = asks.iter().find(|ask| ask.0.service == service);
            if let Some(ask) = ask {
                changed.push(format!("{}: {}", service.name, self.ask(ask)));
            }
        }
        changed
    }

    /// The addresses of a Service of the namespace shop.
    pub(crate) fn addresses(&self, name: &str) -> Vec<IpAddr> {
        self.allocator
            .allocations(&ServiceName::new("shop", name))
            .iter()
            .map(|allocation| allocation.address)
            .collect()
    }
}

/// A decision as text: `192.0.2.1@blue`, `192.0.2.1@blue (degraded: Exhausted)`,
/// `keeps 192.0.2.1@blue: PoolNotFound` (with `, stays` if it does not move by itself),
/// `waits: Exhausted`.
pub(crate) fn say(decision: &Decision) -> String {
    let addresses: Vec<String> = decision
        .addresses()
        .iter()
        .map(|Allocation { address, pool }| match pool {
            Some(pool) => format!("{address}@{pool}"),
            None => format!("{address}@?"),
        })
        .collect();
    let addresses = addresses.join(" ");
    match decision {
        Decision::Allocated { degraded: None, .. } => addresses,
        Decision::Allocated {
            degraded: Some(refusal),
            ..
        } => format!("{addresses} (degraded: {})", refusal.reason()),
        Decision::Kept {
            refusal, outlook, ..
        } => {
            let stays = match outlook {
                Outlook::MovesWhenPossible => "",
                Outlook::StaysUntilReallocated => ", stays",
            };
            format!("keeps {addresses}: {}{stays}", refusal.reason())
        }
        Decision::Waiting { refusal } => format!("waits: {}", refusal.reason()),
    }
}
