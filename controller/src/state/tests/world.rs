//! One controller at an API server that keeps facts, and what happens to both.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::allocator::FamilyPolicy;
use bellwether_core::moment::Moment;
use bellwether_core::name::{NodeName, ServiceName};
use bellwether_core::placement::NodeLink;
use bellwether_core::pool::{Pool, PoolSpec};
use bellwether_core::range::IpFamily;
use bellwether_core::sharing::{Backend, SharingTerms};
use bellwether_crds::l2advertisement::L2AdvertisementSpec;
use bellwether_daemon::call::CallError;
use bellwether_daemon::watch::{Event, Key};
use k8s_openapi::jiff::Timestamp;

use super::server::Server;
use crate::facts::advertisement::Rules;
use crate::facts::service::Wish;
use crate::facts::{
    AdvertisementFacts, ClaimFacts, NamespaceFacts, NodeFacts, PoolFacts, Reallocation,
    ServiceFacts, SliceFacts, Version,
};
use crate::state::{Input, Settings, State};

/// One controller at a server.
pub(super) struct World {
    pub(super) server: Rc<RefCell<Server>>,
    pub(super) settings: Settings,
    pub(super) state: State,
    pub(super) now: Moment,
    pub(super) events: Vec<String>,
    /// So many of the next writes are refused, because the object has changed.
    pub(super) conflict_next: usize,
    /// What comes of the next writes: an error, and whether the write took effect all the same.
    pub(super) failures: VecDeque<(CallError, bool)>,
    /// The first write whose name begins so fails like this.
    pub(super) fail_first: Option<(&'static str, CallError)>,
    /// Writes whose name begins so never succeed.
    pub(super) unwritable: Option<&'static str>,
}

fn key(name: &ServiceName) -> Key {
    Key {
        namespace: name.namespace.to_string(),
        name: name.name.to_string(),
    }
}

pub(super) fn named(name: &str) -> ServiceName {
    ServiceName::new("default", name)
}

impl World {
    pub(super) fn new() -> Self {
        Self::at(Rc::default())
    }

    fn at(server: Rc<RefCell<Server>>) -> Self {
        let mut world = Self {
            server,
            settings: Settings::default(),
            state: State::new(Settings::default(), 1),
            now: Moment::ORIGIN,
            events: Vec::new(),
            conflict_next: 0,
            failures: VecDeque::new(),
            fail_first: None,
            unwritable: None,
        };
        world.list_everything();
        world
    }

    /// Another controller at the same server, which thinks that it leads too.
    pub(super) fn rival(&self) -> Self {
        Self::at(Rc::clone(&self.server))
    }

    /// The controller starts anew.
    pub(super) fn restart(&mut self) {
        self.restart_unled_since(None);
    }

    /// The controller starts anew, and nobody has led since then.
    pub(super) fn restart_unled_since(&mut self, renewed: Option<Timestamp>) {
        self.state = State::new(self.settings.clone(), 2).unled_since(renewed);
        self.list_everything();
    }

    pub(super) fn handle(&mut self, input: Input) {
        self.state.handle(input, self.now);
    }

    /// The controller starts anew, and hears of one kind after all others: the `last` of eight.
    pub(super) fn restart_and_hear_last(&mut self, last: usize) {
        self.state = State::new(self.settings.clone(), 2);
        self.list_in_turn(last + 1);
    }

    /// Every watch lists anew.
    pub(super) fn list_everything(&mut self) {
        self.list_in_turn(0);
    }

    /// Every watch lists anew, beginning with the `first` of eight.
    fn list_in_turn(&mut self, first: usize) {
        fn listed<T: Clone, K>(map: &BTreeMap<K, T>) -> Event<T> {
            Event::Listed {
                objects: map.values().cloned().collect(),
                undecodable: Vec::new(),
            }
        }
        let mut inputs = {
            let server = self.server.borrow();
            let namespace = NamespaceFacts {
                name: "default".to_owned(),
                labels: Arc::default(),
            };
            [
                Input::Service(listed(&server.services)),
                Input::Namespace(listed(&BTreeMap::from([((), namespace)]))),
                Input::Node(listed(&server.nodes)),
                Input::Slice(listed(&server.slices)),
                Input::Pool(listed(&server.pools)),
                Input::Advertisement(listed(&server.advertisements)),
                Input::Announcement(listed(&server.announcements)),
                Input::Speaker(listed(&server.speakers)),
            ]
        };
        let kinds = inputs.len();
        inputs.rotate_left(first % kinds);
        for input in inputs {
            self.handle(input);
        }
    }

