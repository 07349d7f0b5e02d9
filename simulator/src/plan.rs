//! What happens in a run.

use bellwether_core::membership::timing::Profile;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};

mod mutant;

pub use mutant::{Trouble, trouble, troubles};

/// A run: what there is, and what goes wrong.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// Where all chance in it comes from.
    pub seed: u64,
    /// How many nodes there are.
    pub nodes: usize,
    /// How many addresses.
    pub addresses: usize,
    /// Whether there is a gateway, which answers the nodes' questions.
    pub gateway: bool,
    /// How fast the speakers beat.
    pub profile: Profile,
    /// How many frames of a thousand are lost on each cable all the time.
    pub loss: u32,
    /// Whether the nodes' own addresses are on another network, so that datagrams pass when frames
    /// do not.
    pub separate: bool,
    /// The nodes whose speakers are of a later version: their beacons have fields that others do not
    /// know.
    pub newer: Nodes,
    /// Whether the speakers give addresses away for balance (R2).
    pub rebalance: bool,
    /// How long it lasts, in milliseconds.
    pub length: u64,
    /// What goes wrong.
    pub faults: Vec<Timed>,
}

/// A fault and its time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Timed {
    /// When it begins, in milliseconds.
    pub at: u64,
    /// How long it lasts, in milliseconds.
    pub lasts: u64,
    /// Which.
    pub fault: Fault,
}

/// A set of nodes: one bit each.
pub type Nodes = u32;

/// Something that goes wrong, or that an operator does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fault {
    /// Nodes lose power at once; at the end they start anew.
    Crash(Nodes),
    /// A speaker is killed and starts anew at once.
    Kill(usize),
    /// A speaker is stopped and goes on.
    Pause(usize),
    /// A speaker wakes up late, by up to so many milliseconds.
    Late(usize, u64),
    /// Nothing that a node sends arrives.
    Mute(usize),
    /// Nothing that is sent to a node arrives.
    Deaf(usize),
    /// What the first sends to the second is lost.
    OneWay(usize, usize),
    /// A cable is cut, and the node sees that.
    Unplugged(usize),
    /// Two parts of the network do not hear each other.
    Split(Nodes),
    /// Two parts of the network do not hear each other's beacons; all else passes.
    Filter(Nodes),
    /// The nodes' datagrams do not pass.
    NoDatagrams,
    /// A node cannot send beacons, and knows.
    SendFails(usize),
    /// So many frames of a thousand are lost on all cables.
    Loss(u32),
    /// On a node's cable frames are lost in bursts.
    Bursts(usize),
    /// Frames take up to so many milliseconds, and overtake each other.
    Delay(u64),
    /// Frames arrive up to three times.
    Duplicates,
    /// The switch restarts: nothing passes, and it forgets where everybody is.
    SwitchRestart,
    /// The switch forgets where everybody is.
    FlushForwarding,
    /// The API server is away for these nodes.
    NoApi(Nodes),
    /// A node is taken out of the candidates of all addresses, and put back at the end.
    Exclude(usize),
    /// A speaker is told to stop, hands over, ends, and starts anew at the end.
    Leave(usize),
    /// All speakers are killed at once and start anew.
    KillAll,
    /// An address is not used any more, until the end.
    Unassign(usize),
    /// An operator wants an address on a node.
    MoveTo(usize, usize),
    /// A host uses an address that is not its own.
    Stranger(usize),
    /// A node's network card is replaced: it has another MAC address.
    NewMac(usize),
    /// The switch blocks a port, as it does when it has seen a loop, and forgets where everybody is
    /// when that begins and ends. The node sees no change of its carrier.
    Blocked(usize),
    /// The switch forgets a station that was silent for so many milliseconds.
    Ageing(u64),
    /// What the API has to say reaches these nodes twice, and older states of it after newer ones.
    Disorder(Nodes),
    /// The key that beacons are signed with is exchanged, in three sweeps over all nodes.
    Rotate,
    /// Hosts ask all the time, as if they remembered nothing.
    Questions,
    /// Somebody sends beacons again that were sent before, also those of starts that have ended.
    Recordings,
}

/// When faults begin at the earliest: until then all speakers start and find each other.
const START: u64 = 4_000;

/// How long nothing goes wrong at the end.
const QUIET: u64 = 10_000;

