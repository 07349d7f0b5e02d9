//! The stations that are no nodes: what they ask, learn and answer.

use std::net::{IpAddr, Ipv4Addr};

use bellwether_core::frame::arp::{Arp, Operation};
use bellwether_core::frame::{Frame, Packet};
use bellwether_core::mac::MacAddr;
use rand::RngExt;

use super::{MILLISECOND, Next, World};
use crate::history::Time;
use crate::host::{Question, Told};
use crate::node::{self, GATEWAY, index_of};
use crate::plan::Fault;

/// How often a host asks that remembers nothing.
const ASKING: Time = 10 * MILLISECOND;

/// How often a host has something to say to one of the addresses.
pub(super) const HOST_INTERVAL: Time = 700 * MILLISECOND;

impl World<'_> {
    pub(super) fn host_asks(&mut self, host: usize) {
        let forgetful = self.faults().any(|fault| fault == Fault::Questions);
        let interval = if forgetful { ASKING } else { HOST_INTERVAL };
        let jitter = self.rng.random_range(0..interval);
        self.schedule(self.now + interval / 2 + jitter, Next::Ask(host));
        let address = self.rng.random_range(0..self.plan.addresses);
        let question = self.hosts[host].question(address, self.now);
        if let Some(question) = question.or(forgetful.then_some(Question::All))
            && let IpAddr::V4(target_ip) = node::address(address)
        {
            let mac = host_mac(host);
            let host_octet = u8::try_from(host).unwrap_or(0);
            self.send_frame(
                host + self.plan.nodes,
                Frame {
                    destination: match question {
                        Question::All => MacAddr::BROADCAST,
                        Question::Known(known) => known,
                    },
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

    pub(super) fn host_receives(&mut self, host: usize, frame: &Frame) {
        let Packet::Arp(arp) = frame.packet else {
            return;
        };
        if let Some(address) = index_of(arp.sender_ip.into(), self.plan.addresses) {
            let told = match (frame.destination, arp.operation) {
                (MacAddr::BROADCAST, Operation::Request) => Told::Request,
                (MacAddr::BROADCAST, _) => Told::Reply,
                _ => Told::Answer,
            };
            self.hosts[host].learn(address, arp.sender_mac, self.now, told);
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

    pub(super) fn reply(&mut self, host: usize, frame: &Frame, arp: Arp, sender_ip: Ipv4Addr) {
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

    pub(super) fn stranger_announces(&mut self, address: usize) {
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

pub(super) fn host_mac(host: usize) -> MacAddr {
    MacAddr([2, 1, 0, 0, 0, u8::try_from(host).unwrap_or(u8::MAX)])
}
