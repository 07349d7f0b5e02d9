//! A station that asks again and again who has an address, and notes every frame that says so.
//!
//! It runs on the gateway, not on the client: answers to its questions would set the client's
//! neighbour cache right, and how long that stays wrong is part of what clients see. It hears what
//! is broadcast too, so gratuitous ARP and unsolicited Neighbor Advertisements.
//!
//! It uses the product's own sockets and codecs. What it measures is who says what when, not
//! whether the octets are right; the speaker's tests compare those with the kernel.

use std::io::Write;
use std::net::IpAddr;
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
    let question = question(address, host)?.encode();
    let mut buffer = [0; 2048];
    let (mut asked, mut ask_at) = (0, clock::now());
    while !stop.load(Ordering::Relaxed) {
        if clock::now() >= ask_at {
            // A link that is down or full now is asked again soon.
            let _lost = socket.send(question.as_octets());
            asked += 1;
            // One that was held up does not catch up: the interval is the least.
            ask_at = clock::now().max(ask_at + INTERVAL);
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
            if let Some((mac, kind)) = told(&frame, address) {
                let sighting = Sighting {
                    at,
                    mac,
                    kind,
                    question: asked,
                };
                write_line(&mut output, &sighting)?;
            }
        }
    }
    Ok(())
}

fn write_line(output: &mut impl Write, sighting: &Sighting) -> Result<()> {
    let line =
        serde_json::to_string(sighting).map_err(|error| Error::Unexpected(error.to_string()))?;
    output
        .write_all((line + "\n").as_bytes())
        .and_then(|()| output.flush())
        .context(|| "nobody reads what is observed".to_owned())
}

/// The frame by which `host` asks who has `address`.
fn question(address: IpAddr, host: &Host) -> Result<Frame> {
    let mac = host.mac();
    let source: MacAddr = mac
        .parse()
        .map_err(|error| Error::Unexpected(format!("{error}")))?;
    let (destination, packet) = match address {
        IpAddr::V4(target) => {
            let arp = Arp {
                operation: Operation::Request,
                sender_mac: source,
                sender_ip: host.ipv4(),
                target_mac: MacAddr::ZERO,
                target_ip: target,
            };
            (MacAddr::BROADCAST, Packet::Arp(arp))
        }
        IpAddr::V6(target) => {
            let group = solicited_node(target);
            let solicitation = Solicitation {
                source: host.ipv6(),
                destination: group,
                target,
                source_mac: Some(source),
            };
            (multicast_mac(group), Packet::Solicitation(solicitation))
        }
    };
    Ok(Frame {
        destination,
        source,
        vlan: None,
        packet,
    })
}

/// Which MAC address a frame tells for `address`, if it does, and what moved its sender.
fn told(frame: &Frame, address: IpAddr) -> Option<(MacAddr, Kind)> {
    let (is_told, mac, is_answer) = match frame.packet {
        Packet::Arp(arp) => (
            IpAddr::V4(arp.sender_ip) == address,
            arp.sender_mac,
            arp.operation == Operation::Reply && IpAddr::V4(arp.target_ip) != address,
        ),
        Packet::Advertisement(advertisement) => (
            IpAddr::V6(advertisement.target) == address,
            advertisement.target_mac.unwrap_or(frame.source),
            advertisement.solicited,
        ),
        Packet::Solicitation(_) => return None,
    };
    let kind = if is_answer {
        Kind::Answer
    } else {
        Kind::Announcement
    };
    is_told.then_some((mac, kind))
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
