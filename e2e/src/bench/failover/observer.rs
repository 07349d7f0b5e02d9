//! A station that asks again and again who has an address, and notes every frame that says so.
//!
//! Each question is asked from an address of its own, so that its answer tells which one it answers:
//! one that comes late is told from one that never comes.
//!
//! It runs on the gateway, not on the client: answers to its questions would set the client's
//! neighbour cache right, and how long that stays wrong is part of what clients see. It hears what
//! is broadcast too, so gratuitous ARP and unsolicited Neighbor Advertisements.
//!
//! It uses the product's own sockets and codecs. What it measures is who says what when, not
//! whether the octets are right; the speaker's tests compare those with the kernel.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bellwether_core::frame::arp::{Arp, Operation};
use bellwether_core::frame::ethernet::EtherType;
use bellwether_core::frame::ndp::{Solicitation, multicast_mac, solicited_node};
use bellwether_core::frame::{Frame, Packet};
use bellwether_core::link::LinkIndex;
use bellwether_core::mac::MacAddr;
use bellwether_core::moment::Moment;
use bellwether_speaker::clock;
use bellwether_speaker::filter::Instruction;
use bellwether_speaker::socket::PacketSocket;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin};

use super::sightings::{Kind, Sighting};
use crate::error::{Context, Error, Result};
use crate::lab::Lab;
use crate::network::Host;

/// How often it asks.
pub const INTERVAL: Duration = Duration::from_millis(2);

/// The host that it runs on.
const HOST: &str = "gateway";

/// Everything passes.
const EVERYTHING: [Instruction; 1] = [Instruction {
    code: 0x06,
    if_true: 0,
    if_false: 0,
    operand: u32::MAX,
}];

/// Asks for `address` as `host` on its link `eth0` until `stop`, and writes each sighting as a line
/// of JSON.
pub fn observe(
    address: IpAddr,
    host: &Host,
    stop: &AtomicBool,
    mut output: impl Write,
) -> Result<()> {
    let index = nix::net::if_::if_nametoindex("eth0").context(|| "there is no eth0".to_owned())?;
    let ether_type = match address {
        IpAddr::V4(_) => EtherType::ARP,
        IpAddr::V6(_) => EtherType::IPV6,
    };
    let socket = PacketSocket::open(LinkIndex(index), ether_type, &EVERYTHING)
        .context(|| "cannot open a packet socket".to_owned())?;
    let mac = host.mac().parse().map_err(unexpected)?;
    let mut questions = Questions::new(address, mac);
    let mut buffer = [0; 2048];
    let mut ask_at = clock::now();
    while !stop.load(Ordering::Relaxed) {
        if clock::now() >= ask_at {
            // A link that is down or full now is asked again soon.
            let now = clock::now();
            let _lost = socket.send(questions.next(now).encode().as_octets());
            // One that was held up does not catch up: the interval is the least.
            ask_at = now.max(ask_at + INTERVAL);
        }
        let pause = ask_at.since(clock::now()).as_millis();
        let pause = PollTimeout::from(u8::try_from(pause).unwrap_or(u8::MAX));
        let mut ready = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
        poll(&mut ready, pause).context(|| "cannot wait for frames".to_owned())?;
        let at = clock::now();
        while let Ok(Some(received)) = socket.receive(&mut buffer) {
            let Ok(frame) = Frame::parse(received.octets) else {
                continue;
            };
            if let Some(sighting) = questions.sighting(&frame, at) {
                write_line(&mut output, &sighting)?;
            }
        }
    }
    Ok(())
}

fn write_line(output: &mut impl Write, sighting: &Sighting) -> Result<()> {
    let line = serde_json::to_string(sighting).map_err(unexpected)?;
    output
        .write_all((line + "\n").as_bytes())
        .and_then(|()| output.flush())
        .context(|| "nobody reads what is observed".to_owned())
}

fn unexpected(error: impl std::fmt::Display) -> Error {
    Error::Unexpected(error.to_string())
}