    pub(super) fn pool(&mut self, name: &str, addresses: &[&str]) {
        self.pool_with(name, addresses, |_| {});
    }

    pub(super) fn pool_with(
        &mut self,
        name: &str,
        addresses: &[&str],
        change: impl FnOnce(&mut PoolSpec),
    ) {
        let mut server = self.server.borrow_mut();
        let version = server.version(name);
        let known = server.pools.get(name);
        let mut spec = PoolSpec::new(name, addresses);
        spec.created = known.map_or(server.clock, |known| {
            known.pool.as_ref().map_or(0, |pool| pool.age().0)
        });
        change(&mut spec);
        let facts = PoolFacts {
            name: name.into(),
            version,
            labels: Arc::default(),
            pool: Pool::try_from(spec).map(Arc::new),
            status: known.map(|known| known.status.clone()).unwrap_or_default(),
        };
        server.pools.insert(name.to_owned(), facts.clone());
        drop(server);
        self.handle(Input::Pool(Event::Applied(facts)));
    }

    /// An advertisement of all pools by all nodes.
    pub(super) fn advertise(&mut self, name: &str) {
        self.advertise_with(name, &L2AdvertisementSpec::default());
    }

    pub(super) fn advertise_with(&mut self, name: &str, spec: &L2AdvertisementSpec) {
        let mut server = self.server.borrow_mut();
        let facts = AdvertisementFacts {
            name: name.into(),
            version: server.version(name),
            rules: Rules::try_from(spec),
            status: server
                .advertisements
                .get(name)
                .map(|known| known.status.clone())
                .unwrap_or_default(),
        };
        server.advertisements.insert(name.to_owned(), facts.clone());
        drop(server);
        self.handle(Input::Advertisement(Event::Applied(facts)));
    }

    pub(super) fn node(&mut self, name: &str) {
        self.change_node(name, |_| {});
    }

    pub(super) fn change_node(&mut self, name: &str, change: impl FnOnce(&mut NodeFacts)) {
        let mut server = self.server.borrow_mut();
        let mut facts = server
            .nodes
            .get(name)
            .cloned()
            .unwrap_or_else(|| NodeFacts {
                name: name.into(),
                uid: Arc::from(name),
                labels: Arc::default(),
                is_ready: true,
                network_unavailable: false,
                is_cordoned: false,
            });
        change(&mut facts);
        server.nodes.insert(name.to_owned(), facts.clone());
        drop(server);
        self.handle(Input::Node(Event::Applied(facts)));
    }

    pub(super) fn service(&mut self, name: &str) {
        self.change_service(name, |_| {});
    }

    pub(super) fn change_service(&mut self, name: &str, change: impl FnOnce(&mut ServiceFacts)) {
        let mut server = self.server.borrow_mut();
        let version = server.version(name);
        let created = server.clock;
        let known = server.services.get(&named(name)).cloned();
        let mut facts = known.unwrap_or_else(|| ServiceFacts {
            name: named(name),
            version: Version::default(),
            created,
            labels: Arc::default(),
            is_load_balancer: true,
            class: None,
            wish: Ok(Wish {
                families: FamilyPolicy::SingleStack(IpFamily::V4),
                pool: None,
                addresses: Vec::new(),
            }),
            sharing: SharingTerms::alone(),
            reallocation: Reallocation::No,
            backend: Backend::Cluster,
            ingress: Vec::new(),
            ingress_is_foreign: false,
            allocated: None,
            announced: None,
        });
        facts.version = version;
        change(&mut facts);
        server.services.insert(named(name), facts.clone());
        drop(server);
        self.handle(Input::Service(Event::Applied(facts)));
    }

    pub(super) fn delete_service(&mut self, name: &str) {
        self.lose_service(name);
        self.handle(Input::Service(Event::Deleted(key(&named(name)))));
    }

