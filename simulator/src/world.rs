//! The run itself: nodes, network, hosts and the API, event by event.

use std::collections::BTreeSet;

use bellwether_core::election::Assignment;
use bellwether_core::mutation::Mutation;
use bellwether_core::name::NodeName;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use crate::history::{Event, Time, What};
use crate::host::{self, Host};
use crate::network::Network;
use crate::node::{Arrived, Node};
use crate::plan::{Fault, Plan};
use crate::queue::Queue;

mod api;
mod faults;
mod keys;
mod speakers;
mod stations;
mod tape;
mod wire;

use keys::Keys;
use stations::HOST_INTERVAL;
use tape::Tape;

const MILLISECOND: Time = 1_000_000;
const SECOND: Time = 1000 * MILLISECOND;

/// So much is scheduled and noted in a simulated second at most. In a run with more of it something
/// calls for itself again and again, until the memory is used up.
const MOST_PER_SECOND: u64 = 1_000_000;

/// Kinds of hosts; the first is the gateway, if there is one.
const HOSTS: [host::Kind; 4] = [
    host::Kind::Router,
    host::Kind::Linux,
    host::Kind::Windows,
    host::Kind::Bsd,
];

#[derive(Debug)]
enum Next {
    Begin(usize),
    End(usize),
    Turn(usize, u64),
    Arrive(usize, Arrived),
    Ask(usize),
    /// A node learns who may announce an address, as of that version.
    Learn(usize, usize, u64),
    /// A claim is recorded.
    Record(usize, usize, u64),
    Start(usize),
    /// A node is told all addresses again, if it is still the same start of its speaker.
    Relist(usize, u64),
    /// A node learns an older state of an address again.
    Relearn(usize, usize, u64),
    /// The next sweep of an exchange of keys is due; so many are left after it.
    Sweep(u32),
    /// A node learns the keys.
    Rekey(usize),
    /// A beacon that was sent before is sent again.
    Replay,
    /// It arrives.
    Replayed(usize, Arrived),
}

/// The place of a node: its speaker, if one runs, and what outlives it.
struct Place {
    name: NodeName,
    node: Option<Node>,
    paused_at: Option<Time>,
    turn_at: Option<Time>,
    /// A loop that is late does not run before.
    away_until: Time,
    generation: u64,
    starts: u64,
    mac: u8,
    late: u64,
    answering: bool,
    /// How far it has come in the exchanges of keys.
    keys: usize,
}

/// An address as the API has it.
struct Known {
    excluded: u32,
    /// Those who may announce it, as it was told last.
    candidates: Option<u32>,
    assigned: bool,
    move_to: Option<usize>,
    recorded: Option<(usize, u64)>,
    version: u64,
    /// What there was to be told of it, by version; the first of them is 1.
    past: Vec<Option<Assignment>>,
    stranger: bool,
}

/// A run.
pub struct World<'a> {
    plan: &'a Plan,
    mutation: Option<Mutation>,
    rng: Xoshiro256PlusPlus,
    now: Time,
    queue: Queue<Next>,
    /// How much had happened when the second began.
    happened_before: u64,
    places: Vec<Place>,
    hosts: Vec<Host>,
    network: Network,
    api: Vec<Known>,
    active: BTreeSet<usize>,
    history: Vec<Event>,
    hearing: Vec<u32>,
    reaching: Vec<u32>,
    keys: Keys,
    tape: Tape,
}

/// Runs `plan`, with one rule broken if so wished, and says what happened.
#[must_use]
pub fn run(plan: &Plan, mutation: Option<Mutation>) -> Vec<Event> {
    let mut world = World::new(plan, mutation);
    world.run();
    world.history
}

impl<'a> World<'a> {
    fn new(plan: &'a Plan, mutation: Option<Mutation>) -> Self {
        let places = (0..plan.nodes).map(|index| Place {
            name: NodeName::from(&format!(
                "node-{}",
                char::from(b'a' + u8::try_from(index).unwrap_or(0))
            )),
            node: None,
            paused_at: None,
            turn_at: None,
            away_until: 0,
            generation: 0,
            starts: 0,
            mac: 0,
            late: 0,
            answering: false,
            keys: 0,
        });
        let api = (0..plan.addresses).map(|_| Known {
            excluded: 0,
            candidates: None,
            assigned: true,
            move_to: None,
            recorded: None,
            version: 0,
            past: vec![None],
            stranger: false,
        });
        let hosts = HOSTS.map(|kind| Host::new(kind, plan.addresses));
        Self {
            plan,
            mutation,
            rng: Xoshiro256PlusPlus::seed_from_u64(plan.seed.wrapping_mul(0x9e37_79b9)),
            now: 0,
            queue: Queue::default(),
            happened_before: 0,
            places: places.collect(),
            network: Network::new(plan, hosts.len()),
            hosts: hosts.into(),
            api: api.collect(),
            active: BTreeSet::new(),
            history: Vec::new(),
            hearing: Vec::new(),
            reaching: Vec::new(),
            keys: Keys::new(plan),
            tape: Tape::new(plan),
        }
    }

