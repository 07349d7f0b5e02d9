//! G1, G2, G4: what goes out unasked, and when.

use std::time::Duration;

use bellwether_core::frame::arp::Operation;
use bellwether_core::frame::{Frame, Packet};
use bellwether_core::mac::MacAddr;
use bellwether_core::moment::Moment;
use bellwether_speaker::clock;

use crate::lan::*;
use crate::namespace::{Namespace, with_privileges};
use crate::speaker::Speaker;

/// How much later than planned something may happen on a machine with other work.
const SLACK: Duration = Duration::from_millis(300);

/// The announcement of `VIP` in a frame.
fn of_vip(frame: &Frame) -> Option<MacAddr> {
    let arp = announcement(frame).filter(|arp| arp.sender_ip == VIP)?;
    Some(arp.sender_mac)
}

/// How many milliseconds after the first moment the others are.
fn offsets(moments: &[Moment]) -> Vec<u128> {
    let since = |moment: &Moment| moment.since(moments[0]).as_millis();
    moments.iter().map(since).collect()
}

fn assert_planned(found: &[u128], planned: &[u128]) {
    let on_time = found.len() == planned.len()
        && found.iter().zip(planned).all(|(&found, &planned)| {
            // Each is counted from the one before, so it cannot come earlier than planned, but for
            // the rounding of the tap's clock.
            found + 5 >= planned && found <= planned + SLACK.as_millis()
        });
    assert!(on_time, "{found:?}");
}

#[test]
fn g1_an_announcement_is_a_request_and_a_reply_to_all() {
    with_privileges(|| {
        let lan = Lan::new();
        let _speaker = Speaker::announcing(&lan.node, "192.0.2.10");
        let arp = |frame: &Frame| match frame.packet {
            Packet::Arp(arp) if arp.sender_ip == VIP => Some((frame.destination, arp)),
            _ => None,
        };
        let [(_, (to, first)), (_, (to_too, second))] = [lan.tap.next(arp), lan.tap.next(arp)];
        assert_eq!([to, to_too], [MacAddr::BROADCAST; 2]);
        assert_eq!(
            (first.operation, first.target_mac, first.target_ip),
            (Operation::Request, MacAddr::ZERO, VIP)
        );
        assert_eq!(
            (second.operation, second.target_mac, second.target_ip),
            (Operation::Reply, NODE_MAC, VIP)
        );
    });
}

/// The kernel locks a fresh entry for a second against ordinary replies.
#[test]
fn g1_a_client_with_a_fresh_entry_follows_the_first_announcement() {
    with_privileges(|| {
        let lan = Lan::new();
        let mut speaker = Speaker::on(&lan.node);
        eventually("the link is known", || {
            speaker.metrics.open_links.get() == 1
        });
        lan.client.ip(&format!(
            "neigh replace 192.0.2.10 lladdr {STRANGER_MAC} dev eth0 nud reachable"
        ));
        speaker.assign("192.0.2.10", &["node"]);
        let (announced, _) = lan.tap.next(of_vip);
        eventually("the client has moved", || {
            lan.client.neighbour("192.0.2.10") == Some(NODE_MAC.to_string())
        });
        // It was not the second announcement that did it.
        assert!(clock::now().since(announced) < Duration::from_millis(100));
    });
}

#[test]
fn g2_an_address_is_announced_six_times_in_ten_seconds() {
    with_privileges(|| {
        let lan = Lan::new();
        let _speaker = Speaker::announcing(&lan.node, "192.0.2.10");
        let moments: Vec<_> = (0..6).map(|_| lan.tap.next(of_vip).0).collect();
        assert_planned(&offsets(&moments), &[0, 100, 500, 1100, 3000, 10_000]);
        let more = lan.tap.find(Duration::from_secs(1), of_vip);
        assert_eq!(more, None);
    });
}

#[test]
fn g2_a_release_ends_the_announcements_at_once() {
    with_privileges(|| {
        let lan = Lan::new();
        let mut speaker = Speaker::announcing(&lan.node, "192.0.2.10");
        lan.tap.next(of_vip);
        speaker.unassign("192.0.2.10");
        eventually("it is released", || speaker.metrics.owned.get() == 0);
        lan.tap.clear();
        assert_eq!(lan.tap.find(Duration::from_millis(1500), of_vip), None);
    });
}

