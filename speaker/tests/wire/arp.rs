//! A1-A9: what is answered to ARP.

use std::net::{Ipv4Addr, UdpSocket};

use bellwether_core::frame::Packet;
use bellwether_core::frame::arp::{Arp, Operation};
use bellwether_core::frame::ethernet::VlanId;
use bellwether_core::placement::Interfaces;
use bellwether_speaker::contacts::Contact;
use bellwether_speaker::l2::Report;

use crate::lan::*;
use crate::namespace::{Namespace, with_privileges};
use crate::speaker::{NODE, Speaker};
use crate::tap::Tap;

const NOBODY: [Ipv4Addr; 0] = [];

/// A LAN with a speaker that announces `VIP` and `WITNESS`, and has begun to.
fn announced() -> (Lan, Speaker) {
    let lan = Lan::new();
    let mut speaker = Speaker::announcing(&lan.node, "192.0.2.10");
    speaker.assign("192.0.2.12", &[NODE]);
    lan.tap
        .next(|frame| announcement(frame).filter(|arp| arp.sender_ip == WITNESS));
    (lan, speaker)
}

/// Who was answered, up to the answer about the witness, which is asked for here.
fn answered(tap: &Tap) -> Vec<Ipv4Addr> {
    tap.say(&request(CLIENT_MAC, STRANGER_IP, WITNESS));
    let mut answered = Vec::new();
    loop {
        let (_, (_, arp)) = tap.next(reply);
        if arp.sender_ip == WITNESS {
            return answered;
        }
        answered.push(arp.target_ip);
    }
}

/// Makes the kernel of `host` ask for `address`.
fn make_ask(host: &Namespace, address: &str) {
    host.run(|| {
        let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
        socket.send_to(b"?", (address, 9)).expect("to send");
    });
}

#[test]
fn a1_the_kernel_of_a_client_finds_the_address_and_no_other() {
    with_privileges(|| {
        let (lan, _speaker) = announced();
        make_ask(&lan.client, "192.0.2.10");
        eventually("the client knows the address", || {
            lan.client.neighbour("192.0.2.10") == Some(NODE_MAC.to_string())
        });
        make_ask(&lan.client, "192.0.2.11");
        lan.tap.clear();
        lan.tap.say(&request(CLIENT_MAC, CLIENT_IP, VIP));
        assert_eq!(answered(&lan.tap), [CLIENT_IP]);
        assert_eq!(lan.client.neighbour("192.0.2.11"), None);
    });
}

/// The node is no candidate any more, and those that are have not taken the address yet.
#[test]
fn an_address_is_answered_for_until_somebody_takes_it_over() {
    with_privileges(|| {
        let (lan, mut speaker) = announced();
        speaker.assign("192.0.2.10", &["other"]);
        let next = Ipv4Addr::new(192, 0, 2, 13);
        speaker.assign("192.0.2.13", &[NODE]);
        lan.tap
            .next(|frame| announcement(frame).filter(|arp| arp.sender_ip == next));
        lan.tap.say(&request(CLIENT_MAC, CLIENT_IP, VIP));
        assert_eq!(answered(&lan.tap), [CLIENT_IP]);
    });
}

#[test]
fn a1_requests_of_all_lengths_are_answered_and_wrong_ones_are_not() {
    with_privileges(|| {
        let (lan, _speaker) = announced();
        let mut octets = request(CLIENT_MAC, CLIENT_IP, VIP)
            .encode()
            .as_octets()
            .to_vec();
        for length in [42, 60, 1514] {
            octets.resize(length, 0);
            lan.tap.say_octets(&octets);
        }
        for length in [14, 20, 41] {
            lan.tap.say_octets(&octets[..length]);
        }
        octets.truncate(60);
        for at in [15, 16, 18, 19, 21] {
            let mut wrong = octets.clone();
            wrong[at] = 0x55;
            lan.tap.say_octets(&wrong);
        }
        assert_eq!(answered(&lan.tap), [CLIENT_IP; 3]);
    });
}

