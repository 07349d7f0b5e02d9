//! Many addresses.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::lan::*;
use crate::namespace::with_privileges;
use crate::speaker::{NODE, Speaker};
use crate::tap::Tap;

#[test]
fn ten_thousand_addresses_are_announced_without_a_loss_and_answered() {
    with_privileges(|| {
        let lan = Lan::new();
        let tap = Tap::for_answers(&lan.client, "eth0");
        let mut speaker = Speaker::on(&lan.node);
        eventually("the link is known", || {
            speaker.metrics.open_links.get() == 1
        });
        let address = |number: u16| {
            let [high, low] = number.to_be_bytes();
            Ipv4Addr::new(10, 7, high, low)
        };
        speaker.assign_all((0..10_000).map(|number| address(number).into()), NODE);
        eventually("all have been announced once", || {
            speaker.metrics.announcements.arp.get() >= 20_000
        });
        assert_eq!(speaker.metrics.owned.get(), 10_000);
        assert_eq!(speaker.metrics.send_errors.get(), 0);
        for number in [0, 4_711, 9_999] {
            tap.say(&request(CLIENT_MAC, STRANGER_IP, address(number)));
            tap.next(|frame| {
                reply(frame).filter(|(_, answer)| answer.sender_ip == address(number))
            });
        }
        tap.say(&request(CLIENT_MAC, STRANGER_IP, address(10_000)));
        speaker.assign_all([].into_iter(), NODE);
        eventually("all are released", || speaker.metrics.owned.get() == 0);
        assert_eq!(speaker.metrics.replies.arp.get(), 3);
    });
}

/// N8: one socket cannot be in so many groups.
#[test]
fn four_thousand_groups_are_joined_and_left() {
    with_privileges(|| {
        let lan = Lan::new();
        let mut speaker = Speaker::on(&lan.node);
        eventually("the link is known", || {
            speaker.metrics.open_links.get() == 1
        });
        let addresses =
            (0..4_000_u16).map(|number| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 7, number));
        speaker.assign_all(addresses.map(Into::into), "other");
        let joined = |speaker: &Speaker| speaker.metrics.groups.get();
        // This node may not announce them, and has no need of their groups.
        assert_eq!(joined(&speaker), 0);
        let addresses =
            (0..4_000_u16).map(|number| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 7, number));
        speaker.assign_all(addresses.map(Into::into), NODE);
        eventually("it is in all of them", || joined(&speaker) == 4_000);
        speaker.assign_all([].into_iter(), NODE);
        eventually("it is in none of them", || joined(&speaker) == 0);
    });
}