    /// Deletes a Service while nobody watches.
    pub(super) fn lose_service(&mut self, name: &str) {
        self.server.borrow_mut().services.remove(&named(name));
    }

    pub(super) fn endpoints(&mut self, service: &str, ready: &[&str]) {
        let nodes: BTreeSet<NodeName> = ready.iter().map(NodeName::from).collect();
        self.slice(SliceFacts {
            name: named(service),
            service: Some(named(service)),
            ready: nodes.clone(),
            serves: !nodes.is_empty(),
            serving: nodes,
        });
    }

    pub(super) fn slice(&mut self, facts: SliceFacts) {
        self.server
            .borrow_mut()
            .slices
            .insert(facts.name.clone(), facts.clone());
        self.handle(Input::Slice(Event::Applied(facts)));
    }

    /// The speaker of `node` says that it announces every address.
    pub(super) fn announce_all(&mut self, node: &str) {
        let addresses: Vec<IpAddr> = self.server.borrow().announcements.keys().copied().collect();
        for address in addresses {
            let mut server = self.server.borrow_mut();
            let version = server.version(&address.to_string());
            let Some(facts) = server.announcements.get_mut(&address) else {
                continue;
            };
            facts.node = Some(node.into());
            facts.version = version;
            let facts = facts.clone();
            drop(server);
            self.handle(Input::Announcement(Event::Applied(facts)));
        }
    }

    /// The speaker of `node` says that it announces every address from now on, with that claim.
    pub(super) fn claim_all(&mut self, node: &str, claim: &ClaimFacts) {
        for facts in self.server.borrow_mut().announcements.values_mut() {
            facts.claim = claim.clone();
        }
        self.announce_all(node);
    }

    /// The speakers say of every address what there is to say of another host that uses it.
    pub(super) fn dispute_all(&mut self, node: &str, said: Option<&str>) {
        for facts in self.server.borrow_mut().announcements.values_mut() {
            facts.conflict = said.map(str::to_owned);
        }
        self.announce_all(node);
    }

    /// The speaker of `node` says that it has one link, on this network.
    pub(super) fn link(&mut self, node: &str, network: &str) {
        let mut server = self.server.borrow_mut();
        let version = server.version(node);
        let facts = server.speakers.get_mut(&NodeName::from(node));
        let facts = facts.expect("the Speaker");
        facts.version = version;
        facts.links = vec![NodeLink {
            name: "eth0".into(),
            carrier: true,
            networks: vec![network.parse().expect("a network")],
        }];
        let facts = facts.clone();
        drop(server);
        self.handle(Input::Speaker(Event::Applied(facts)));
    }

    /// Writes until there is nothing more to write, and returns what was written.
    pub(super) fn settle(&mut self) -> Vec<String> {
        self.settle_until("nothing is called so")
    }

    /// The same, but stops right after the first write whose name begins so.
    pub(super) fn settle_until(&mut self, last: &str) -> Vec<String> {
        self.settle_by(last, Duration::MAX)
    }

    /// Lets so many seconds pass, and returns what is written meanwhile.
    pub(super) fn settle_for(&mut self, seconds: u64) -> Vec<String> {
        let end = self.now + Duration::from_secs(seconds);
        let written = self.settle_by("nothing is called so", Duration::from_secs(seconds));
        self.now = end;
        written
    }

    fn settle_by(&mut self, last: &str, patience: Duration) -> Vec<String> {
        let start = self.now;
        let mut written = Vec::new();
        for _ in 0..10_000 {
            if let Some(line) = self.step() {
                let is_last = line.starts_with(last);
                written.push(line);
                if is_last {
                    return written;
                }
                continue;
            }
            let deadline = self.state.next_deadline();
            let Some(deadline) = deadline.filter(|at| at.since(start) <= patience) else {
                return written;
            };
            self.now = deadline.max(self.now + Duration::from_millis(1));
            self.state.on_deadline(self.now);
        }
        panic!("it is never quiet: {:?}", &written[written.len() - 20..]);
    }