#[test]
fn a2_the_answer_is_the_golden_one() {
    with_privileges(|| {
        let (lan, _speaker) = announced();
        lan.tap.say(&request(STRANGER_MAC, STRANGER_IP, VIP));
        let (_, answer) = lan.tap.next(|frame| reply(frame).map(|_| *frame));
        assert_eq!(
            (answer.destination, answer.source),
            (STRANGER_MAC, NODE_MAC)
        );
        let expected = Arp {
            operation: Operation::Reply,
            sender_mac: NODE_MAC,
            sender_ip: VIP,
            target_mac: STRANGER_MAC,
            target_ip: STRANGER_IP,
        };
        assert_eq!(answer.packet, Packet::Arp(expected));
    });
}

#[test]
fn a3_a_probe_is_answered() {
    with_privileges(|| {
        let (lan, _speaker) = announced();
        lan.tap
            .say(&request(CLIENT_MAC, Ipv4Addr::UNSPECIFIED, VIP));
        assert_eq!(answered(&lan.tap), [Ipv4Addr::UNSPECIFIED]);
    });
}

#[test]
fn a4_askers_that_cannot_exist_are_not_answered_and_users_of_the_address_are_counted() {
    with_privileges(|| {
        let (lan, mut speaker) = announced();
        for ip in [Ipv4Addr::LOCALHOST, Ipv4Addr::new(224, 0, 0, 1)] {
            lan.tap.say(&request(CLIENT_MAC, ip, VIP));
        }
        assert_eq!(answered(&lan.tap), NOBODY);
        assert_eq!(speaker.metrics.foreign_claims.get(), 0);
        lan.tap.say(&request(STRANGER_MAC, VIP, VIP));
        assert_eq!(answered(&lan.tap), NOBODY);
        eventually("it is counted", || {
            speaker.metrics.foreign_claims.get() == 1
        });
        let reported = std::iter::from_fn(|| speaker.reports.try_recv().ok())
            .any(|report| format!("{report:?}").contains("Foreign"));
        assert!(reported);
    });
}

/// While an address moves, two nodes announce it for a moment.
#[test]
fn what_another_speaker_says_of_an_address_is_not_counted_as_a_strangers_claim() {
    with_privileges(|| {
        let (lan, mut speaker) = announced();
        let contact = Contact {
            macs: [STRANGER_MAC].into(),
            addresses: Vec::new(),
        };
        speaker
            .inbox
            .set_contacts([("other".into(), contact)].into());
        let unheard = speaker.look().unheard.clone();
        assert_eq!(unheard, ["other".into()], "but known");
        lan.tap.say(&request(STRANGER_MAC, VIP, VIP));
        assert_eq!(answered(&lan.tap), NOBODY);
        let reported = std::iter::from_fn(|| speaker.reports.try_recv().ok())
            .any(|report| matches!(report, Report::Foreign(_)));
        assert_eq!((speaker.metrics.foreign_claims.get(), reported), (0, false));
    });
}

#[test]
fn a5_what_is_for_another_station_is_not_answered() {
    with_privileges(|| {
        let (lan, _speaker) = announced();
        lan.node.ip("link set eth0 promisc on");
        let mut frame = request(CLIENT_MAC, CLIENT_IP, VIP);
        frame.destination = STRANGER_MAC;
        lan.tap.say(&frame);
        assert_eq!(answered(&lan.tap), NOBODY);
    });
}

/// The node asks for the address itself, as kube-proxy's traffic may make it.
#[test]
fn a5_the_node_does_not_answer_itself() {
    with_privileges(|| {
        let (lan, speaker) = announced();
        make_ask(&lan.node, "192.0.2.10");
        lan.tap.next(|frame| match frame.packet {
            Packet::Arp(arp) if arp.target_ip == VIP && arp.sender_ip != VIP => Some(()),
            _ => None,
        });
        assert_eq!(answered(&lan.tap), NOBODY);
        // The witness was asked for once.
        eventually("one answer is counted", || {
            speaker.metrics.replies.arp.get() == 1
        });
    });
}

#[test]
fn a6_a_request_to_the_node_alone_is_answered() {
    with_privileges(|| {
        let (lan, _speaker) = announced();
        let mut frame = request(CLIENT_MAC, CLIENT_IP, VIP);
        frame.destination = NODE_MAC;
        lan.tap.say(&frame);
        assert_eq!(answered(&lan.tap), [CLIENT_IP]);
    });
}

/// A node with two links on one switch.
struct TwoLinks {
    node: Namespace,
    switch: Namespace,
    _client: Namespace,
    tap: Tap,
}

