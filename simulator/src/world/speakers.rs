//! The speakers: how they start, stop and wake up, and what they do to the world.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bellwether_core::announcer;
use bellwether_core::election::{Config, Input, Output};
use bellwether_core::frame::Packet;
use bellwether_core::frame::beacon::Session;
use bellwether_core::mac::MacAddr;
use bellwether_core::moment::Moment;
use rand::RngExt;

use super::api::RELIST;
use super::{MILLISECOND, Next, World};
use crate::history::{Time, What};
use crate::node::{self, Effect, LINK, Node, index_of};
use crate::plan::Fault;

impl World<'_> {
    pub(super) fn start(&mut self, index: usize) {
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
        let generation = place.starts;
        place.keys = self.keys.newest;
        let now = Moment::from_nanos(self.now);
        let config = Config {
            node: place.name.clone(),
            session: Session(session),
            profile: self.plan.profile,
            rebalance: self.plan.rebalance,
        };
        let node = Node::start(
            config,
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
        let relist = self.now + self.rng.random_range(0..RELIST);
        self.schedule(relist, Next::Relist(index, generation));
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

    pub(super) fn stop(&mut self, index: usize) {
        let place = &mut self.places[index];
        place.generation += 1;
        place.turn_at = None;
        place.paused_at = None;
        place.answering = false;
        if place.node.take().is_some() {
            self.note(What::Ended(index));
        }
    }

    pub(super) fn mac(&self, node: usize) -> MacAddr {
        let node_octet = u8::try_from(node).unwrap_or(u8::MAX);
        MacAddr([2, 0, 0, 0, self.places[node].mac, node_octet])
    }

    pub(super) fn node_with(&self, mac: MacAddr) -> Option<usize> {
        (0..self.plan.nodes).find(|&node| self.mac(node) == mac)
    }

    pub(super) fn links_of(&self, node: usize) -> bellwether_core::link::Links {
        let unplugged = self.faults().any(|fault| fault == Fault::Unplugged(node));
        let gateway = self.plan.gateway.then_some(node::GATEWAY);
        node::links(self.mac(node), !unplugged, node::NETWORK, gateway)
    }

    pub(super) fn renew_links(&mut self, index: usize) {
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

    /// Tells the election of a node something, if it runs.
    pub(super) fn tell(&mut self, index: usize, input: Input) {
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

    pub(super) fn turn(&mut self, index: usize) {
        let Some(node) = &mut self.places[index].node else {
            return;
        };
        node.turn(self.now);
        self.carry_out(index);
    }

    /// Does to the world what the node has decided.
    pub(super) fn carry_out(&mut self, index: usize) {
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
                Effect::Answer(frame, asked) => {
                    if let Packet::Arp(arp) = frame.packet
                        && let Some(address) = self.index(index, arp.sender_ip)
                    {
                        self.note(What::Answered {
                            node: index,
                            address,
                            asked,
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

    pub(super) fn decided(&mut self, node: usize, output: Output) {
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

    /// The loop of the node runs at `at`, and a bit later.
    pub(super) fn wake(&mut self, index: usize, at: Time) {
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

    pub(super) fn plan_turn(&mut self, index: usize) {
        let now = self.now;
        let deadline = self.places[index]
            .node
            .as_ref()
            .and_then(|node| node.next_deadline(now));
        if let Some(deadline) = deadline {
            self.wake(index, deadline);
        }
    }
}
