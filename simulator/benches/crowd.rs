//! What fifty speakers and ten thousand addresses cost, and how long a third of them takes to move.
//!
//! `make crowd` runs the unchanged core on many nodes of one LAN on which nothing is lost, with beacons
//! that are really sealed and opened. After all is claimed it counts what each node sends and hears and
//! the processor time that its thread needs for it, at rest; then a third of the nodes lose power at once.
//! The processor time is that of the core: a system call for each frame comes on top.

#![expect(
    clippy::expect_used,
    clippy::cast_precision_loss,
    reason = "a benchmark that cannot go on shall panic; its figures are rounded"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use bellwether_core::announcer;
use bellwether_core::election::{Assignment, Config, Input};
use bellwether_core::frame::Frame;
use bellwether_core::frame::beacon::keyring::Keyring;
use bellwether_core::frame::beacon::{Session, Spares};
use bellwether_core::mac::MacAddr;
use bellwether_core::membership::Channel;
use bellwether_core::membership::timing::Profile;
use bellwether_core::moment::Moment;
use bellwether_core::name::NodeName;
use bellwether_core::placement::{AdvertisedNode, Interfaces, candidates};
use bellwether_simulator::history::Time;
use bellwether_simulator::node::{self, Arrived, Effect, Node};
use bellwether_simulator::queue::Queue;
use clap::Parser;
use nix::time::{ClockId, clock_gettime};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

const MILLISECOND: Time = 1_000_000;
const SECOND: Time = 1_000 * MILLISECOND;

/// The network that all of them are in, which has no gateway.
const NETWORK: &str = "10.0.0.0/15";

/// How long all addresses have to be claimed, and beacons to become quiet.
const SETTLING: Time = 20 * SECOND;
/// How long is counted at rest.
const REST: Time = 10 * SECOND;
/// How long a takeover may take before the benchmark gives up.
const LIMIT: Time = 10 * SECOND;
/// What an Ethernet frame has around its payload, check sequence included, and its shortest payload.
const FRAMING: usize = 18;
const SHORTEST: usize = 46;
/// The headers of a datagram: IPv4 and UDP.
const DATAGRAM: usize = 28;

/// Runs many speakers, and prints what their beacons cost and how long a third of them takes to replace.
#[derive(Debug, Parser)]
struct Options {
    /// How many speakers there are
    #[arg(long, default_value_t = 50)]
    speakers: u8,

    /// How many addresses they announce
    #[arg(long, default_value_t = 10_000)]
    addresses: u16,

    /// What cargo bench says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// So many nodes, the last ones, have their processor time taken: reading that clock is slow.
const TIMED: usize = 4;

/// What a node has sent, heard and computed since that was last reset.
#[derive(Clone, Copy, Debug, Default)]
struct Load {
    sent: u64,
    heard: u64,
    heard_octets: u64,
    processor: Duration,
}

enum Event {
    Arrive(usize, Rc<Wire>),
    Turn(usize, u64),
}

/// What is on the wire.
enum Wire {
    Beacon(Channel, Vec<u8>),
    Frame(Frame),
}

impl Wire {
    /// Octets on the wire.
    fn length(&self) -> usize {
        let payload = match self {
            Self::Beacon(Channel::Unicast, octets) => octets.len() + DATAGRAM,
            Self::Beacon(Channel::Link(_), octets) => octets.len(),
            Self::Frame(frame) => frame.encode().as_octets().len().saturating_sub(14),
        };
        payload.max(SHORTEST) + FRAMING
    }
}

struct Place {
    node: Option<Node>,
    turn_at: Time,
    generation: u64,
    load: Load,
}

struct Crowd {
    rng: Xoshiro256PlusPlus,
    keys: Keyring,
    spares: Spares,
    now: Time,
    queue: Queue<Event>,
    places: Vec<Place>,
    /// Who announced each address last, and when.
    announced: BTreeMap<IpAddr, (usize, Time)>,
}

fn mac(node: usize) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, u8::try_from(node).expect("few nodes")])
}

fn name(node: usize) -> NodeName {
    NodeName::from(&format!("node-{node}"))
}

fn address(index: u16) -> IpAddr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 0, 0, 0)) + u32::from(index)).into()
}

/// The processor time of this thread, if it is to be taken.
fn processor(timed: bool) -> Duration {
    if !timed {
        return Duration::ZERO;
    }
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("a clock of the thread");
    Duration::from(time)
}

