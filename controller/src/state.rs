//! All that the controller knows, and what follows from it.
//!
//! [`State`] is told what there is ([`Input`]) and says what to write ([`Change`]). It is
//! level-triggered: whatever may have been affected by an input is looked at anew, what should be is
//! compared with what is, and the difference is a change. At rest there is none. It does no IO and
//! reads no clock.
//!
//! Each kind of object that is written has a file of its own, which says what it should look like:
//! `services`, `announcements`, `advertisements`, `pools`, `speakers`. What an input affects is in
//! `intake`; what is looked at next, in `schedule`.
//!
//! Nothing is written before every kind has been listed and every address that Services have has
//! been adopted.

mod advertisements;
mod announcements;
pub mod explain;
mod grace;
mod intake;
mod notes;
pub mod plan;
mod pools;
mod rests;
mod schedule;
mod services;
mod speakers;
pub mod tally;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::allocator::{Allocator, Decision};
use bellwether_core::few::Few;
use bellwether_core::moment::Moment;
use bellwether_core::name::{AdvertisementName, NodeName, PoolName, ServiceName};
use bellwether_core::pool::Pool;
use bellwether_daemon::call::CallError;
use bellwether_daemon::watch::Event;
use k8s_openapi::jiff::Timestamp;

use crate::change::{Change, Note, Written};
use crate::facts::{
    AdvertisementFacts, AnnouncementFacts, NamespaceFacts, NodeFacts, PoolFacts, ServiceFacts,
    SliceFacts, SpeakerFacts, Target,
};
use crate::reason::Problem;
use grace::Grace;
use rests::Anchor;
use schedule::Schedule;
use tally::Tally;

/// Counters of pools and advertisements are written at most this often.
const PACE: Duration = Duration::from_secs(1);

/// What the operator has set.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The class of the Services that are ours; without it, those that have none.
    pub class: Option<String>,
    /// Whether Services without a class are ours too.
    pub is_default_class: bool,
    /// Whether cordoned nodes may announce.
    pub cordoned_may_announce: bool,
}

impl Settings {
    /// Whether Services of this class are ours (`spec.loadBalancerClass`).
    #[must_use]
    pub fn serves(&self, class: Option<&str>) -> bool {
        class == self.class.as_deref() || (class.is_none() && self.is_default_class)
    }
}

/// What the state is told.
#[derive(Clone, Debug)]
pub enum Input {
    /// Of Services.
    Service(Event<ServiceFacts>),
    /// Of Namespaces.
    Namespace(Event<NamespaceFacts>),
    /// Of Nodes.
    Node(Event<NodeFacts>),
    /// Of EndpointSlices.
    Slice(Event<SliceFacts>),
    /// Of IPAddressPools.
    Pool(Event<PoolFacts>),
    /// Of L2Advertisements.
    Advertisement(Event<AdvertisementFacts>),
    /// Of Announcements.
    Announcement(Event<AnnouncementFacts>),
    /// Of Speakers.
    Speaker(Event<SpeakerFacts>),
    /// A write has ended.
    Written {
        /// What was written.
        target: Target,
        /// What came of it.
        result: Result<Written, CallError>,
    },
}

/// The kinds that must have been listed before anything is decided.
const KINDS: [&str; 8] = [
    "services",
    "namespaces",
    "nodes",
    "endpointslices",
    "ipaddresspools",
    "l2advertisements",
    "announcements",
    "speakers",
];

/// All that the controller knows.
pub struct State {
    settings: Settings,
    services: BTreeMap<ServiceName, Box<ServiceFacts>>,
    namespaces: BTreeMap<String, Box<NamespaceFacts>>,
    nodes: BTreeMap<NodeName, Box<NodeFacts>>,
    slices: BTreeMap<ServiceName, Box<SliceFacts>>,
    /// The slices of each Service, by the slices' names.
    slices_of: BTreeMap<ServiceName, BTreeSet<ServiceName>>,
    pools: BTreeMap<PoolName, Box<PoolFacts>>,
    /// The last version of each pool that made sense.
    usable_pools: BTreeMap<PoolName, Arc<Pool>>,
    advertisements: BTreeMap<AdvertisementName, Box<AdvertisementFacts>>,
    announcements: BTreeMap<IpAddr, Box<AnnouncementFacts>>,
    /// The addresses whose Announcements are for a Service.
    reserved: BTreeMap<ServiceName, Few<IpAddr>>,
    speakers: BTreeMap<NodeName, Box<SpeakerFacts>>,
    allocator: Allocator,
    /// What was decided last for each Service of ours.
    decisions: BTreeMap<ServiceName, Result<Decision, Problem>>,
    /// Which Services show an address in their status.
    shown_by: BTreeMap<IpAddr, Few<ServiceName>>,
    /// Addresses whose Announcement somebody else created first.
    contested: BTreeSet<IpAddr>,
    grace: Grace,
    /// What is still to be told of addresses that have moved.
    notes: BTreeMap<ServiceName, Vec<Note>>,
    /// Another leader renewed its Lease last then: up to about then it has told of what moved.
    unled_since: Option<Timestamp>,
    anchor: Anchor,
    schedule: Schedule,
    tally: Tally,
    not_listed: BTreeSet<&'static str>,
    /// Whether all that Services have is in the books.
    is_adopted: bool,
}

