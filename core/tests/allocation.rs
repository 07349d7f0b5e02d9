//! A speaker that goes on as before takes no memory: not for beacons in and out, which are signed,
//! encrypted and opened, nor for announcements, nor for answers.
//!
//! In a binary of its own, because all that is allocated in it is counted.

#![expect(clippy::expect_used, reason = "a test may panic where it cannot go on")]

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use bellwether_core::announcer::{self, Announcer};
use bellwether_core::election::{Assignment, Config, Election, Input, Output};
use bellwether_core::frame::arp::{Arp, Operation};
use bellwether_core::frame::beacon::Session;
use bellwether_core::frame::beacon::keyring::Keyring;
use bellwether_core::frame::{Frame, Packet};
use bellwether_core::link::{Link, LinkIndex, Links};
use bellwether_core::mac::MacAddr;
use bellwether_core::membership::Channel;
use bellwether_core::membership::timing::Profile;
use bellwether_core::moment::Moment;
use bellwether_core::placement::{Candidate, Interfaces};
use bellwether_core::responder::{Delivery, Received, Verdict, respond};

const NODES: [&str; 4] = ["a", "b", "c", "d"];
const ADDRESSES: u8 = 50;
const LINK: LinkIndex = LinkIndex(1);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const GATEWAY_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xfe]);

fn mac(node: usize) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, u8::try_from(node).expect("few nodes")])
}

fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, 100 + number)
}

struct Node {
    election: Election,
    announcer: Announcer,
    links: Links,
}

impl Node {
    fn new(number: usize) -> Self {
        let link = Link {
            name: "eth0".into(),
            mac: mac(number),
            carrier: true,
            addresses: BTreeSet::new(),
            networks: "192.0.2.0/24".parse().into_iter().collect(),
            link_local: None,
            router: false,
            gateways: BTreeSet::from([GATEWAY.into()]),
            ports: BTreeSet::new(),
        };
        let config = Config {
            node: NODES[number].into(),
            session: Session(1 + number as u64),
            profile: Profile::DEFAULT,
            rebalance: false,
        };
        let links: Links = [(LINK, link)].into_iter().collect();
        let mut announcer = Announcer::new(announcer::Config::default());
        announcer.handle(announcer::Input::Links(links.clone()), Moment::ORIGIN);
        Self {
            election: Election::new(config, Moment::ORIGIN),
            announcer,
            links,
        }
    }
}

/// Four speakers on one link, who hear each other at once.
struct Segment {
    nodes: Vec<Node>,
    keyring: Keyring,
    octets: Vec<u8>,
    now: Moment,
    answers: u64,
    announcements: u64,
}

impl Segment {
    fn new() -> Self {
        let secrets = BTreeMap::from([(1, vec![7; 32])]);
        let mut segment = Self {
            nodes: (0..NODES.len()).map(Node::new).collect(),
            keyring: Keyring::new("cluster", secrets, 1).expect("a ring"),
            octets: Vec::new(),
            now: Moment::ORIGIN,
            answers: 0,
            announcements: 0,
        };
        for node in 0..NODES.len() {
            let links = segment.nodes[node].links.clone();
            segment.tell(node, Input::Links(links));
        }
        for number in 0..ADDRESSES {
            let mut candidates: Vec<_> = NODES
                .iter()
                .map(|&node| Candidate {
                    node: node.into(),
                    interfaces: Interfaces::All,
                    preference: 0,
                })
                .collect();
            candidates.rotate_left(usize::from(number) % NODES.len());
            let assignment = Assignment {
                candidates,
                recorded: None,
                move_to: None,
            };
            for node in 0..NODES.len() {
                let input = Input::Assign {
                    address: address(number).into(),
                    assignment: assignment.clone(),
                };
                segment.tell(node, input);
            }
        }
        segment
    }

    fn tell(&mut self, node: usize, input: Input) {
        let taken = self.nodes[node].election.handle(input, self.now);
        taken.expect("nothing is ignored");
        self.act(node);
    }