impl Plan {
    /// The run of that seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let nodes = rng.random_range(2..=7);
        let addresses = match rng.random_range(0..10) {
            0 => rng.random_range(11..=50),
            1..=3 => rng.random_range(4..=10),
            _ => rng.random_range(1..=3),
        };
        // There is a balance only of several addresses.
        let rebalance = Xoshiro256PlusPlus::seed_from_u64(seed ^ 0xba1a).random_range(0..6) == 0;
        let addresses = if rebalance {
            addresses.max(6)
        } else {
            addresses
        };
        let length = 60_000 + rng.random_range(0..10_000);
        let mut plan = Self {
            seed,
            nodes,
            addresses,
            gateway: rng.random_range(0..8) > 0,
            profile: if rng.random_range(0..8) == 0 {
                Profile::FAST
            } else {
                Profile::DEFAULT
            },
            loss: [0, 0, 0, 1, 10, 30][rng.random_range(0..6)],
            separate: rng.random_range(0..3) == 0,
            newer: match rng.random_range(0..4) {
                0 => rng.random_range(0..1 << nodes),
                _ => 0,
            },
            rebalance,
            length,
            faults: Vec::new(),
        };
        // All else happens in a network that drops beacons.
        let mut filtering = Xoshiro256PlusPlus::seed_from_u64(seed ^ 0xf117);
        if filtering.random_range(0..12) == 0 {
            plan.faults.push(Timed {
                at: START,
                lasts: length - QUIET - START,
                fault: Fault::Filter(plan.some_nodes(&mut filtering)),
            });
        }
        // And before somebody who records it.
        let mut recording = Xoshiro256PlusPlus::seed_from_u64(seed ^ 0x5ec0);
        if recording.random_range(0..12) == 0 {
            plan.faults.push(Timed {
                at: START,
                lasts: length - QUIET - START,
                fault: Fault::Recordings,
            });
        }
        // Swarm: each run knows some faults only, so that rare ones meet often.
        let kinds: Vec<u32> = (0..KINDS).filter(|_| rng.random_range(0..4) == 0).collect();
        if kinds.is_empty() {
            return plan;
        }
        let mut at = START + rng.random_range(0..2_000);
        while at < length - QUIET {
            let together = [1, 1, 1, 1, 1, 1, 2, 2, 2, 3][rng.random_range(0..10)];
            let mut last = 0;
            for _ in 0..together {
                let lasts = match rng.random_range(0..4) {
                    0 => rng.random_range(20..400),
                    1 | 2 => rng.random_range(400..3_000),
                    _ => rng.random_range(3_000..8_000),
                };
                let kind = kinds[rng.random_range(0..kinds.len())];
                let lasts = if kind == LONE_SURVIVOR {
                    rng.random_range(11_000..20_000)
                } else {
                    lasts
                };
                let lasts = lasts.min((length - QUIET).saturating_sub(at)).max(20);
                let fault = plan.fault(kind, &mut rng);
                last = last.max(lasts);
                let offset = if together > 1 {
                    rng.random_range(0..500)
                } else {
                    0
                };
                plan.faults.push(Timed {
                    at: at + offset,
                    lasts,
                    fault,
                });
            }
            let pause = match rng.random_range(0..3) {
                0 => rng.random_range(100..2_000),
                1 => rng.random_range(2_000..5_000),
                _ => rng.random_range(5_000..9_000),
            };
            at += last + 500 + pause;
        }
        plan
    }

    /// So many hours in which nothing fails.
    #[must_use]
    pub fn calm(hours: u32) -> Self {
        Self {
            seed: 1,
            nodes: 3,
            addresses: 10,
            gateway: true,
            profile: Profile::DEFAULT,
            loss: 0,
            separate: false,
            newer: 0,
            rebalance: false,
            length: u64::from(hours) * 3_600_000,
            faults: Vec::new(),
        }
    }

    /// All nodes but that one.
    const fn all_but(&self, node: usize) -> Nodes {
        ((1 << self.nodes) - 1) & !(1 << node)
    }

    /// Some of the nodes, but neither none nor all.
    pub fn some_nodes(&self, rng: &mut Xoshiro256PlusPlus) -> Nodes {
        rng.random_range(1..(1 << self.nodes) - 1)
    }

    fn fault(&self, kind: u32, rng: &mut Xoshiro256PlusPlus) -> Fault {
        let node = rng.random_range(0..self.nodes);
        let other = (node + rng.random_range(1..self.nodes)) % self.nodes;
        let address = rng.random_range(0..self.addresses);
        match kind {
            0 => Fault::Crash(1 << node),
            1 => Fault::Crash(self.some_nodes(rng)),
            2 => Fault::Kill(node),
            3 => Fault::Pause(node),
            4 => Fault::Late(node, rng.random_range(10..300)),
            5 => Fault::Mute(node),
            6 => Fault::Deaf(node),
            7 => Fault::OneWay(node, other),
            8 => Fault::Unplugged(node),
            9 => Fault::Split(self.some_nodes(rng)),
            10 => Fault::Filter(self.some_nodes(rng)),
            11 => Fault::NoDatagrams,
            12 => Fault::SendFails(node),
            13 => Fault::Loss(rng.random_range(50..500)),
            14 => Fault::Bursts(node),
            15 => Fault::Delay(rng.random_range(2..120)),
            16 => Fault::Duplicates,
            17 => Fault::SwitchRestart,
            18 => Fault::FlushForwarding,
            19 => Fault::NoApi(self.some_nodes(rng) | rng.random_range(0..1 << self.nodes)),
            20 => Fault::Exclude(node),
            21 => Fault::Leave(node),
            22 => Fault::KillAll,
            23 => Fault::Unassign(address),
            24 => Fault::MoveTo(address, node),
            25 => Fault::Stranger(address),
            26 => Fault::NewMac(node),
            27 => Fault::Blocked(node),
            28 => Fault::Ageing(rng.random_range(20..2_000)),
            29 => Fault::Disorder(self.some_nodes(rng) | rng.random_range(0..1 << self.nodes)),
            30 => Fault::Rotate,
            31 => Fault::Questions,
            _ => Fault::Crash(self.all_but(node)),
        }
    }
}

/// How many kinds of faults there are.
const KINDS: u32 = 33;

/// All nodes but one lose power, for so long that the one is asked by nobody and asks nobody any more.
const LONE_SURVIVOR: u32 = 32;
