//! Beacons that a speaker can make nothing of.

use bellwether_core::frame::beacon;
use bellwether_core::mac::MacAddr;
use bellwether_core::membership::Channel;

use crate::lan::*;
use crate::namespace::with_privileges;
use crate::speaker::{Setup, Speaker};

/// What it left unread would wake its thread for ever, and with real-time priority take a processor.
/// So it starts while the API server is away, and others beat.
#[test]
fn without_keys_beacons_are_read_and_rejected() {
    with_privileges(|| {
        let lan = Lan::new();
        let setup = Setup {
            keyless: true,
            ..Setup::default()
        };
        let mut speaker = Speaker::with(&lan.node, setup);
        eventually("the link is known", || {
            speaker.metrics.open_links.get() == 1
        });
        let mut frame = Vec::new();
        let MacAddr(group) = beacon::GROUP;
        frame.extend(group);
        frame.extend(STRANGER_MAC.0);
        frame.extend(beacon::ETHER_TYPE.to_be_bytes());
        frame.extend([0; 46]);
        for number in 1..=3 {
            lan.tap.say_octets(&frame);
            eventually("it is read", || {
                let look = speaker.look();
                let mut channels = look.traffic.iter();
                let link = channels.find(|(channel, _)| matches!(channel, Channel::Link(_)));
                link.is_some_and(|(_, beacons)| beacons.rejected.unknown_key == number)
            });
        }
    });
}
