//! The cables and the switch: which frame reaches whom, and when.

use std::collections::BTreeMap;

use bellwether_core::mac::MacAddr;
use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;

use crate::history::Time;
use crate::plan::{Fault, Nodes, Plan};

const MILLISECOND: Time = 1_000_000;

/// The ageing time that IEEE 802.1D recommends.
const AGEING: Time = 300_000 * MILLISECOND;

/// What kind of frame passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A beacon on a link.
    Beacon,
    /// ARP.
    Arp,
    /// A datagram between nodes.
    Datagram,
}

/// The network as it is now. Ports from 0 on are those of the nodes; behind them come hosts.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fault that is there or not"
)]
pub struct Network {
    nodes: usize,
    loss: u32,
    separate: bool,
    mute: Nodes,
    deaf: Nodes,
    unplugged: Nodes,
    one_way: Vec<(usize, usize)>,
    splits: Vec<Nodes>,
    filters: Vec<Nodes>,
    no_datagrams: bool,
    more_loss: u32,
    bursts: Nodes,
    /// Whether a cable loses everything just now.
    in_burst: Vec<bool>,
    delay: u64,
    duplicates: bool,
    down: bool,
    blocked: Nodes,
    flushing: bool,
    /// For how long the switch remembers a station.
    ageing: Time,
    /// The port that a station was seen on, and when; frames for others go to all.
    forwarding: BTreeMap<MacAddr, (usize, Time)>,
}

impl Network {
    /// The network of that run, before anything goes wrong, with so many hosts.
    #[must_use]
    pub fn new(plan: &Plan, hosts: usize) -> Self {
        Self {
            nodes: plan.nodes,
            loss: plan.loss,
            separate: plan.separate,
            mute: 0,
            deaf: 0,
            unplugged: 0,
            one_way: Vec::new(),
            splits: Vec::new(),
            filters: Vec::new(),
            no_datagrams: false,
            more_loss: 0,
            bursts: 0,
            in_burst: vec![false; plan.nodes + hosts],
            delay: 0,
            duplicates: false,
            down: false,
            blocked: 0,
            flushing: false,
            ageing: AGEING,
            forwarding: BTreeMap::new(),
        }
    }

    /// These faults are there now.
    pub fn set(&mut self, faults: impl Iterator<Item = Fault>) {
        let before = (self.down, self.flushing, self.blocked, self.unplugged);
        (self.mute, self.deaf, self.unplugged, self.bursts) = (0, 0, 0, 0);
        (self.blocked, self.flushing, self.ageing) = (0, false, AGEING);
        (self.more_loss, self.delay) = (0, 0);
        (self.no_datagrams, self.duplicates, self.down) = (false, false, false);
        self.one_way.clear();
        self.splits.clear();
        self.filters.clear();
        for fault in faults {
            match fault {
                Fault::Mute(node) => self.mute |= 1 << node,
                Fault::Deaf(node) => self.deaf |= 1 << node,
                Fault::Unplugged(node) => self.unplugged |= 1 << node,
                Fault::OneWay(from, to) => self.one_way.push((from, to)),
                Fault::Split(part) => self.splits.push(part),
                Fault::Filter(part) => self.filters.push(part),
                Fault::NoDatagrams => self.no_datagrams = true,
                Fault::Loss(thousandths) => self.more_loss = self.more_loss.max(thousandths),
                Fault::Bursts(node) => self.bursts |= 1 << node,
                Fault::Delay(milliseconds) => self.delay = self.delay.max(milliseconds),
                Fault::Duplicates => self.duplicates = true,
                Fault::SwitchRestart => self.down = true,
                Fault::FlushForwarding => self.flushing = true,
                Fault::Blocked(node) => self.blocked |= 1 << node,
                Fault::Ageing(most) => self.ageing = self.ageing.min(most * MILLISECOND),
                _ => {}
            }
        }
        if before != (self.down, self.flushing, self.blocked, self.unplugged) {
            self.forwarding.clear();
        }
    }

    /// The switch sees a frame of that station on that port.
    pub fn learn(&mut self, station: MacAddr, port: usize, now: Time) {
        let gone = self.mute | self.unplugged | self.blocked;
        let arrives = port >= self.nodes || gone & (1 << port) == 0;
        if arrives && !self.down {
            self.forwarding.insert(station, (port, now));
        }
    }

    /// The only port that frames for that station go to, if the switch remembers one.
    #[must_use]
    pub fn port_of(&self, station: MacAddr, now: Time) -> Option<usize> {
        let &(port, seen) = self.forwarding.get(&station)?;
        (now - seen <= self.ageing).then_some(port)
    }

    /// Whether a frame of that kind can get from port to port at all.
    #[must_use]
    pub fn passes(&self, kind: Kind, from: usize, to: usize) -> bool {
        if kind == Kind::Datagram {
            return !self.no_datagrams && (self.separate || self.wire_passes(from, to));
        }
        self.wire_passes(from, to)
            && (kind != Kind::Beacon
                || !self
                    .filters
                    .iter()
                    .any(|&part| self.is_in(part, from) != self.is_in(part, to)))
    }

    fn wire_passes(&self, from: usize, to: usize) -> bool {
        let has = |set: Nodes, port: usize| port < self.nodes && set & (1 << port) != 0;
        !self.down
            && !has(self.mute, from)
            && !has(self.deaf, to)
            && !has(self.unplugged | self.blocked, from)
            && !has(self.unplugged | self.blocked, to)
            && !self.one_way.contains(&(from, to))
            && !self
                .splits
                .iter()
                .any(|&part| self.is_in(part, from) != self.is_in(part, to))
    }

    /// Hosts are on the side of those that the set does not name.
    fn is_in(&self, set: Nodes, port: usize) -> bool {
        port < self.nodes && set & (1 << port) != 0
    }

    /// After how long a frame arrives, once for each time that it does.
    pub fn arrivals(
        &mut self,
        kind: Kind,
        from: usize,
        to: usize,
        rng: &mut Xoshiro256PlusPlus,
    ) -> [Option<Time>; 3] {
        let mut arrivals = [None; 3];
        if !self.passes(kind, from, to) {
            return arrivals;
        }
        let copies = if self.duplicates {
            rng.random_range(1..=3)
        } else {
            1
        };
        for arrival in arrivals.iter_mut().take(copies) {
            if self.is_lost(kind, from, to, rng) {
                continue;
            }
            let mut takes = rng.random_range(20_000..120_000);
            if self.delay > 0 && rng.random_range(0..4) == 0 {
                takes += rng.random_range(0..=self.delay) * MILLISECOND;
            }
            *arrival = Some(takes);
        }
        arrivals
    }

    fn is_lost(
        &mut self,
        kind: Kind,
        from: usize,
        to: usize,
        rng: &mut Xoshiro256PlusPlus,
    ) -> bool {
        let over_the_wire = kind != Kind::Datagram || !self.separate;
        if !over_the_wire {
            return false;
        }
        for port in [from, to] {
            // Gilbert's model: a cable is good or bad, and stays so for a while.
            if port < self.nodes && self.bursts & (1 << port) != 0 {
                let turn = if self.in_burst[port] { 5 } else { 40 };
                if rng.random_range(0..turn) == 0 {
                    self.in_burst[port] = !self.in_burst[port];
                }
                if self.in_burst[port] && rng.random_range(0..2) == 0 {
                    return true;
                }
            }
        }
        let loss = self.loss + self.more_loss;
        loss > 0 && rng.random_range(0..1000) < loss
    }
}