    /// One write, if there is one.
    pub(super) fn step(&mut self) -> Option<String> {
        let (target, change) = self.state.poll_output(Timestamp::UNIX_EPOCH)?;
        let line = format!("{change:?}");
        let result = if self.conflict_next > 0 {
            self.conflict_next -= 1;
            Err(CallError::Conflict("as wished".to_owned()))
        } else if let Some((_, error)) =
            (self.fail_first).take_if(|(kind, _)| line.starts_with(*kind))
        {
            Err(error)
        } else if self.unwritable.is_some_and(|kind| line.starts_with(kind)) {
            Err(CallError::Unavailable("as wished".to_owned()))
        } else if let Some((error, takes_effect)) = self.failures.pop_front() {
            if takes_effect {
                // The answer is what gets lost.
                let mut server = self.server.borrow_mut();
                let _lost = server.write(&target, change, &mut self.events);
            }
            Err(error)
        } else {
            self.server
                .borrow_mut()
                .write(&target, change, &mut self.events)
        };
        self.handle(Input::Written { target, result });
        Some(line)
    }

    /// The advertisements and the nodes that the only Announcement names.
    pub(super) fn announcement(&self) -> (Vec<String>, Option<Vec<String>>) {
        let server = self.server.borrow();
        let mut all = server.announcements.values();
        let spec = &all.next().expect("an Announcement").spec;
        assert_eq!(all.next(), None, "there is more than one");
        (spec.advertisements.clone(), spec.only_nodes.clone())
    }

    /// The addresses that each Service shows.
    pub(super) fn addresses(&self) -> BTreeMap<String, Vec<IpAddr>> {
        let server = self.server.borrow();
        let services = server.services.values();
        services
            .map(|service| (service.name.name.to_string(), service.ingress.clone()))
            .collect()
    }

    pub(super) fn announced_addresses(&self) -> Vec<IpAddr> {
        self.server.borrow().announcements.keys().copied().collect()
    }

    /// The reasons of the two conditions of a Service.
    pub(super) fn conditions(&self, service: &str) -> Vec<String> {
        let server = self.server.borrow();
        let facts = &server.services[&named(service)];
        let conditions = [&facts.allocated, &facts.announced];
        conditions
            .into_iter()
            .flatten()
            .map(|condition| condition.reason.clone())
            .collect()
    }

    /// How many addresses an advertisement says that it serves.
    pub(super) fn served(&self, advertisement: &str) -> i64 {
        let server = self.server.borrow();
        server.advertisements[advertisement].status.addresses
    }

    pub(super) fn asks_to_be_moved(&self, service: &str) -> bool {
        let service = &self.server.borrow().services[&named(service)];
        service.reallocation != Reallocation::No
    }

    pub(super) fn pool_reasons(&self, pool: &str) -> Vec<String> {
        let server = self.server.borrow();
        let conditions = &server.pools[pool].status.conditions;
        conditions
            .iter()
            .map(|condition| condition.reason.clone())
            .collect()
    }

    pub(super) fn pool_message(&self, pool: &str, kind: &str) -> String {
        let server = self.server.borrow();
        let conditions = &server.pools[pool].status.conditions;
        let found = conditions.iter().find(|condition| condition.type_ == kind);
        found.expect("the condition").message.clone()
    }

    /// Total, assigned, available and resting IPv4 addresses.
    pub(super) fn pool_numbers(&self, pool: &str) -> [i64; 4] {
        let status = &self.server.borrow().pools[pool].status;
        [
            status.total_ipv4,
            status.assigned_ipv4,
            status.available_ipv4,
            status.resting_ipv4,
        ]
    }

    pub(super) fn reason_of_speaker(&self, node: &str) -> Option<String> {
        self.server.borrow().speakers[&NodeName::from(node)]
            .spec
            .reason
            .clone()
    }
}

/// Two controllers write in turns, `order` says who; each hears of the other's writes only now and
/// then. In the end both see everything.
pub(super) fn settle_both(first: &mut World, second: &mut World, order: &[bool]) {
    for &is_first in order {
        let world = if is_first { &mut *first } else { &mut *second };
        if world.step().is_none() {
            world.list_everything();
        }
    }
    for _ in 0..5 {
        for world in [&mut *first, &mut *second] {
            world.list_everything();
            world.settle();
        }
    }
}