    fn run(&mut self) {
        for node in 0..self.plan.nodes {
            let at = self.rng.random_range(0..400) * MILLISECOND;
            self.schedule(at, Next::Start(node));
        }
        for index in 0..self.plan.addresses {
            let at = self.rng.random_range(0..1500) * MILLISECOND;
            self.publish(index, at);
        }
        for host in 0..self.hosts.len() {
            let at = self.rng.random_range(0..HOST_INTERVAL);
            self.schedule(at, Next::Ask(host));
        }
        for (index, timed) in self.plan.faults.iter().enumerate() {
            self.schedule(timed.at * MILLISECOND, Next::Begin(index));
            self.schedule((timed.at + timed.lasts) * MILLISECOND, Next::End(index));
        }
        self.note_network();
        let end = self.plan.length * MILLISECOND;
        while let Some((at, next)) = self.queue.next_by(end) {
            if at / SECOND > self.now / SECOND {
                self.happened_before = self.happened();
            }
            self.now = at;
            self.step(next);
            if self.is_endless() {
                self.note(What::Endless);
                return;
            }
        }
        self.now = end;
        for host in 0..self.hosts.len() {
            for address in 0..self.plan.addresses {
                if let Some(mac) = self.hosts[host].believes(address) {
                    let node = self.node_with(mac);
                    self.note(What::Believed {
                        host,
                        address,
                        node,
                    });
                }
            }
        }
    }

    /// How much has been scheduled and noted.
    fn happened(&self) -> u64 {
        self.queue.scheduled() + u64::try_from(self.history.len()).unwrap_or(u64::MAX)
    }

    fn is_endless(&self) -> bool {
        let places = &mut self.places.iter();
        let stuck = places.any(|place| place.node.as_ref().is_some_and(|node| node.stuck));
        stuck || self.happened() - self.happened_before > MOST_PER_SECOND
    }

    fn schedule(&mut self, at: Time, next: Next) {
        self.queue.schedule(at, next);
    }

    fn note(&mut self, what: What) {
        self.history.push(Event { at: self.now, what });
    }

    fn step(&mut self, next: Next) {
        match next {
            Next::Begin(fault) => {
                self.active.insert(fault);
                self.note(What::FaultBegan(fault));
                let timed = &self.plan.faults[fault];
                self.begin(timed.fault, timed.lasts * MILLISECOND);
                self.note_network();
            }
            Next::End(fault) => {
                self.active.remove(&fault);
                self.note(What::FaultEnded(fault));
                self.end(self.plan.faults[fault].fault);
                self.note_network();
            }
            Next::Turn(node, generation) => {
                let place = &mut self.places[node];
                if place.generation == generation && place.paused_at.is_none() {
                    place.turn_at = None;
                    self.turn(node);
                }
            }
            Next::Arrive(port, arrived) => self.arrive(port, arrived, true),
            Next::Replayed(port, arrived) => self.arrive(port, arrived, false),
            Next::Ask(host) => self.host_asks(host),
            Next::Learn(node, address, version) => self.learn(node, address, version),
            Next::Record(node, address, term) => self.record(node, address, term),
            Next::Start(node) => self.start(node),
            Next::Relist(node, start) => self.relist(node, start),
            Next::Relearn(node, address, version) => self.relearn(node, address, version),
            Next::Sweep(left) => self.sweep(left),
            Next::Rekey(node) => self.rekey(node),
            Next::Replay => self.replay(),
        }
    }

    fn faults(&self) -> impl Iterator<Item = Fault> {
        self.active
            .iter()
            .map(|&index| self.plan.faults[index].fault)
    }
}

#[cfg(test)]
mod tests {
    use bellwether_core::election::Output;

    use super::*;
    use crate::checker::check;
    use crate::node::{Effect, GATEWAY, LINK, MOST_EFFECTS};

    fn rules(plan: &Plan, history: &[Event]) -> Vec<&'static str> {
        let violations = check(plan, history);
        violations.iter().map(|violation| violation.rule).collect()
    }

    #[test]
    fn a_run_in_which_more_and_more_happens_is_ended_and_is_a_violation() {
        let plan = Plan::calm(1);
        let mut world = World::new(&plan, None);
        for _ in 0..MOST_PER_SECOND {
            world.schedule(Time::MAX, Next::Start(0));
        }
        world.run();
        assert!(world.history.last().is_some_and(|event| event.at < SECOND));
        assert_eq!(rules(&plan, &world.history), ["I0"]);
    }

    #[test]
    fn a_node_that_has_more_and_more_to_do_in_one_turn_ends_the_run() {
        let plan = Plan::calm(1);
        let mut world = World::new(&plan, None);
        world.start(0);
        let nothing = || {
            Effect::Decided(Output::Probe {
                link: LINK,
                address: GATEWAY.into(),
            })
        };
        if let Some(node) = &mut world.places[0].node {
            node.effects = (0..=MOST_EFFECTS).map(|_| nothing()).collect();
        }
        world.run();
        assert_eq!(rules(&plan, &world.history), ["I0"]);
    }
}