/// Questions who has an address, numbered by the address that asks. Those are of the ranges for
/// benchmarks, 198.18.0.0/15 (RFC 2544) and `2001:2::/48` (RFC 5180), and nobody's.
struct Questions {
    address: IpAddr,
    mac: MacAddr,
    /// When each was asked, by its number modulo [`NUMBERS`].
    asked_at: Vec<Moment>,
    asked: u64,
}

/// How many questions are told apart: some minutes of them.
const NUMBERS: u64 = 1 << 17;

const ASKERS_IPV4: u32 = Ipv4Addr::new(198, 18, 0, 0).to_bits();
const ASKERS_IPV6: u128 = Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0, 0).to_bits();

impl Questions {
    fn new(address: IpAddr, mac: MacAddr) -> Self {
        Self {
            address,
            mac,
            asked_at: vec![Moment::ORIGIN; usize::try_from(NUMBERS).unwrap_or_default()],
            asked: 0,
        }
    }

    /// The next question, which is asked now.
    fn next(&mut self, now: Moment) -> Frame {
        self.asked += 1;
        let number = u32::try_from(self.asked % NUMBERS).unwrap_or_default();
        if let Some(asked_at) = self.asked_at.get_mut(number as usize) {
            *asked_at = now;
        }
        let (destination, packet) = match self.address {
            IpAddr::V4(target) => {
                let arp = Arp {
                    operation: Operation::Request,
                    sender_mac: self.mac,
                    sender_ip: Ipv4Addr::from_bits(ASKERS_IPV4 | number),
                    target_mac: MacAddr::ZERO,
                    target_ip: target,
                };
                (MacAddr::BROADCAST, Packet::Arp(arp))
            }
            IpAddr::V6(target) => {
                let group = solicited_node(target);
                let solicitation = Solicitation {
                    source: Ipv6Addr::from_bits(ASKERS_IPV6 | u128::from(number)),
                    destination: group,
                    target,
                    source_mac: Some(self.mac),
                };
                (multicast_mac(group), Packet::Solicitation(solicitation))
            }
        };
        Frame {
            destination,
            source: self.mac,
            vlan: None,
            packet,
        }
    }

    /// What a frame that came in at `at` tells of the address, if it does.
    fn sighting(&self, frame: &Frame, at: Moment) -> Option<Sighting> {
        let (is_told, mac, asker) = match frame.packet {
            Packet::Arp(arp) => (
                IpAddr::V4(arp.sender_ip) == self.address,
                arp.sender_mac,
                arp.target_ip.to_bits() ^ ASKERS_IPV4,
            ),
            Packet::Advertisement(advertisement) => (
                IpAddr::V6(advertisement.target) == self.address,
                advertisement.target_mac.unwrap_or(frame.source),
                u32::try_from(advertisement.destination.to_bits() ^ ASKERS_IPV6)
                    .unwrap_or(u32::MAX),
            ),
            Packet::Solicitation(_) => return None,
        };
        let number = Some(u64::from(asker)).filter(|&number| number < NUMBERS);
        let (kind, question, asked_at) = match number {
            Some(number) => {
                let ago = (self.asked + NUMBERS - number) % NUMBERS;
                let index = usize::try_from(number).unwrap_or_default();
                let asked_at = self.asked_at.get(index).copied()?;
                (Kind::Answer, self.asked.checked_sub(ago)?, asked_at)
            }
            None => (Kind::Announcement, self.asked, at),
        };
        is_told.then_some(Sighting {
            at,
            mac,
            kind,
            question,
            asked_at,
        })
    }
}

/// An observer at work in a lab. It ends when this is dropped.
pub struct Observer {
    sightings: Arc<Mutex<Vec<Sighting>>>,
    _child: Child,
    /// It ends when this is closed.
    _stdin: ChildStdin,
}

