//! The sockets of the L2 thread: on each link one for beacons, one for ARP and one for NDP.
//!
//! Sockets that each ask for one `EtherType` cost the node nothing for any other frame; a
//! single socket for all of them would have the kernel look at each packet of the node.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::ops::Bound;
use std::os::fd::AsFd;
use std::time::Duration;

use bellwether_core::frame::ethernet::EtherType;
use bellwether_core::frame::{Frame, Packet, beacon};
use bellwether_core::link::{LinkIndex, Links};
use bellwether_core::moment::Moment;
use bellwether_core::name::LinkName;
use ipnet::IpNet;

use super::poller::{Channel, Poller, Source};
use crate::assignments::Assignments;
use crate::filter::{self, Instruction};
use crate::socket::PacketSocket;

/// How long to wait before opening a socket is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// The sockets of a link.
struct PerLink {
    beacon: PacketSocket,
    arp: PacketSocket,
    ndp: PacketSocket,
}

impl PerLink {
    fn all(&self) -> [&PacketSocket; 3] {
        [&self.beacon, &self.arp, &self.ndp]
    }

    fn socket(&self, channel: Channel) -> &PacketSocket {
        match channel {
            Channel::Beacon => &self.beacon,
            Channel::Arp => &self.arp,
            Channel::Ndp => &self.ndp,
        }
    }
}

/// The filters of all sockets.
struct Filters {
    arp: Vec<Instruction>,
    ndp: Vec<Instruction>,
    beacons: Vec<Instruction>,
}

/// All sockets.
pub(super) struct Sockets {
    open: BTreeMap<LinkIndex, PerLink>,
    /// Why links have no sockets.
    failed: BTreeMap<LinkIndex, io::Error>,
    retry_at: Option<Moment>,
    filters: Filters,
}

impl Sockets {
    /// None, and filters that let nothing through.
    pub(super) fn new() -> Self {
        Self {
            open: BTreeMap::new(),
            failed: BTreeMap::new(),
            retry_at: None,
            filters: Filters {
                arp: filter::arp(&[]),
                ndp: filter::ndp(&[]),
                beacons: filter::beacons(),
            },
        }
    }

    /// Opens and closes sockets so that each of `links` has its own.
    pub(super) fn follow(&mut self, links: &Links, poller: &Poller, now: Moment) {
        let gone = self
            .open
            .extract_if(.., |&index, _| links.get(index).is_none());
        close(gone.map(|(_, sockets)| sockets).collect(), poller);
        self.failed.clear();
        for (index, link) in links.iter() {
            if self.open.contains_key(&index) {
                continue;
            }
            match self.open(index, poller) {
                Ok(sockets) => {
                    self.open.insert(index, sockets);
                }
                Err(error) => {
                    tracing::warn!(link = %link.name, %error, "cannot open packet sockets");
                    self.failed.insert(index, error);
                }
            }
        }
        self.retry_at = (!self.failed.is_empty()).then(|| now + RETRY);
    }

    /// Whether it is time to try again to open what failed.
    pub(super) fn should_retry(&self, now: Moment) -> bool {
        self.retry_at.is_some_and(|at| at <= now)
    }

    /// Lets through what is about the addresses of `assignments` that this node may announce, and
    /// about the gateways of `links`, which are asked whether frames arrive (R8). So is what is about
    /// `leaving`: addresses that this node announces until somebody takes them over.
    pub(super) fn set_filters(
        &mut self,
        assignments: &Assignments,
        leaving: impl Iterator<Item = IpAddr>,
        links: &Links,
    ) {
        let gateways: BTreeSet<IpAddr> = links
            .iter()
            .flat_map(|(_, link)| link.gateways.iter().copied())
            .take(filter::MOST_NETWORKS)
            .collect();
        let (mut ipv4, mut ipv6) = (
            assignments.ipv4_networks().to_vec(),
            assignments.ipv6_networks().to_vec(),
        );
        for gateway in gateways {
            match IpNet::from(gateway) {
                IpNet::V4(network) => ipv4.push(network),
                IpNet::V6(network) => ipv6.push(network),
            }
        }
        let (mut leaving_ipv4, mut leaving_ipv6) = (BTreeSet::new(), BTreeSet::new());
        for address in leaving {
            match address {
                IpAddr::V4(address) => leaving_ipv4.insert(address),
                IpAddr::V6(address) => leaving_ipv6.insert(address),
            };
        }
        ipv4.extend(filter::cover_ipv4(&leaving_ipv4));
        ipv6.extend(filter::cover_ipv6(&leaving_ipv6));
        self.filters.arp = filter::arp(&ipv4);
        self.filters.ndp = filter::ndp(&ipv6);
        for (index, sockets) in &self.open {
            let set = sockets
                .arp
                .set_filter(&self.filters.arp)
                .and_then(|()| sockets.ndp.set_filter(&self.filters.ndp));
            if let Err(error) = set {
                tracing::error!(link = %index, %error, "cannot set the filter of a socket");
            }
        }
    }