impl Crowd {
    fn start(speakers: u8, addresses: u16) -> Self {
        let secrets = BTreeMap::from([(1, vec![7; 32])]);
        let mut crowd = Self {
            rng: Xoshiro256PlusPlus::seed_from_u64(1),
            keys: Keyring::new("crowd", secrets, 1).expect("a good key"),
            spares: Spares::default(),
            now: 0,
            queue: Queue::default(),
            places: Vec::new(),
            announced: BTreeMap::new(),
        };
        let speakers = usize::from(speakers);
        let advertised: Vec<_> = (0..speakers)
            .map(|node| AdvertisedNode {
                node: name(node),
                interfaces: Interfaces::All,
                preference: 0,
            })
            .collect();
        let known: BTreeMap<_, _> = (0..speakers)
            .map(|node| (name(node), BTreeSet::from([mac(node)])))
            .collect();
        for index in 0..speakers {
            let config = Config {
                node: name(index),
                session: Session(crowd.rng.random()),
                profile: Profile::DEFAULT,
                rebalance: false,
            };
            let node = Node::start(
                config,
                node::links(mac(index), true, NETWORK, None),
                announcer::Config::default(),
                None,
                Moment::from_nanos(0),
            );
            crowd.places.push(Place {
                node: Some(node),
                turn_at: Time::MAX,
                generation: 0,
                load: Load::default(),
            });
            crowd.tell(index, Input::Speakers(known.clone()));
        }
        for index in 0..addresses {
            let address = address(index);
            let assignment = Assignment {
                candidates: candidates(address, [&advertised[..]], None, |_| true),
                recorded: None,
                move_to: None,
            };
            for node in 0..speakers {
                let assignment = assignment.clone();
                crowd.tell(
                    node,
                    Input::Assign {
                        address,
                        assignment,
                    },
                );
            }
        }
        crowd
    }

    fn tell(&mut self, index: usize, input: Input) {
        let now = Moment::from_nanos(self.now);
        if let Some(node) = &mut self.places[index].node {
            node.tell(input, now);
            self.carry_out(index);
        }
    }

    /// Runs until then.
    fn run(&mut self, until: Time) {
        while let Some((at, event)) = self.queue.next_by(until) {
            self.now = at;
            match event {
                Event::Arrive(index, wire) => self.arrive(index, &wire),
                Event::Turn(index, generation) => {
                    let place = &mut self.places[index];
                    if place.generation == generation {
                        place.turn_at = Time::MAX;
                        self.turn(index);
                    }
                }
            }
        }
        self.now = until;
    }

    /// Whether the processor time of that node is taken.
    fn is_timed(&self, index: usize) -> bool {
        index + TIMED >= self.places.len()
    }

    fn arrive(&mut self, index: usize, wire: &Wire) {
        let timed = self.is_timed(index);
        let place = &mut self.places[index];
        let Some(node) = &mut place.node else {
            return;
        };
        place.load.heard += 1;
        place.load.heard_octets += wire.length() as u64;
        let before = processor(timed);
        let arrived = match wire {
            Wire::Beacon(channel, octets) => {
                let opened = match channel {
                    Channel::Link(_) => self.keys.open(octets, &mut self.spares),
                    Channel::Unicast => self.keys.open_datagram(octets, &mut self.spares),
                };
                Arrived::Beacon(*channel, Rc::new(opened.expect("a genuine beacon")))
            }
            Wire::Frame(frame) => Arrived::Frame(Rc::new(*frame)),
        };
        node.receive(self.now, arrived);
        node.turn(self.now);
        place.load.processor += processor(timed).saturating_sub(before);
        self.carry_out(index);
    }

    fn turn(&mut self, index: usize) {
        let timed = self.is_timed(index);
        let place = &mut self.places[index];
        if let Some(node) = &mut place.node {
            let before = processor(timed);
            node.turn(self.now);
            place.load.processor += processor(timed).saturating_sub(before);
            self.carry_out(index);
        }
    }

    fn carry_out(&mut self, index: usize) {
        let timed = self.is_timed(index);
        let Some(node) = &mut self.places[index].node else {
            return;
        };
        for effect in std::mem::take(&mut node.effects) {
            match effect {
                Effect::Beacon(channel, beacon) => {
                    let before = processor(timed);
                    let mut octets = Vec::new();
                    match channel {
                        Channel::Link(_) => self.keys.seal(&beacon, &mut octets),
                        Channel::Unicast => self.keys.seal_datagram(&beacon, &mut octets),
                    }
                    self.places[index].load.processor += processor(timed).saturating_sub(before);
                    self.send(index, Wire::Beacon(channel, octets));
                }
                Effect::Send(frame) => {
                    if let Some((address, _)) = frame.claim() {
                        let (last, at) = self.announced.entry(address).or_insert((index, self.now));
                        if *last != index {
                            (*last, *at) = (index, self.now);
                        }
                    }
                    self.send(index, Wire::Frame(frame));
                }
                Effect::Answer(frame, _) => self.send(index, Wire::Frame(frame)),
                Effect::Decided(_) => {}
            }
        }
        let place = &mut self.places[index];
        let deadline = place.node.as_ref();
        let deadline = deadline.and_then(|node| node.next_deadline(self.now));
        if let Some(deadline) = deadline
            && deadline < place.turn_at
        {
            place.generation += 1;
            place.turn_at = deadline;
            let turn = Event::Turn(index, place.generation);
            self.queue.schedule(deadline.max(self.now), turn);
        }
    }

