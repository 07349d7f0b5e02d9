//! The run itself: nodes, network, hosts and the API, event by event.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::time::Duration;

use bellwether_core::announcer;
use bellwether_core::election::{Assignment, Input, Output, Recorded, Term};
use bellwether_core::frame::arp::{Arp, Operation};
use bellwether_core::frame::beacon::Beacon;
use bellwether_core::frame::{Frame, Packet};
use bellwether_core::mac::MacAddr;
use bellwether_core::membership::Channel;
use bellwether_core::moment::Moment;
use bellwether_core::mutation::Mutation;
use bellwether_core::name::NodeName;
use bellwether_core::placement::{AdvertisedNode, candidates};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use crate::history::{Event, Time, What};
use crate::host::{self, Host};
use crate::network::{Kind, Network};
use crate::node::{self, Arrived, EVERYWHERE, Effect, GATEWAY, LINK, Node, address, index_of};
use crate::plan::{Fault, Plan};

const MILLISECOND: Time = 1_000_000;

/// Kinds of hosts; the first is the gateway, if there is one.
const HOSTS: [host::Kind; 4] = [
    host::Kind::Router,
    host::Kind::Linux,
    host::Kind::Windows,
    host::Kind::Bsd,
];

/// How often a host has something to say to one of the addresses.
const HOST_INTERVAL: Time = 700 * MILLISECOND;

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
}

struct Scheduled {
    at: Time,
    order: u64,
    next: Next,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
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
}

/// An address as the API has it.
struct Known {
    excluded: u32,
    assigned: bool,
    move_to: Option<usize>,
    recorded: Option<(usize, u64)>,
    version: u64,
    stranger: bool,
}

