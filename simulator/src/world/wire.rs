//! What is sent, and whom it reaches.

use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

use bellwether_core::frame::beacon::Beacon;
use bellwether_core::frame::{Frame, Packet};
use bellwether_core::mac::MacAddr;
use bellwether_core::membership::Channel;

use super::stations::host_mac;
use super::{Next, World};
use crate::history::{Time, What};
use crate::network::Kind;
use crate::node::{Arrived, index_of};

impl World<'_> {
    pub(super) fn note_announcement(&mut self, node: usize, frame: &Frame) {
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

    pub(super) fn index(&mut self, node: usize, address: Ipv4Addr) -> Option<usize> {
        let index = index_of(IpAddr::from(address), self.plan.addresses);
        if index.is_none() {
            self.note(What::Alien(node));
        }
        index
    }

    pub(super) fn send_beacon(&mut self, from: usize, channel: Channel, beacon: Beacon) {
        let kind = if channel == Channel::Unicast {
            Kind::Datagram
        } else {
            let lateness = beacon.pulse.lateness.as_nanos();
            self.note(What::Beacon {
                node: from,
                lateness: Time::try_from(lateness).unwrap_or(Time::MAX),
            });
            self.network.learn(self.mac(from), from, self.now);
            Kind::Beacon
        };
        let arrived = self.seal(from, channel, beacon);
        if kind == Kind::Beacon {
            self.tape.record(&arrived, &mut self.rng);
        }
        for to in 0..self.plan.nodes {
            if to == from || self.places[to].node.is_none() {
                continue;
            }
            let arrivals = self.network.arrivals(kind, from, to, &mut self.rng);
            for takes in arrivals.into_iter().flatten() {
                self.schedule(self.now + takes, Next::Arrive(to, arrived.clone()));
            }
        }
    }

    pub(super) fn send_frame(&mut self, from: usize, frame: Frame) {
        self.network.learn(frame.source, from, self.now);
        let ports = self.plan.nodes + self.hosts.len();
        let target = self.network.port_of(frame.destination, self.now);
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

    /// Something arrives: when it was sent, or, if it is not `live`, as a recording.
    pub(super) fn arrive(&mut self, port: usize, arrived: Arrived, live: bool) {
        if let Some(host) = port.checked_sub(self.plan.nodes) {
            if let Arrived::Frame(frame) = arrived
                && [MacAddr::BROADCAST, host_mac(host)].contains(&frame.destination)
            {
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
        let Some(arrived) = self.open(port, arrived, live) else {
            return;
        };
        let now = self.now;
        if let Some(node) = &mut self.places[port].node {
            node.receive(now, arrived);
            self.wake(port, now);
        }
    }
}