    fn act(&mut self, node: usize) {
        let now = self.now;
        while let Some(output) = self.nodes[node].election.poll_output() {
            let announcer = &mut self.nodes[node].announcer;
            match output {
                Output::Beacon { channel, beacon } => {
                    self.octets.clear();
                    match channel {
                        Channel::Link(_) => self.keyring.seal(&beacon, &mut self.octets),
                        Channel::Unicast => self.keyring.seal_datagram(&beacon, &mut self.octets),
                    }
                    self.nodes[node].election.spares().put(beacon);
                    let sent = Input::Sent { channel };
                    let taken = self.nodes[node].election.handle(sent, now);
                    taken.expect("nothing is ignored");
                    self.deliver(node, channel);
                }
                Output::Probe { link, address } if address == GATEWAY => {
                    let mac = GATEWAY_MAC;
                    self.tell(node, Input::Seen { link, address, mac });
                }
                Output::Own(owned) | Output::Relink(owned) => announcer.handle(
                    announcer::Input::Own {
                        address: owned.address,
                        interfaces: owned.interfaces,
                    },
                    now,
                ),
                Output::Release { address, .. } => {
                    announcer.handle(announcer::Input::Release { address }, now);
                }
                Output::Announce { address } => {
                    announcer.handle(announcer::Input::Again { address }, now);
                }
                Output::Defend { address } => {
                    announcer.handle(announcer::Input::Once { address }, now);
                }
                Output::Probe { .. } | Output::Conflict { .. } | Output::Left => {}
            }
        }
        while let Some(output) = self.nodes[node].announcer.poll_output() {
            if let announcer::Output::Send { frame, .. } = output {
                self.announcements += u64::from(!frame.encode().as_octets().is_empty());
            }
        }
    }

    fn deliver(&mut self, from: usize, channel: Channel) {
        let octets = std::mem::take(&mut self.octets);
        for node in (0..NODES.len()).filter(|&node| node != from) {
            let spares = self.nodes[node].election.spares();
            let opened = match channel {
                Channel::Link(_) => self.keyring.open(&octets, spares),
                Channel::Unicast => self.keyring.open_datagram(&octets, spares),
            };
            let input = Input::Beacon {
                channel,
                beacon: opened.expect("genuine"),
                at: self.now,
            };
            let taken = self.nodes[node].election.handle(input, self.now);
            taken.expect("no recording");
        }
        self.octets = octets;
    }

    /// Somebody asks for an address.
    fn ask(&mut self, asked: Ipv4Addr) {
        let question = Frame {
            destination: MacAddr::BROADCAST,
            source: GATEWAY_MAC,
            vlan: None,
            packet: Packet::Arp(Arp {
                operation: Operation::Request,
                sender_mac: GATEWAY_MAC,
                sender_ip: GATEWAY,
                target_mac: MacAddr::ZERO,
                target_ip: asked,
            }),
        };
        let octets = question.encode();
        let received = Received {
            octets: octets.as_octets(),
            delivery: Delivery::Broadcast,
        };
        for node in &self.nodes {
            let link = node.links.get(LINK).expect("the link");
            let may = node.election.may_answer(LINK, self.now);
            let announces = |address: IpAddr| {
                may && node.announcer.announces(address, LINK)
                    && !node.election.was_others(address, self.now)
            };
            if let Verdict::Answer(frame) = respond(&received, link, &node.links, announces) {
                self.answers += u64::from(!frame.encode().as_octets().is_empty());
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            for node in 0..NODES.len() {
                self.nodes[node].election.on_deadline(self.now);
                self.nodes[node].announcer.on_deadline(self.now);
                self.act(node);
            }
            self.ask(address(7));
            self.now += Duration::from_millis(5);
        }
    }
}

#[test]
fn at_rest_nothing_is_allocated() {
    let mut segment = Segment::new();
    segment.pass(Duration::from_secs(15));
    let owned = segment.nodes.iter().map(|node| node.election.owned_count());
    assert_eq!(owned.sum::<usize>(), usize::from(ADDRESSES));
    let before = (segment.answers, segment.announcements);

    let seen = Cell::new((0, 0));
    let counted = allocation_counter::measure(|| {
        segment.pass(Duration::from_secs(75));
        seen.set((segment.answers, segment.announcements));
    });
    let (answers, announcements) = seen.get();
    assert_eq!(answers - before.0, 15_000, "one for each question");
    assert!(
        announcements - before.1 >= 2 * u64::from(ADDRESSES),
        "each address is announced again, by two frames"
    );
    assert_eq!(counted.count_total, 0, "{counted:?}");
}