impl State {
    /// A state that knows nothing yet. `seed` is for pools with the strategy Random.
    #[must_use]
    pub fn new(settings: Settings, seed: u64) -> Self {
        Self {
            settings,
            services: BTreeMap::new(),
            namespaces: BTreeMap::new(),
            nodes: BTreeMap::new(),
            slices: BTreeMap::new(),
            slices_of: BTreeMap::new(),
            pools: BTreeMap::new(),
            usable_pools: BTreeMap::new(),
            advertisements: BTreeMap::new(),
            announcements: BTreeMap::new(),
            reserved: BTreeMap::new(),
            speakers: BTreeMap::new(),
            allocator: Allocator::new(seed),
            decisions: BTreeMap::new(),
            shown_by: BTreeMap::new(),
            contested: BTreeSet::new(),
            grace: Grace::default(),
            notes: BTreeMap::new(),
            unled_since: None,
            anchor: Anchor::default(),
            schedule: Schedule::default(),
            tally: Tally::default(),
            not_listed: BTreeSet::from(KINDS),
            is_adopted: false,
        }
    }

    /// The same state, told what time of day it is `now`. Without it, the clocks began at 1970.
    #[must_use]
    pub const fn at(mut self, now: Moment, wall: Timestamp) -> Self {
        self.anchor = Anchor { now, wall };
        self
    }

    /// The same state, told until when another leader has told of what moved.
    #[must_use]
    pub const fn unled_since(mut self, renewed: Option<Timestamp>) -> Self {
        self.unled_since = renewed;
        self
    }

    /// Whether every kind has been listed, and all that Services have was taken into the books, so
    /// that decisions are made.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.is_adopted
    }

    /// The kinds that have not been listed yet.
    pub fn not_listed(&self) -> impl Iterator<Item = &'static str> {
        self.not_listed.iter().copied()
    }

    /// How many objects wait to be looked at.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.schedule.len()
    }

    /// How many Services have been decided on, and how many of them wait for an address.
    #[must_use]
    pub fn services(&self) -> (usize, usize) {
        (self.decisions.len(), self.allocator.waiting().count())
    }

    /// Takes note of what has happened.
    pub fn handle(&mut self, input: Input, now: Moment) {
        self.end_rests(now);
        match input {
            Input::Service(event) => self.on_services(event, now),
            Input::Namespace(event) => self.on_namespaces(event, now),
            Input::Node(event) => self.on_nodes(event, now),
            Input::Slice(event) => self.on_slices(event),
            Input::Pool(event) => self.on_pools(event, now),
            Input::Advertisement(event) => self.on_advertisements(event),
            Input::Announcement(event) => self.on_announcements(event, now),
            Input::Speaker(event) => self.on_speakers(event),
            Input::Written { target, result } => self.on_written(target, result, now),
        }
        // Not before the whole list is taken note of: what decides on the first of its objects
        // would not know yet what the others have.
        if !self.is_adopted && self.not_listed.is_empty() {
            self.adopt(now);
        }
    }

    /// The next thing to write. `wall` is the time of day, for conditions that change.
    pub fn poll_output(&mut self, wall: Timestamp) -> Option<(Target, Change)> {
        if !self.is_complete() {
            return None;
        }
        while let Some(target) = self.schedule.next() {
            let change = match &target {
                Target::Speaker(node) => self.speaker_change(node),
                Target::Advertisement(name) => self.advertisement_change(name, wall),
                Target::Announcement(address) => self.announcement_change(*address),
                Target::Service(service) => self.service_change(service, wall),
                Target::Pool(pool) => {
                    self.tally.pools.insert(pool.clone());
                    self.pool_change(pool, wall)
                }
                Target::Notes(service) => self.notes_change(service),
            };
            if let Some(change) = change {
                self.schedule.begin(target.clone());
                return Some((target, change));
            }
        }
        None
    }

    /// When [`State::on_deadline`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Moment> {
        [
            self.schedule.next_deadline(),
            self.allocator.next_deadline(),
            self.next_end_of_grace(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Does what was put off until now.
    pub fn on_deadline(&mut self, now: Moment) {
        self.schedule.on_deadline(now);
        self.end_rests(now);
        self.end_graces(now);
    }
}