impl Observer {
    /// Lets one observe `address`.
    pub fn start(lab: &Lab, address: IpAddr) -> Result<Self> {
        let mut child = lab
            .command(HOST, lab.executable())
            .args(["observe", HOST, &address.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context(|| "cannot start an observer".to_owned())?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::Unexpected("a piped stream is missing".to_owned()));
        };
        let sightings = Arc::<Mutex<Vec<Sighting>>>::default();
        let log = sightings.clone();
        tokio::spawn(async move {
            let mut lines = BufReader::new(stdout).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                if let Ok(sighting) = serde_json::from_str(&line) {
                    log.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(sighting);
                }
            }
        });
        Ok(Self {
            sightings,
            _child: child,
            _stdin: stdin,
        })
    }

    /// What was seen since then.
    #[must_use]
    pub fn since(&self, moment: Moment) -> Vec<Sighting> {
        let all = self
            .sightings
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let start = all.partition_point(|sighting| sighting.at < moment);
        all.get(start..).unwrap_or_default().to_vec()
    }

    /// Forgets what was seen before then.
    pub fn forget(&self, moment: Moment) {
        self.sightings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|sighting| sighting.at >= moment);
    }
}

#[cfg(test)]
mod tests {
    use bellwether_core::frame::ndp::Advertisement;

    use super::*;

    const ASKER: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const OWNER: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

    fn answer(question: &Frame) -> Frame {
        let packet = match question.packet {
            Packet::Arp(arp) => Packet::Arp(Arp {
                operation: Operation::Reply,
                sender_mac: OWNER,
                sender_ip: arp.target_ip,
                target_mac: arp.sender_mac,
                target_ip: arp.sender_ip,
            }),
            Packet::Solicitation(asked) => Packet::Advertisement(Advertisement {
                source: "fe80::2".parse().expect("an address"),
                destination: asked.source,
                target: asked.target,
                router: false,
                solicited: true,
                overrides: true,
                target_mac: Some(OWNER),
            }),
            Packet::Advertisement(_) => panic!("no question: {question:?}"),
        };
        Frame {
            destination: ASKER,
            source: OWNER,
            vlan: None,
            packet,
        }
    }

    #[test]
    fn an_answer_tells_which_question_it_answers_however_late() {
        for address in ["192.0.2.128", "2001:db8::1"] {
            let mut questions = Questions::new(address.parse().expect("an address"), ASKER);
            let asked = |number: u64| Moment::from_millis(2 * number);
            let mut late = None;
            // Past the point at which numbers begin anew.
            for number in 1..=NUMBERS + 5 {
                let question = questions.next(asked(number));
                if number == NUMBERS - 3 {
                    late = Some(question);
                }
            }
            let at = asked(NUMBERS + 6);
            let seen = questions.sighting(&answer(&late.expect("asked")), at);
            let expected = Sighting {
                at,
                mac: OWNER,
                kind: Kind::Answer,
                question: NUMBERS - 3,
                asked_at: asked(NUMBERS - 3),
            };
            assert_eq!(seen, Some(expected), "{address}");
        }
    }

    #[test]
    fn what_nobody_asked_for_is_an_announcement() {
        let address = Ipv4Addr::new(192, 0, 2, 128);
        let questions = Questions::new(address.into(), ASKER);
        let gratuitous = |sender_ip| Frame {
            destination: MacAddr::BROADCAST,
            source: OWNER,
            vlan: None,
            packet: Packet::Arp(Arp {
                operation: Operation::Request,
                sender_mac: OWNER,
                sender_ip,
                target_mac: MacAddr::ZERO,
                target_ip: sender_ip,
            }),
        };
        let seen = questions.sighting(&gratuitous(address), Moment::ORIGIN);
        assert_eq!(seen.map(|seen| seen.kind), Some(Kind::Announcement));
        let other = gratuitous(Ipv4Addr::new(192, 0, 2, 129));
        assert_eq!(questions.sighting(&other, Moment::ORIGIN), None);
    }
}
