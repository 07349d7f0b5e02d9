//! The L2 thread's part in the election: beacons in and out.
//!
//! Nothing is decided here: see `bellwether_core::election`. Without keys there is no election, as no
//! beacon could be told from a forgery, and nothing is announced.

use bellwether_core::election::{self, Election};
use bellwether_core::frame::beacon::keyring::{Keyring, Rejected};
use bellwether_core::frame::beacon::{self, Beacon};
use bellwether_core::frame::ethernet::Ethernet;
use bellwether_core::link::LinkIndex;
use bellwether_core::mac::MacAddr;
use bellwether_core::membership::Channel;
use bellwether_core::moment::Moment;

use super::L2;
use super::poller;
use crate::clock;

/// How many beacons are taken from one socket in one turn: more than all speakers can send while
/// this one is away for as long as it may be, so that in practice all are.
const BEACONS_PER_TURN: usize = 4096;

impl L2 {
    /// Takes in all beacons that have come. Before anything else of a turn: silence is what remains
    /// when all has been read (R5), and what has come may release what is asked for (R7).
    pub(super) fn take_beacons(&mut self, now: Moment, buffer: &mut [u8]) {
        // Without keys too: what nobody reads keeps waking the thread.
        let keyring = self.keyring.clone();
        let keyring = keyring.as_deref();
        let mut link = self.sockets.link_after(None);
        while let Some(this) = link {
            self.take_beacons_of(this, keyring, now, buffer);
            link = self.sockets.link_after(link);
        }
        self.take_datagrams(keyring, now, buffer);
        self.drained_at = now;
    }

    fn take_beacons_of(
        &mut self,
        link: LinkIndex,
        keyring: Option<&Keyring>,
        now: Moment,
        buffer: &mut [u8],
    ) {
        for _ in 0..BEACONS_PER_TURN {
            let Some(socket) = self.sockets.get(link, poller::Channel::Beacon) else {
                return;
            };
            let (received, stamp) = match socket.receive_stamped(buffer, &mut self.control) {
                Ok(Some(received)) => received,
                Ok(None) => return,
                Err(error) => {
                    tracing::debug!(%link, %error, "cannot receive beacons");
                    return;
                }
            };
            let at = clock::arrival(stamp).max(self.drained_at);
            let payload = Ethernet::parse(received.octets).map(|frame| frame.payload);
            let Ok(payload) = payload else {
                continue;
            };
            let opened = keyring.map_or(Err(Rejected::NoKeys), |keyring| {
                keyring.open(payload, self.election.spares())
            });
            self.take_beacon(Channel::Link(link), opened, at, now);
        }
    }

    fn take_datagrams(&mut self, keyring: Option<&Keyring>, now: Moment, buffer: &mut [u8]) {
        for _ in 0..BEACONS_PER_TURN {
            let Some(datagrams) = &self.datagrams else {
                return;
            };
            let received = datagrams.receive(buffer, &mut self.control);
            let Some((length, stamp)) = received.ok().flatten() else {
                return;
            };
            let at = clock::arrival(stamp).max(self.drained_at);
            let opened = keyring.map_or(Err(Rejected::NoKeys), |keyring| {
                keyring.open_datagram(&buffer[..length], self.election.spares())
            });
            self.take_beacon(Channel::Unicast, opened, at, now);
        }
    }

    fn take_beacon(
        &mut self,
        channel: Channel,
        opened: Result<Beacon, Rejected>,
        at: Moment,
        now: Moment,
    ) {
        let beacon = match opened {
            Ok(beacon) => beacon,
            Err(cause) => {
                self.traffic.on(channel).rejected.reject(&cause);
                tracing::debug!(?channel, %cause, "a beacon is rejected");
                return;
            }
        };
        self.traffic.on(channel).received += 1;
        let input = election::Input::Beacon {
            channel,
            beacon,
            at,
        };
        self.tell(input, now);
    }

    /// Sends a beacon, and tells the election if it has left.
    pub(super) fn send_beacon(&mut self, channel: Channel, beacon: &Beacon, now: Moment) {
        let Some(keyring) = self.keyring.clone() else {
            return;
        };
        self.frame.clear();
        let sent = match channel {
            Channel::Link(link) => self.send_on_link(link, &keyring, beacon),
            Channel::Unicast => {
                keyring.seal_datagram(beacon, &mut self.frame);
                self.send_datagrams(&self.frame);
                true
            }
        };
        if sent {
            self.traffic.on(channel).sent += 1;
            self.election_input(election::Input::Sent { channel }, now);
        }
    }

    fn send_on_link(&mut self, link: LinkIndex, keyring: &Keyring, beacon: &Beacon) -> bool {
        let source = beacon.mac.unwrap_or(MacAddr([0; 6]));
        self.frame.extend(beacon::GROUP.0);
        self.frame.extend(source.0);
        self.frame.extend(beacon::ETHER_TYPE.to_be_bytes());
        keyring.seal(beacon, &mut self.frame);
        match self.sockets.send_beacon(link, &self.frame) {
            Ok(()) => true,
            Err(error) => {
                self.metrics.send_errors.inc();
                tracing::debug!(%link, %error, "cannot send a beacon");
                false
            }
        }
    }

    fn send_datagrams(&self, octets: &[u8]) {
        let Some(datagrams) = &self.datagrams else {
            return;
        };
        for contact in self.contacts.values() {
            let sent = contact
                .addresses
                .iter()
                .any(|&address| datagrams.send(address, octets).is_ok());
            if !sent && !contact.addresses.is_empty() {
                self.metrics.send_errors.inc();
            }
        }
    }

    /// Tells the election something. A beacon that it does not take in is counted.
    pub(super) fn tell(&mut self, input: election::Input, now: Moment) {
        self.election_input(input, now);
        self.act(now);
    }

    fn election_input(&mut self, input: election::Input, now: Moment) {
        let election: &mut Election = &mut self.election;
        self.recorder.input(&input, election, now);
        let channel = match input {
            election::Input::Beacon { channel, .. } => Some(channel),
            _ => None,
        };
        if let Err(cause) = election.handle(input, now)
            && let Some(channel) = channel
        {
            self.traffic.on(channel).rejected.ignore(cause);
            tracing::trace!(%cause, "a beacon is not taken in");
        }
    }
}