impl TwoLinks {
    fn new() -> Self {
        let [node, switch, client] = [(); 3].map(|()| Namespace::new());
        switch.ip("link add br0 type bridge forward_delay 0 mcast_snooping 0");
        switch.ip("link set br0 up");
        for (host, link, port) in [
            (&node, "eth0", "port0"),
            (&node, "eth1", "port1"),
            (&client, "eth0", "port2"),
        ] {
            host.connect(link, &switch, port);
            switch.ip(&format!("link set {port} master br0"));
        }
        configure(&node, "eth0", NODE_MAC, 5, None);
        let mut other = NODE_MAC;
        other.0[5] = 0x0b;
        configure(&node, "eth1", other, 6, None);
        let tap = Tap::on(&client, "eth0");
        Self {
            node,
            switch,
            _client: client,
            tap,
        }
    }

    fn wait_for_witness(&self) {
        self.tap
            .next(|frame| announcement(frame).filter(|arp| arp.sender_ip == WITNESS));
    }

    /// How many answers come to one request for `VIP`.
    fn answers(&self) -> usize {
        self.tap.say(&request(CLIENT_MAC, CLIENT_IP, VIP));
        // Two times: an answer from a slower link would have come before the second witness.
        answered(&self.tap).len() + answered(&self.tap).len()
    }
}

#[test]
fn a7_of_two_links_in_one_network_one_answers() {
    with_privileges(|| {
        let lan = TwoLinks::new();
        let mut speaker = Speaker::announcing(&lan.node, "192.0.2.10");
        speaker.assign("192.0.2.12", &[NODE]);
        eventually("both links are known", || {
            speaker.metrics.open_links.get() == 2
        });
        lan.wait_for_witness();
        for _ in 0..5 {
            assert_eq!(lan.answers(), 1);
        }
    });
}

#[test]
fn a7_links_that_are_named_both_answer() {
    with_privileges(|| {
        let lan = TwoLinks::new();
        let both = Interfaces::Named(["eth0".into(), "eth1".into()].into());
        let mut speaker = Speaker::on(&lan.node);
        speaker.assign_on("192.0.2.10", &[NODE], &both);
        speaker.assign("192.0.2.12", &[NODE]);
        lan.wait_for_witness();
        eventually("both answer, each with its own address", || {
            lan.answers() == 2
        });
    });
}

#[test]
fn a7_when_one_link_loses_its_carrier_the_other_takes_over() {
    with_privileges(|| {
        let lan = TwoLinks::new();
        let _speaker = Speaker::announcing(&lan.node, "192.0.2.10");
        let announcer = |frame: &_| {
            let announced = announcement(frame).filter(|arp| arp.sender_ip == VIP)?;
            Some(announced.sender_mac)
        };
        lan.tap
            .next(|frame| announcer(frame).filter(|mac| *mac == NODE_MAC));
        lan.switch.ip("link set port0 down");
        lan.tap
            .next(|frame| announcer(frame).filter(|mac| *mac != NODE_MAC));
    });
}

#[test]
fn a8_a_priority_tag_is_answered_untagged_and_a_vlan_is_not() {
    with_privileges(|| {
        let (lan, _speaker) = announced();
        let tagged = |tag| {
            let mut frame = request(CLIENT_MAC, CLIENT_IP, VIP);
            frame.vlan = Some(VlanId::from_tag(tag));
            frame
        };
        lan.tap.say(&tagged(7));
        lan.tap.say(&tagged(0));
        let (_, answer) = lan.tap.next(|frame| reply(frame).map(|_| *frame));
        assert_eq!(answer.vlan, None);
        assert_eq!(answered(&lan.tap), NOBODY);
    });
}

#[test]
fn a9_nothing_is_answered_after_a_release() {
    with_privileges(|| {
        let (lan, mut speaker) = announced();
        speaker.unassign("192.0.2.10");
        eventually("it is released", || speaker.metrics.owned.get() == 1);
        lan.tap.say(&request(CLIENT_MAC, CLIENT_IP, VIP));
        assert_eq!(answered(&lan.tap), NOBODY);
        speaker.stop();
        lan.tap.say(&request(CLIENT_MAC, CLIENT_IP, WITNESS));
        let silence = lan.tap.find(std::time::Duration::from_millis(300), reply);
        assert_eq!(silence, None);
    });
}
