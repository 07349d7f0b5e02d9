//! A node: the speaker's loop around the unchanged core.

use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

use bellwether_core::announcer::{self, Announcer};
use bellwether_core::election::{Config, Election, Input, Output};
use bellwether_core::frame::Frame;
use bellwether_core::frame::beacon::Beacon;
use bellwether_core::frame::probe::probe;
use bellwether_core::link::{Link, LinkIndex, Links};
use bellwether_core::mac::MacAddr;
use bellwether_core::membership::Channel;
use bellwether_core::moment::Moment;
use bellwether_core::mutation::Mutation;
use bellwether_core::placement::Interfaces;
use bellwether_core::responder::{Delivery, Received, Verdict, respond};

use crate::history::Time;

/// The link of each node.
pub const LINK: LinkIndex = LinkIndex(1);

/// The gateway.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// The network that nodes, gateway and addresses are in.
pub const NETWORK: &str = "192.0.2.0/24";

/// More frames than this are not kept for a loop that does not run; those that came first are.
const INBOX: usize = 400;

/// A turn of the loop, in which at most [`INBOX`] frames are read, does less than this to the outside.
pub(crate) const MOST_EFFECTS: usize = 100_000;

/// The address of that number.
#[must_use]
pub fn address(index: usize) -> IpAddr {
    let host = u8::try_from(index + 100).unwrap_or(u8::MAX);
    IpAddr::from([192, 0, 2, host])
}

/// The number of that address, if it is one of so many.
#[must_use]
pub fn index_of(address: IpAddr, addresses: usize) -> Option<usize> {
    let IpAddr::V4(address) = address else {
        return None;
    };
    let [.., host] = address.octets();
    let index = usize::from(host).checked_sub(100)?;
    (index < addresses).then_some(index)
}

/// Something that came in.
#[derive(Clone, Debug)]
pub enum Arrived {
    /// A beacon.
    Beacon(Channel, Rc<Beacon>),
    /// A beacon as it is on the wire.
    Sealed(Channel, Rc<Vec<u8>>),
    /// An ARP frame.
    Frame(Rc<Frame>),
}

/// What a node does to the outside.
#[derive(Debug)]
pub enum Effect {
    /// Sends a beacon.
    Beacon(Channel, Beacon),
    /// Announces or asks.
    Send(Frame),
    /// Answers a question that had come in at that time.
    Answer(Frame, Time),
    /// Says what the election has decided.
    Decided(Output),
}

/// A running speaker.
#[derive(Debug)]
pub struct Node {
    /// The election.
    pub election: Election,
    announcer: Announcer,
    links: Links,
    /// What has come in, and when.
    pub inbox: VecDeque<(Time, Arrived)>,
    /// What it does, in this order.
    pub effects: Vec<Effect>,
    /// Beacons cannot be sent.
    pub send_fails: bool,
    /// Its election has more and more to do in one turn of the loop.
    pub stuck: bool,
    /// What is still to be answered, and when it came in.
    arp: Vec<(Time, Rc<Frame>)>,
}

impl Node {
    /// A speaker that starts now.
    #[must_use]
    pub fn start(
        config: Config,
        links: Links,
        announcing: announcer::Config,
        mutation: Option<Mutation>,
        now: Moment,
    ) -> Self {
        let election = match mutation {
            Some(mutation) => Election::mutant(config, now, mutation),
            None => Election::new(config, now),
        };
        let mut node = Self {
            election,
            announcer: Announcer::new(announcing),
            links: Links::default(),
            inbox: VecDeque::new(),
            effects: Vec::new(),
            send_fails: false,
            stuck: false,
            arp: Vec::new(),
        };
        node.set_links(links, now);
        node
    }

    /// The links are these from now on.
    pub fn set_links(&mut self, links: Links, now: Moment) {
        self.links = links.clone();
        self.announcer
            .handle(announcer::Input::Links(links.clone()), now);
        self.tell(Input::Links(links), now);
    }

    /// Tells the election something.
    pub fn tell(&mut self, input: Input, now: Moment) {
        let _ignored = self.election.handle(input, now);
        self.act(now);
    }

    /// Something comes in.
    pub fn receive(&mut self, at: Time, arrived: Arrived) {
        if self.inbox.len() < INBOX {
            self.inbox.push_back((at, arrived));
        }
    }