/// G3, N6: the entry of a gateway moves, or is made, whatever its state.
#[test]
fn g3_a_gateway_knows_the_address_before_it_needs_it() {
    with_privileges(|| {
        let lan = Lan::new();
        lan.node.ip("route add default via 192.0.2.1");
        let _speaker = Speaker::announcing(&lan.node, "192.0.2.10");
        eventually("the gateway knows the address", || {
            lan.client.neighbour("192.0.2.10") == Some(NODE_MAC.to_string())
        });
    });
}

/// The shortest time between a change of the node's link and the announcement after it. Of several,
/// because a busy machine can delay any. `change` makes one, told which it is, and returns when it
/// did and which MAC address is to be announced.
fn quickest(lan: &Lan, mut change: impl FnMut(u8) -> (Moment, MacAddr)) -> Duration {
    let times = (1..=5).map(|round| {
        let (before, mac) = change(round);
        let announced = |frame: &Frame| of_vip(frame).filter(|found| *found == mac);
        let mut next = lan.tap.next(announced).0;
        while next < before {
            next = lan.tap.next(announced).0;
        }
        next.since(before)
    });
    times.min().expect("five")
}

const SOON: Duration = Duration::from_millis(50);

/// After a link was away, others may announce the address: T and two beacons of theirs (R3, R8).
const LISTEN: Duration = Duration::from_millis(350);

#[test]
fn g4_another_mac_address_is_announced_at_once() {
    with_privileges(|| {
        let lan = Lan::new();
        let _speaker = Speaker::announcing(&lan.node, "192.0.2.10");
        lan.tap.next(of_vip);
        let took = quickest(&lan, |round| {
            let mac = MacAddr([2, 0, 0, 0, 1, round]);
            let before = clock::now();
            lan.node.ip(&format!("link set eth0 address {mac}"));
            (before, mac)
        });
        assert!(took < SOON, "{took:?}");
    });
}

#[test]
fn g4_a_carrier_that_returns_is_announced_after_listening() {
    with_privileges(|| {
        let lan = Lan::new();
        let speaker = Speaker::announcing(&lan.node, "192.0.2.10");
        lan.tap.next(of_vip);
        let took = quickest(&lan, |_| {
            lan.node.ip("link set eth0 down");
            eventually("the link is gone", || speaker.metrics.links.get() == 0);
            let before = clock::now();
            lan.node.ip("link set eth0 up");
            (before, NODE_MAC)
        });
        assert!(took < LISTEN + SOON, "{took:?}");
    });
}

#[test]
fn g4_a_cable_that_is_plugged_in_again_is_announced_at_once() {
    with_privileges(|| {
        let lan = Lan::new();
        let _speaker = Speaker::announcing(&lan.node, "192.0.2.10");
        lan.tap.next(of_vip);
        lan.client.ip("link set eth0 down");
        std::thread::sleep(Duration::from_millis(50));
        lan.tap.clear();
        lan.client.ip("link set eth0 up");
        lan.tap.next(of_vip);
    });
}

/// A new link in the network of the address, when the old one has lost its carrier, and later a
/// link that is new altogether.
#[test]
fn g4_a_link_that_is_added_announces() {
    with_privileges(|| {
        let (node, client) = (Namespace::new(), Namespace::new());
        let _speaker = Speaker::announcing(&node, "192.0.2.10");
        node.connect("eth0", &client, "eth0");
        let tap = crate::tap::Tap::on(&client, "eth0");
        configure(&node, "eth0", NODE_MAC, 5, None);
        tap.next(|frame| of_vip(frame).filter(|mac| *mac == NODE_MAC));
    });
}

#[test]
fn g4_another_port_of_the_bridge_is_announced_at_once() {
    with_privileges(|| {
        let [node, client, other] = [(); 3].map(|()| Namespace::new());
        node.ip("link add br0 type bridge forward_delay 0 mcast_snooping 0");
        node.ip(&format!("link set br0 address {NODE_MAC} up"));
        node.connect("port0", &client, "eth0");
        node.ip("link set port0 master br0");
        node.ip("addr add 192.0.2.5/24 dev br0");
        let tap = crate::tap::Tap::on(&client, "eth0");
        let speaker = Speaker::announcing(&node, "192.0.2.10");
        tap.next(of_vip);
        // Ports are no links of their own.
        eventually("one link", || speaker.metrics.open_links.get() == 1);
        node.connect("port1", &other, "eth0");
        std::thread::sleep(Duration::from_millis(1500));
        tap.clear();
        let before = clock::now();
        node.ip("link set port1 master br0");
        let (announced, _) = tap.next(of_vip);
        // The next of the series that is under way would come later.
        assert!(announced.since(before) < Duration::from_secs(1));
    });
}