    /// A socket of a link.
    pub(super) fn get(&self, link: LinkIndex, channel: Channel) -> Option<&PacketSocket> {
        self.open.get(&link).map(|sockets| sockets.socket(channel))
    }

    /// Sends a frame.
    pub(super) fn send(&self, link: LinkIndex, frame: &Frame) -> io::Result<()> {
        let channel = match frame.packet {
            Packet::Arp(_) => Channel::Arp,
            Packet::Solicitation(_) | Packet::Advertisement(_) => Channel::Ndp,
        };
        let socket = self.get(link, channel).ok_or(io::ErrorKind::NotConnected)?;
        socket.send(frame.encode().as_octets())
    }

    /// Sends a beacon.
    pub(super) fn send_beacon(&self, link: LinkIndex, octets: &[u8]) -> io::Result<()> {
        let socket = self.get(link, Channel::Beacon);
        socket.ok_or(io::ErrorKind::NotConnected)?.send(octets)
    }

    /// The links that have sockets.
    pub(super) fn links(&self) -> impl Iterator<Item = LinkIndex> {
        self.open.keys().copied()
    }

    /// The first of them, or the one that comes after `link`.
    pub(super) fn link_after(&self, link: Option<LinkIndex>) -> Option<LinkIndex> {
        let after = link.map_or(Bound::Unbounded, Bound::Excluded);
        let mut links = self.open.range((after, Bound::Unbounded));
        links.next().map(|(&link, _)| link)
    }

    /// How many links have sockets.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// The links that have none, and why.
    pub(super) fn failed(&self, links: &Links) -> BTreeMap<LinkName, String> {
        self.failed
            .iter()
            .filter_map(|(&index, error)| Some((links.get(index)?.name.clone(), error.to_string())))
            .collect()
    }

    fn open(&self, link: LinkIndex, poller: &Poller) -> io::Result<PerLink> {
        let arp = PacketSocket::open(link, EtherType::ARP, &self.filters.arp)?;
        let ndp = PacketSocket::open(link, EtherType::IPV6, &self.filters.ndp)?;
        let beacon =
            PacketSocket::open(link, EtherType(beacon::ETHER_TYPE), &self.filters.beacons)?;
        beacon.join(beacon::GROUP)?;
        for socket in [&arp, &ndp, &beacon] {
            socket.stamp()?;
        }
        poller.add(beacon.as_fd(), Source::Socket(link, Channel::Beacon))?;
        poller.add(arp.as_fd(), Source::Socket(link, Channel::Arp))?;
        poller.add(ndp.as_fd(), Source::Socket(link, Channel::Ndp))?;
        Ok(PerLink { beacon, arp, ndp })
    }
}

/// Closes sockets on a thread of its own. For each of them the kernel waits until no processor can be in
/// the middle of handing it a frame, which takes tens of milliseconds: as long as a beacon may be late.
fn close(gone: Vec<PerLink>, poller: &Poller) {
    if gone.is_empty() {
        return;
    }
    for socket in gone.iter().flat_map(PerLink::all) {
        if let Err(error) = poller.remove(socket.as_fd()) {
            tracing::warn!(%error, "cannot stop waiting for a socket that is to be closed");
        }
    }
    let closing = std::thread::Builder::new().name("closing".to_owned());
    // Where no thread can be made, they are closed here, with what the thread was to do.
    if let Err(error) = closing.spawn(move || drop(gone)) {
        tracing::warn!(%error, "sockets are closed by the L2 thread itself");
    }
}