    /// One turn of the loop: what has come in, what is due, what has been asked.
    pub fn turn(&mut self, time: Time) {
        let now = Moment::from_nanos(time);
        while let Some((at, arrived)) = self.inbox.pop_front() {
            match arrived {
                Arrived::Beacon(channel, beacon) => {
                    let beacon = (*beacon).clone();
                    let at = Moment::from_nanos(at);
                    self.tell(
                        Input::Beacon {
                            channel,
                            beacon,
                            at,
                        },
                        now,
                    );
                }
                Arrived::Frame(frame) => self.arp.push((at, frame)),
                // It is opened before it comes here.
                Arrived::Sealed(..) => {}
            }
        }
        self.election.on_deadline(now);
        self.act(now);
        let frames = std::mem::take(&mut self.arp);
        for (at, frame) in &frames {
            self.serve(frame, *at, now);
        }
        self.announcer.on_deadline(now);
        self.announce(now);
    }

    /// When the loop has to run again.
    #[must_use]
    pub fn next_deadline(&self, now: Time) -> Option<Time> {
        let moment = Moment::from_nanos(now);
        let announcer = self
            .announcer
            .next_deadline()
            .filter(|_| self.election.may_answer(LINK, moment));
        [self.election.next_deadline(), announcer]
            .into_iter()
            .flatten()
            .min()
            .map(Moment::as_nanos)
    }

    /// Answers what has come in at that time. Of an address that is handed over each question is
    /// answered by the one whose it was when it came.
    fn serve(&mut self, frame: &Frame, at: Time, now: Moment) {
        if let Some((address, mac)) = frame.claim() {
            let link = LINK;
            self.tell(Input::Seen { link, address, mac }, now);
        }
        let Some(link) = self.links.get(LINK) else {
            return;
        };
        let octets = frame.encode();
        let received = Received {
            octets: octets.as_octets(),
            delivery: if frame.destination == MacAddr::BROADCAST {
                Delivery::Broadcast
            } else {
                Delivery::Host
            },
        };
        let may = self.election.may_answer(LINK, now);
        let asked_at = Moment::from_nanos(at);
        let verdict = respond(&received, link, &self.links, |address| {
            may && if self.announcer.announces(address, LINK) {
                !self.election.was_others(address, asked_at)
            } else {
                self.election.was_owner(address, LINK, asked_at)
            }
        });
        if let Verdict::Answer(answer) = verdict {
            self.effects.push(Effect::Answer(answer, at));
        }
    }

    fn act(&mut self, now: Moment) {
        let mut acted = false;
        while let Some(output) = self.election.poll_output() {
            if self.effects.len() > MOST_EFFECTS {
                self.stuck = true;
                return;
            }
            acted = true;
            match output {
                Output::Beacon { channel, beacon } => {
                    if self.send_fails {
                        continue;
                    }
                    self.effects.push(Effect::Beacon(channel, beacon));
                    let _taken = self.election.handle(Input::Sent { channel }, now);
                }
                Output::Probe { link, address } => self.ask(link, address),
                Output::Announce { address } => {
                    let again = announcer::Input::Again { address };
                    self.announcer.handle(again, now);
                }
                Output::Defend { address } => {
                    let once = announcer::Input::Once { address };
                    self.announcer.handle(once, now);
                }
                Output::Own(ref owned) | Output::Relink(ref owned) => {
                    let own = announcer::Input::Own {
                        address: owned.address,
                        interfaces: owned.interfaces.clone(),
                    };
                    self.announcer.handle(own, now);
                    self.effects.push(Effect::Decided(output));
                    self.announce(now);
                }
                Output::Release { address, .. } => {
                    self.announcer
                        .handle(announcer::Input::Release { address }, now);
                    self.effects.push(Effect::Decided(output));
                }
                Output::Conflict { .. } | Output::Left => {
                    self.effects.push(Effect::Decided(output));
                }
            }
        }
        if acted {
            self.announce(now);
        }
    }

    fn announce(&mut self, now: Moment) {
        while self.election.may_answer(LINK, now) {
            match self.announcer.poll_output() {
                Some(announcer::Output::Send { frame, .. }) => {
                    self.effects.push(Effect::Send(frame));
                }
                Some(_) => {}
                None => break,
            }
        }
    }

    fn ask(&mut self, link: LinkIndex, address: IpAddr) {
        let Some(link) = self.links.get(link) else {
            return;
        };
        self.effects.push(Effect::Send(probe(address, link.mac)));
    }
}

/// The links of a node: one, in a network that may have a gateway.
#[must_use]
pub fn links(mac: MacAddr, carrier: bool, network: &str, gateway: Option<Ipv4Addr>) -> Links {
    let link = Link {
        name: "eth0".into(),
        mac,
        carrier,
        addresses: BTreeSet::new(),
        networks: network.parse().into_iter().collect(),
        link_local: None,
        router: false,
        gateways: gateway.into_iter().map(IpAddr::from).collect(),
        ports: BTreeSet::new(),
    };
    [(LINK, link)].into_iter().collect()
}

/// All links are allowed.
pub const EVERYWHERE: Interfaces = Interfaces::All;