/// A run.
pub struct World<'a> {
    plan: &'a Plan,
    mutation: Option<Mutation>,
    rng: Xoshiro256PlusPlus,
    now: Time,
    queue: BinaryHeap<Reverse<Scheduled>>,
    order: u64,
    places: Vec<Place>,
    hosts: Vec<Host>,
    network: Network,
    api: Vec<Known>,
    active: BTreeSet<usize>,
    history: Vec<Event>,
    hearing: Vec<u32>,
    reaching: Vec<u32>,
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
        });
        let api = (0..plan.addresses).map(|_| Known {
            excluded: 0,
            assigned: true,
            move_to: None,
            recorded: None,
            version: 0,
            stranger: false,
        });
        let hosts = HOSTS.map(|kind| Host::new(kind, plan.addresses));
        Self {
            plan,
            mutation,
            rng: Xoshiro256PlusPlus::seed_from_u64(plan.seed.wrapping_mul(0x9e37_79b9)),
            now: 0,
            queue: BinaryHeap::new(),
            order: 0,
            places: places.collect(),
            network: Network::new(plan, hosts.len()),
            hosts: hosts.into(),
            api: api.collect(),
            active: BTreeSet::new(),
            history: Vec::new(),
            hearing: Vec::new(),
            reaching: Vec::new(),
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
        while let Some(Reverse(Scheduled { at, next, .. })) = self.queue.pop() {
            if at > end {
                break;
            }
            self.now = at;
            self.step(next);
        }
        self.now = end;
        for host in 0..self.hosts.len() {
            for address in 0..self.plan.addresses {
                if let Some((mac, _)) = self.hosts[host].cache[address] {
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

    fn schedule(&mut self, at: Time, next: Next) {
        self.order += 1;
        self.queue.push(Reverse(Scheduled {
            at,
            order: self.order,
            next,
        }));
    }

    fn note(&mut self, what: What) {
        self.history.push(Event { at: self.now, what });
    }

    fn step(&mut self, next: Next) {
        match next {
            Next::Begin(fault) => {
                self.active.insert(fault);
                self.note(What::FaultBegan(fault));
                self.begin(self.plan.faults[fault].fault);
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
            Next::Arrive(port, arrived) => self.arrive(port, arrived),
            Next::Ask(host) => self.host_asks(host),
            Next::Learn(node, address, version) => {
                if self.api[address].version == version {
                    if self.sees_api(node) && self.places[node].paused_at.is_none() {
                        self.tell_assignment(node, address);
                    } else {
                        self.schedule(
                            self.now + 100 * MILLISECOND,
                            Next::Learn(node, address, version),
                        );
                    }
                }
            }
            Next::Record(node, address, term) => {
                if !self.sees_api(node) {
                    self.schedule(
                        self.now + 100 * MILLISECOND,
                        Next::Record(node, address, term),
                    );
                } else if self.api[address].assigned
                    && self.api[address].recorded.is_none_or(|(_, old)| old < term)
                {
                    self.api[address].recorded = Some((node, term));
                    self.publish(address, 0);
                }
            }
            Next::Start(node) => self.start(node),
        }
    }

    fn faults(&self) -> impl Iterator<Item = Fault> {
        self.active
            .iter()
            .map(|&index| self.plan.faults[index].fault)
    }

    fn note_network(&mut self) {
        let faults: Vec<_> = self.faults().collect();
        self.network.set(faults.iter().copied());
        let rows = |kind: Kind| -> Vec<u32> {
            (0..self.plan.nodes)
                .map(|to| {
                    (0..self.plan.nodes)
                        .filter(|&from| from != to && self.network.passes(kind, from, to))
                        .fold(0, |row, from| row | 1 << from)
                })
                .collect()
        };
        let (hearing, reaching) = (rows(Kind::Beacon), rows(Kind::Arp));
        if hearing != self.hearing {
            self.hearing.clone_from(&hearing);
            self.note(What::Hearing(hearing));
        }
        if reaching != self.reaching {
            self.reaching.clone_from(&reaching);
            self.note(What::Reaching(reaching));
        }
        for node in 0..self.plan.nodes {
            let late = faults.iter().filter_map(|fault| match fault {
                Fault::Late(which, late) if *which == node => Some(*late),
                _ => None,
            });
            self.places[node].late = late.max().unwrap_or(0);
            let fails = faults.contains(&Fault::SendFails(node));
            if let Some(node) = &mut self.places[node].node {
                node.send_fails = fails;
            }
        }
    }

    fn begin(&mut self, fault: Fault) {
        match fault {
            Fault::Crash(nodes) => {
                for node in 0..self.plan.nodes {
                    if nodes & (1 << node) != 0 {
                        self.stop(node);
                    }
                }
            }
            Fault::Kill(node) => {
                self.stop(node);
                self.schedule(self.now + 40 * MILLISECOND, Next::Start(node));
            }
            Fault::KillAll => {
                for node in 0..self.plan.nodes {
                    self.stop(node);
                    let at = self.now + self.rng.random_range(20..600) * MILLISECOND;
                    self.schedule(at, Next::Start(node));
                }
            }
            Fault::Pause(node) => {
                let running = self.places[node].node.is_some();
                if running && self.places[node].paused_at.is_none() {
                    self.places[node].paused_at = Some(self.now);
                    self.note(What::Paused(node));
                }
            }
            Fault::Unplugged(node) | Fault::NewMac(node) => {
                if matches!(fault, Fault::NewMac(_)) {
                    self.places[node].mac = self.places[node].mac.wrapping_add(1);
                }
                self.renew_links(node);
            }
            Fault::Exclude(node) => self.exclude(node, true),
            Fault::Leave(node) => {
                self.tell(node, Input::Leave);
            }
            Fault::Unassign(address) => {
                self.api[address].assigned = false;
                // With the Announcement goes what it recorded.
                self.api[address].recorded = None;
                self.publish(address, 0);
            }
            Fault::MoveTo(address, node) => {
                self.api[address].move_to = Some(node);
                self.publish(address, 0);
            }
            Fault::Stranger(address) => {
                self.api[address].stranger = true;
                self.stranger_announces(address);
            }
            _ => {}
        }
    }

    fn end(&mut self, fault: Fault) {
        match fault {
            Fault::Crash(nodes) => {
                for node in 0..self.plan.nodes {
                    if nodes & (1 << node) != 0 {
                        let at = self.now + self.rng.random_range(0..300) * MILLISECOND;
                        self.schedule(at, Next::Start(node));
                    }
                }
            }
            Fault::Pause(node) => {
                let still = self.faults().any(|other| other == Fault::Pause(node));
                if !still && let Some(since) = self.places[node].paused_at.take() {
                    self.places[node].turn_at = None;
                    self.note(What::Resumed(node, self.now - since));
                    self.renew_links(node);
                    self.wake(node, self.now);
                }
            }
            Fault::Unplugged(node) => self.renew_links(node),
            Fault::Exclude(node) => self.exclude(node, false),
            Fault::Leave(node) => {
                self.stop(node);
                self.schedule(self.now + 40 * MILLISECOND, Next::Start(node));
            }
            Fault::Unassign(address) => {
                self.api[address].assigned = true;
                self.publish(address, 0);
            }
            Fault::MoveTo(address, _) => {
                self.api[address].move_to = None;
                self.publish(address, 0);
            }
            Fault::Stranger(address) => {
                let another = self.faults().any(|other| other == fault);
                self.api[address].stranger = another;
            }
            _ => {}
        }
    }

    fn start(&mut self, index: usize) {
        let crashed = self.faults().any(|fault| match fault {
            Fault::Crash(nodes) => nodes & (1 << index) != 0,
            _ => false,
        });
        if self.places[index].node.is_some() || crashed {
            return;
        }
        let links = self.links_of(index);
        let session: u64 = self.rng.random();
        let place = &mut self.places[index];
        place.starts += 1;
        let now = Moment::from_nanos(self.now);
        let node = Node::start(
            place.name.as_str(),
            session,
            self.plan.profile,
            links,
            announcer::Config {
                // Often enough that a run sees that it heals what was lost.
                refresh: Duration::from_secs(3),
                ..announcer::Config::default()
            },
            self.mutation,
            now,
        );
        place.node = Some(node);
        self.note(What::Started(index));
        for address in 0..self.plan.addresses {
            let version = self.api[address].version;
            let at = self.now + self.rng.random_range(5..60) * MILLISECOND;
            self.schedule(at, Next::Learn(index, address, version));
        }
        let speakers = (0..self.plan.nodes)
            .map(|node| {
                (
                    self.places[node].name.clone(),
                    BTreeSet::from([self.mac(node)]),
                )
            })
            .collect();
        self.tell(index, Input::Speakers(speakers));
        self.note_network();
        self.wake(index, self.now);
    }

    fn stop(&mut self, index: usize) {
        let place = &mut self.places[index];
        place.generation += 1;
        place.turn_at = None;
        place.paused_at = None;
        place.answering = false;
        if place.node.take().is_some() {
            self.note(What::Ended(index));
        }
    }

    fn mac(&self, node: usize) -> MacAddr {
        let node_octet = u8::try_from(node).unwrap_or(u8::MAX);
        MacAddr([2, 0, 0, 0, self.places[node].mac, node_octet])
    }

    fn node_with(&self, mac: MacAddr) -> Option<usize> {
        (0..self.plan.nodes).find(|&node| self.mac(node) == mac)
    }

    fn links_of(&self, node: usize) -> bellwether_core::link::Links {
        let unplugged = self.faults().any(|fault| fault == Fault::Unplugged(node));
        node::links(self.mac(node), !unplugged, self.plan.gateway)
    }

    fn renew_links(&mut self, index: usize) {
        let links = self.links_of(index);
        let now = Moment::from_nanos(self.now);
        let running = self.places[index].paused_at.is_none();
        if let Some(node) = self.places[index].node.as_mut().filter(|_| running) {
            node.set_links(links, now);
            self.carry_out(index);
        }
        // Others learn of another MAC address by the API, later than by beacons.
        let speakers: BTreeMap<_, _> = (0..self.plan.nodes)
            .map(|node| {
                (
                    self.places[node].name.clone(),
                    BTreeSet::from([self.mac(node)]),
                )
            })
            .collect();
        for other in 0..self.plan.nodes {
            self.tell(other, Input::Speakers(speakers.clone()));
        }
        self.wake(index, self.now);
    }

    fn sees_api(&self, node: usize) -> bool {
        !self.faults().any(|fault| match fault {
            Fault::NoApi(nodes) => nodes & (1 << node) != 0,
            _ => false,
        })
    }

    fn exclude(&mut self, node: usize, out: bool) {
        for address in 0..self.plan.addresses {
            let known = &mut self.api[address];
            known.excluded = if out {
                known.excluded | 1 << node
            } else {
                known.excluded & !(1 << node)
            };
            self.publish(address, 0);
        }
    }

    /// The API has something new about an address: each node learns it in its own time.
    fn publish(&mut self, address: usize, after: Time) {
        self.api[address].version += 1;
        let version = self.api[address].version;
        let all = (1 << self.plan.nodes) - 1;
        let known = &self.api[address];
        let candidates = if known.assigned {
            all & !known.excluded
        } else {
            0
        };
        self.note(What::Candidates(address, candidates));
        for node in 0..self.plan.nodes {
            let lag = match self.rng.random_range(0..8) {
                0 => self.rng.random_range(100..800),
                _ => self.rng.random_range(2..60),
            };
            let at = self.now + after + lag * MILLISECOND;
            self.schedule(at, Next::Learn(node, address, version));
        }
    }

    fn tell_assignment(&mut self, node: usize, index: usize) {
        let known = &self.api[index];
        let address = address(index);
        if !known.assigned {
            self.tell(node, Input::Unassign { address });
            return;
        }
        let advertised: Vec<_> = self
            .places
            .iter()
            .map(|place| AdvertisedNode {
                node: place.name.clone(),
                interfaces: EVERYWHERE,
                preference: 0,
            })
            .collect();
        let excluded: BTreeSet<_> = (0..self.plan.nodes)
            .filter(|node| known.excluded & (1 << node) != 0)
            .map(|node| self.places[node].name.clone())
            .collect();
        let assignment = Assignment {
            candidates: candidates(address, [&advertised[..]], None, |node| {
                !excluded.contains(node)
            }),
            recorded: known.recorded.map(|(node, term)| Recorded {
                node: Some(self.places[node].name.clone()),
                term: Term(term),
                stands: true,
            }),
            move_to: known.move_to.map(|node| self.places[node].name.clone()),
        };
        self.tell(
            node,
            Input::Assign {
                address,
                assignment,
            },
        );
    }

    /// Tells the election of a node something, if it runs.
    fn tell(&mut self, index: usize, input: Input) {
        let now = Moment::from_nanos(self.now);
        let place = &mut self.places[index];
        if place.paused_at.is_some() {
            // A program that is stopped reads nothing; what the API has to say comes again.
            return;
        }
        if let Some(node) = &mut place.node {
            node.tell(input, now);
            self.carry_out(index);
        }
    }

    fn turn(&mut self, index: usize) {
        let Some(node) = &mut self.places[index].node else {
            return;
        };
        node.turn(self.now);
        self.carry_out(index);
    }

    /// Does to the world what the node has decided.
    fn carry_out(&mut self, index: usize) {
        let Some(node) = &mut self.places[index].node else {
            return;
        };
        let effects = std::mem::take(&mut node.effects);
        let now = Moment::from_nanos(self.now);
        for effect in effects {
            match effect {
                Effect::Beacon(channel, beacon) => self.send_beacon(index, channel, beacon),
                Effect::Send(frame) => {
                    self.note_announcement(index, &frame);
                    self.send_frame(index, frame);
                }
                Effect::Answer(frame) => {
                    if let Packet::Arp(arp) = frame.packet
                        && let Some(address) = self.index(index, arp.sender_ip)
                    {
                        self.note(What::Answered {
                            node: index,
                            address,
                        });
                    }
                    self.send_frame(index, frame);
                }
                Effect::Decided(output) => self.decided(index, output),
            }
        }
        let Some(node) = &self.places[index].node else {
            return;
        };
        let answering = node.election.may_answer(LINK, now);
        if answering != self.places[index].answering {
            self.places[index].answering = answering;
            self.note(What::Answering(index, answering));
        }
        self.plan_turn(index);
    }

    fn decided(&mut self, node: usize, output: Output) {
        match output {
            Output::Own(owned) => {
                if let Some(address) = index_of(owned.address, self.plan.addresses) {
                    self.note(What::Owned {
                        node,
                        address,
                        term: owned.term.0,
                        reason: owned.reason,
                    });
                    let at = self.now + self.rng.random_range(5..80) * MILLISECOND;
                    self.schedule(at, Next::Record(node, address, owned.term.0));
                }
            }
            Output::Release { address, reason } => {
                if let Some(address) = index_of(address, self.plan.addresses) {
                    self.note(What::Released {
                        node,
                        address,
                        reason,
                    });
                }
            }
            Output::Left => self.stop(node),
            _ => {}
        }
    }

    fn note_announcement(&mut self, node: usize, frame: &Frame) {
        let Packet::Arp(arp) = frame.packet else {
            return;
        };
        let hosts = self.plan.nodes..self.plan.nodes + self.hosts.len();
        let heard = hosts
            .into_iter()
            .any(|host| self.network.passes(Kind::Arp, node, host));
        if arp.sender_ip.is_unspecified() || !heard {
            return;
        }
        let Some(address) = self.index(node, arp.sender_ip) else {
            return;
        };
        self.note(What::Announced { node, address });
    }

    fn index(&mut self, node: usize, address: Ipv4Addr) -> Option<usize> {
        let index = index_of(IpAddr::from(address), self.plan.addresses);
        if index.is_none() {
            self.note(What::Alien(node));
        }
        index
    }

    fn send_beacon(&mut self, from: usize, channel: Channel, beacon: Beacon) {
        let kind = if channel == Channel::Unicast {
            Kind::Datagram
        } else {
            let lateness = beacon.pulse.lateness.as_nanos();
            self.note(What::Beacon {
                node: from,
                lateness: Time::try_from(lateness).unwrap_or(Time::MAX),
            });
            self.network.learned[from] = true;
            Kind::Beacon
        };
        let beacon = Rc::new(beacon);
        for to in 0..self.plan.nodes {
            if to == from || self.places[to].node.is_none() {
                continue;
            }
            let arrivals = self.network.arrivals(kind, from, to, &mut self.rng);
            for takes in arrivals.into_iter().flatten() {
                let arrived = Arrived::Beacon(channel, Rc::clone(&beacon));
                self.schedule(self.now + takes, Next::Arrive(to, arrived));
            }
        }
    }

    fn send_frame(&mut self, from: usize, frame: Frame) {
        self.network.learned[from] = true;
        let ports = self.plan.nodes + self.hosts.len();
        let target = if frame.destination == MacAddr::BROADCAST {
            None
        } else {
            self.port_with(frame.destination)
                .filter(|&port| self.network.learned[port])
        };
        let frame = Rc::new(frame);
        for to in 0..ports {
            if to == from || target.is_some_and(|target| target != to) {
                continue;
            }
            let arrivals = self.network.arrivals(Kind::Arp, from, to, &mut self.rng);
            for takes in arrivals.into_iter().flatten() {
                self.schedule(
                    self.now + takes,
                    Next::Arrive(to, Arrived::Frame(Rc::clone(&frame))),
                );
            }
        }
    }

    fn port_with(&self, mac: MacAddr) -> Option<usize> {
        let host = (0..self.hosts.len()).find(|&host| host_mac(host) == mac);
        self.node_with(mac)
            .or(host.map(|host| host + self.plan.nodes))
    }

    fn arrive(&mut self, port: usize, arrived: Arrived) {
        if let Some(host) = port.checked_sub(self.plan.nodes) {
            if let Arrived::Frame(frame) = arrived {
                self.host_receives(host, &frame);
            }
            return;
        }
        if let Arrived::Frame(frame) = &arrived
            && frame.destination != MacAddr::BROADCAST
            && frame.destination != self.mac(port)
        {
            return;
        }
        let now = self.now;
        if let Some(node) = &mut self.places[port].node {
            node.receive(now, arrived);
            self.wake(port, now);
        }
    }

    /// The loop of the node runs at `at`, and a bit later.
    fn wake(&mut self, index: usize, at: Time) {
        let late = self.places[index].late * MILLISECOND;
        let at = at.max(self.now) + self.rng.random_range(20_000..700_000);
        let place = &mut self.places[index];
        if late > 0 && place.turn_at.is_none() && self.rng.random_range(0..3) == 0 {
            // Nothing wakes it up before.
            place.away_until = at + self.rng.random_range(0..late);
        }
        let at = at.max(place.away_until);
        if place.turn_at.is_some_and(|planned| planned <= at) {
            return;
        }
        place.generation += 1;
        place.turn_at = Some(at);
        let generation = place.generation;
        self.schedule(at, Next::Turn(index, generation));
    }

    fn plan_turn(&mut self, index: usize) {
        let now = self.now;
        let deadline = self.places[index]
            .node
            .as_ref()
            .and_then(|node| node.next_deadline(now));
        if let Some(deadline) = deadline {
            self.wake(index, deadline);
        }
    }

    fn host_asks(&mut self, host: usize) {
        let jitter = self.rng.random_range(0..HOST_INTERVAL);
        self.schedule(self.now + HOST_INTERVAL / 2 + jitter, Next::Ask(host));
        let address = self.rng.random_range(0..self.plan.addresses);
        if self.hosts[host].must_ask(address, self.now)
            && let IpAddr::V4(target_ip) = node::address(address)
        {
            let mac = host_mac(host);
            let host_octet = u8::try_from(host).unwrap_or(0);
            self.send_frame(
                host + self.plan.nodes,
                Frame {
                    destination: MacAddr::BROADCAST,
                    source: mac,
                    vlan: None,
                    packet: Packet::Arp(Arp {
                        operation: Operation::Request,
                        sender_mac: mac,
                        sender_ip: Ipv4Addr::new(192, 0, 2, 1 + host_octet),
                        target_mac: MacAddr([0; 6]),
                        target_ip,
                    }),
                },
            );
        }
    }

    fn host_receives(&mut self, host: usize, frame: &Frame) {
        let Packet::Arp(arp) = frame.packet else {
            return;
        };
        if let Some(address) = index_of(arp.sender_ip.into(), self.plan.addresses) {
            let announced = frame.destination == MacAddr::BROADCAST;
            self.hosts[host].learn(address, arp.sender_mac, self.now, announced);
        }
        let asks = arp.operation == Operation::Request && arp.target_ip != arp.sender_ip;
        if host == 0 && self.plan.gateway && asks && arp.target_ip == GATEWAY {
            self.reply(host, frame, arp, GATEWAY);
        }
        // The stranger is a program on the host behind the gateway.
        if host == 1
            && asks
            && let Some(address) = index_of(arp.target_ip.into(), self.plan.addresses)
            && self.api[address].stranger
        {
            self.reply(host, frame, arp, arp.target_ip);
        }
    }

    fn reply(&mut self, host: usize, frame: &Frame, arp: Arp, sender_ip: Ipv4Addr) {
        let mac = host_mac(host);
        self.send_frame(
            host + self.plan.nodes,
            Frame {
                destination: frame.source,
                source: mac,
                vlan: None,
                packet: Packet::Arp(Arp {
                    operation: Operation::Reply,
                    sender_mac: mac,
                    sender_ip,
                    target_mac: arp.sender_mac,
                    target_ip: arp.sender_ip,
                }),
            },
        );
    }

    fn stranger_announces(&mut self, address: usize) {
        let IpAddr::V4(ip) = node::address(address) else {
            return;
        };
        let mac = host_mac(1);
        self.send_frame(
            1 + self.plan.nodes,
            Frame {
                destination: MacAddr::BROADCAST,
                source: mac,
                vlan: None,
                packet: Packet::Arp(Arp {
                    operation: Operation::Request,
                    sender_mac: mac,
                    sender_ip: ip,
                    target_mac: MacAddr([0; 6]),
                    target_ip: ip,
                }),
            },
        );
    }
}

fn host_mac(host: usize) -> MacAddr {
    MacAddr([2, 1, 0, 0, 0, u8::try_from(host).unwrap_or(u8::MAX)])
}