    fn send(&mut self, from: usize, wire: Wire) {
        // A datagram is sent to each; a frame goes to all.
        let frames = match wire {
            Wire::Beacon(Channel::Unicast, _) => self.places.len() - 1,
            _ => 1,
        };
        self.places[from].load.sent += frames as u64;
        let wire = Rc::new(wire);
        for to in (0..self.places.len()).filter(|&to| to != from) {
            let takes = self.rng.random_range(50_000..200_000);
            self.queue
                .schedule(self.now + takes, Event::Arrive(to, Rc::clone(&wire)));
        }
    }

    /// What each node that lives did since it was last asked.
    fn loads(&mut self) -> Vec<Load> {
        let places = self.places.iter_mut();
        let living = places.filter(|place| place.node.is_some());
        living
            .map(|place| std::mem::take(&mut place.load))
            .collect()
    }

    fn crash(&mut self, nodes: usize) {
        for place in &mut self.places[..nodes] {
            place.node = None;
            place.generation += 1;
        }
    }
}

/// The largest and the mean of what each node has, per second.
fn per_second(loads: &[Load], took: Time, figure: impl Fn(&Load) -> f64) -> (f64, f64) {
    let seconds = took as f64 / SECOND as f64;
    let sum: f64 = loads.iter().map(&figure).sum();
    let largest = loads.iter().map(&figure).fold(0.0, f64::max);
    (sum / loads.len() as f64 / seconds, largest / seconds)
}

fn print_loads(what: &str, loads: &[Load], took: Time) -> f64 {
    let (sent, _) = per_second(loads, took, |load| load.sent as f64);
    let (heard, _) = per_second(loads, took, |load| load.heard as f64);
    let (bits, _) = per_second(loads, took, |load| load.heard_octets as f64 * 8.0);
    let core = |load: &Load| load.processor.as_secs_f64() * 100.0;
    let timed = &loads[loads.len().saturating_sub(TIMED)..];
    let (mean, largest) = per_second(timed, took, core);
    println!(
        "{what}: each node sends {sent:.0} and hears {heard:.0} frames/s, {:.2} Mbit/s; processor \
         {mean:.2} % of a core, at most {largest:.2} %",
        bits / 1e6
    );
    mean
}

fn main() -> ExitCode {
    let options = Options::parse();
    let mut crowd = Crowd::start(options.speakers, options.addresses);
    println!(
        "{} speakers, {} addresses, the default profile",
        options.speakers, options.addresses
    );
    crowd.run(SETTLING);
    let addresses = usize::from(options.addresses);
    assert_eq!(crowd.announced.len(), addresses, "not all are announced");
    crowd.loads();

    crowd.run(SETTLING + REST);
    let loads = crowd.loads();
    let rest = print_loads("at rest", &loads, REST);

    let failing = usize::from(options.speakers).div_ceil(3);
    let orphans: BTreeSet<IpAddr> = crowd
        .announced
        .iter()
        .filter(|(_, (node, _))| *node < failing)
        .map(|(&address, _)| address)
        .collect();
    let crashed = crowd.now;
    crowd.crash(failing);
    let replaced = |crowd: &Crowd| {
        let at = |address| {
            crowd
                .announced
                .get(address)
                .filter(|(node, _)| *node >= failing)
        };
        let times = orphans.iter().filter_map(at);
        times.map(|(_, at)| at - crashed).collect::<Vec<_>>()
    };
    while replaced(&crowd).len() < orphans.len() && crowd.now < crashed + LIMIT {
        crowd.run(crowd.now + 10 * MILLISECOND);
    }
    let took = crowd.now - crashed;
    let loads = crowd.loads();
    print_loads("while they move", &loads, took);
    let mut times = replaced(&crowd);
    times.sort_unstable();
    let milliseconds = |at: usize| times.get(at).map_or(f64::NAN, |&time| time as f64 / 1e6);
    println!(
        "{failing} nodes lose power at once: {} of {} addresses are announced by others, after p50 \
         {:.0} ms, p99 {:.0} ms, at most {:.0} ms",
        times.len(),
        orphans.len(),
        milliseconds(times.len() / 2),
        milliseconds(times.len() * 99 / 100),
        milliseconds(times.len().saturating_sub(1)),
    );
    let bounds = [
        ("processor at rest, % of a core", rest, 0.5),
        (
            "the last address, ms",
            milliseconds(orphans.len() - 1),
            1000.0,
        ),
    ];
    let mut kept = true;
    for (what, figure, bound) in bounds {
        let verdict = if figure <= bound { "kept" } else { "NOT KEPT" };
        kept &= figure <= bound;
        println!("bound: {what}: {figure:.2} of {bound}: {verdict}");
    }
    if kept {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
