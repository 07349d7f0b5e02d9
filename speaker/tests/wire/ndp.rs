//! N1-N4, N6, N7, N10: IPv6.

use std::net::{Ipv6Addr, UdpSocket};
use std::time::Duration;

use bellwether_core::frame::ndp::{self, ALL_NODES, ALL_ROUTERS, Advertisement};
use bellwether_core::frame::{Frame, Packet};
use bellwether_core::mac::MacAddr;

use crate::lan::*;
use crate::namespace::{Namespace, with_privileges};
use crate::speaker::{NODE, Speaker};
use crate::tap::Tap;

/// A LAN with a speaker that announces `VIP6` and `WITNESS6`, and has begun to.
fn announced() -> (Lan, Speaker) {
    let lan = Lan::new();
    let mut speaker = Speaker::announcing(&lan.node, "2001:db8::10");
    speaker.assign("2001:db8::12", &[NODE]);
    lan.tap.next(announcement_of_witness);
    (lan, speaker)
}

fn announcement_of_witness(frame: &Frame) -> Option<Advertisement> {
    unsolicited(frame).filter(|told| told.target == WITNESS6 && told.destination == ALL_NODES)
}

/// What was answered about `VIP6`, up to the answer about the witness, which is asked for here.
fn answered(tap: &Tap) -> Vec<Advertisement> {
    tap.say(&solicitation(CLIENT_IP6, Some(CLIENT_MAC), WITNESS6));
    let mut answered = Vec::new();
    loop {
        let answer = |frame: &Frame| {
            let probed = frame.destination == ndp::multicast_mac(ALL_NODES);
            advertisement(frame).filter(|told| told.solicited || (probed && told.target == VIP6))
        };
        let (_, told) = tap.next(answer);
        if told.target == WITNESS6 {
            return answered;
        }
        answered.push(told);
    }
}

/// Makes the kernel of `host` ask for `address`.
fn make_ask(host: &Namespace, address: &str) {
    host.run(|| {
        let socket = UdpSocket::bind("[::]:0").expect("a socket");
        socket.send_to(b"?", (address, 9)).expect("to send");
    });
}

/// Lets the announcements that nobody asked for pass, so that what follows is an answer.
fn wait_for_silence(lan: &Lan) {
    for _ in 0..2 {
        lan.tap.next(announcement_of_witness);
    }
    lan.tap.clear();
}

#[test]
fn n1_solicitations_that_the_rfc_forbids_are_not_answered() {
    with_privileges(|| {
        let (lan, speaker) = announced();
        wait_for_silence(&lan);
        let good = solicitation(CLIENT_IP6, Some(CLIENT_MAC), VIP6);
        // The hop limit, the checksum, and a length of zero of the option.
        for (at, octet) in [(21, 64), (57, 0xff), (79, 0)] {
            let mut octets = good.encode().as_octets().to_vec();
            assert_ne!(octets[at], octet);
            octets[at] = octet;
            lan.tap.say_octets(&octets);
        }
        assert_eq!(answered(&lan.tap), []);
        eventually("one answer is counted", || {
            speaker.metrics.replies.ndp.get() == 1
        });
        lan.tap.say(&good);
        assert_eq!(answered(&lan.tap).len(), 1);
    });
}

#[test]
fn n2_the_answer_overrides_and_moves_a_client() {
    with_privileges(|| {
        let (lan, _speaker) = announced();
        wait_for_silence(&lan);
        lan.tap
            .say(&solicitation(CLIENT_IP6, Some(CLIENT_MAC), VIP6));
        let expected = Advertisement {
            source: NODE_IP6,
            destination: CLIENT_IP6,
            target: VIP6,
            router: false,
            solicited: true,
            overrides: true,
            target_mac: Some(NODE_MAC),
        };
        assert_eq!(answered(&lan.tap), [expected]);
        // What the tap asks for, the client's kernel hears the answer to.
        lan.client.ip(&format!(
            "neigh replace 2001:db8::10 lladdr {STRANGER_MAC} dev eth0 nud stale"
        ));
        lan.tap
            .say(&solicitation(CLIENT_IP6, Some(CLIENT_MAC), VIP6));
        eventually("the client has moved", || {
            lan.client.neighbour("2001:db8::10") == Some(NODE_MAC.to_string())
        });
    });
}

#[test]
fn n3_a_solicitation_without_a_mac_address_is_answered() {
    with_privileges(|| {
        let (lan, _speaker) = announced();
        wait_for_silence(&lan);
        lan.tap.say(&solicitation(CLIENT_IP6, None, VIP6));
        let mut unicast = solicitation(CLIENT_IP6, None, VIP6);
        unicast.destination = NODE_MAC;
        if let Packet::Solicitation(asked) = &mut unicast.packet {
            asked.destination = VIP6;
        }
        lan.tap.say(&unicast);
        assert_eq!(answered(&lan.tap).len(), 2);
    });
}

/// Another host that takes the address for itself finds out that it is in use.
#[test]
fn n3_the_address_is_defended_against_duplicates() {
    with_privileges(|| {
        let (lan, _speaker) = announced();
        lan.client.set("net/ipv6/conf/eth0/accept_dad", "1");
        lan.client.ip("addr add 2001:db8::10/64 dev eth0");
        eventually("the other host gives up", || {
            lan.client.ip("-6 addr show dev eth0").contains("dadfailed")
        });
    });
}

#[test]
fn n4_an_address_is_announced_three_times_a_second_apart() {
    with_privileges(|| {
        let lan = Lan::new();
        let _speaker = Speaker::announcing(&lan.node, "2001:db8::10");
        let to_all =
            |frame: &Frame| unsolicited(frame).filter(|told| told.destination == ALL_NODES);
        let announcements: Vec<_> = (0..3).map(|_| lan.tap.next(to_all)).collect();
        for (_, told) in &announcements {
            let expected = Advertisement {
                source: NODE_IP6,
                destination: ALL_NODES,
                target: VIP6,
                router: false,
                solicited: false,
                overrides: true,
                target_mac: Some(NODE_MAC),
            };
            assert_eq!(*told, expected);
        }
        for pair in announcements.windows(2) {
            let pause = pair[1].0.since(pair[0].0).as_millis();
            assert!((995..1300).contains(&pause), "{pause} ms");
        }
        assert_eq!(lan.tap.find(Duration::from_millis(1500), to_all), None);
    });
}

#[test]
fn n4_a_client_follows_an_announcement() {
    with_privileges(|| {
        let lan = Lan::new();
        lan.client.ip(&format!(
            "neigh replace 2001:db8::10 lladdr {STRANGER_MAC} dev eth0 nud reachable"
        ));
        let _speaker = Speaker::announcing(&lan.node, "2001:db8::10");
        eventually("the client has moved", || {
            lan.client.neighbour("2001:db8::10") == Some(NODE_MAC.to_string())
        });
    });
}

#[test]
fn n4_a_node_that_forwards_calls_itself_a_router() {
    with_privileges(|| {
        let lan = Lan::new();
        lan.node.set("net/ipv6/conf/all/forwarding", "1");
        let _speaker = Speaker::announcing(&lan.node, "2001:db8::10");
        let (_, told) = lan.tap.next(unsolicited);
        assert!(told.router);
    });
}

#[test]
fn n6_routers_are_told_and_the_gateway_knows_the_address() {
    with_privileges(|| {
        let lan = Lan::new();
        lan.node.ip("-6 route add default via fe80::c1 dev eth0");
        assert_eq!(lan.client.neighbour("2001:db8::10"), None);
        let _speaker = Speaker::announcing(&lan.node, "2001:db8::10");
        lan.tap
            .next(|frame| unsolicited(frame).filter(|told| told.destination == ALL_ROUTERS));
        eventually("the gateway knows the address", || {
            lan.client.neighbour("2001:db8::10") == Some(NODE_MAC.to_string())
        });
    });
}

/// A node and a client on a switch that forwards multicast only to where it was asked for.
struct Snooping {
    node: Namespace,
    switch: Namespace,
    client: Namespace,
}

impl Snooping {
    fn new() -> Self {
        let [node, switch, client] = [(); 3].map(|()| Namespace::new());
        switch.ip("link add br0 type bridge forward_delay 0 mcast_snooping 1 mcast_querier 1 mcast_query_response_interval 0 mcast_startup_query_count 1");
        switch.ip("link set br0 up");
        for (host, port) in [(&node, "port0"), (&client, "port1")] {
            host.connect("eth0", &switch, port);
            switch.ip(&format!("link set {port} master br0"));
        }
        configure(&node, "eth0", NODE_MAC, 5, Some(NODE_IP6));
        configure(&client, "eth0", CLIENT_MAC, 1, Some(CLIENT_IP6));
        Self {
            node,
            switch,
            client,
        }
    }

    /// Whether the switch has learnt that the node is in the group of `VIP6`.
    fn knows_the_group(&self) -> bool {
        let group = ndp::solicited_node(VIP6).to_string();
        let text = self.switch.command("bridge", "mdb show dev br0");
        text.lines()
            .any(|line| line.contains("port port0") && line.contains(&format!("grp {group} ")))
    }
}

#[test]
fn n7_a_switch_that_snoops_forwards_solicitations_to_the_owner() {
    with_privileges(|| {
        let lan = Snooping::new();
        let tap = Tap::on(&lan.client, "eth0");
        let _speaker = Speaker::announcing(&lan.node, "2001:db8::10");
        tap.next(unsolicited);
        // The kernel lets a few milliseconds pass between the joining and the report.
        eventually("the switch knows", || lan.knows_the_group());
        make_ask(&lan.client, "2001:db8::10");
        eventually("the client knows the address", || {
            lan.client.neighbour("2001:db8::10") == Some(NODE_MAC.to_string())
        });
    });
}

#[test]
fn n7_a_node_that_may_take_over_is_in_the_group_and_leaves_when_it_may_not() {
    with_privileges(|| {
        let lan = Snooping::new();
        let mut speaker = Speaker::on(&lan.node);
        speaker.assign("2001:db8::10", &["other", NODE]);
        eventually("the standby has joined", || lan.knows_the_group());
        assert_eq!(speaker.metrics.owned.get(), 0);
        speaker.unassign("2001:db8::10");
        eventually("it has left", || speaker.metrics.groups.get() == 0);
    });
}

#[test]
fn n10_ipv6_begins_when_the_link_has_an_address_to_send_from() {
    with_privileges(|| {
        let lan = Lan::new();
        lan.node.ip(&format!("addr del {NODE_IP6}/64 dev eth0"));
        let mut speaker = Speaker::announcing(&lan.node, "2001:db8::10");
        speaker.assign("192.0.2.10", &[NODE]);
        lan.tap.next(announcement);
        lan.tap
            .say(&solicitation(CLIENT_IP6, Some(CLIENT_MAC), VIP6));
        let nothing = lan.tap.find(Duration::from_millis(300), advertisement);
        assert_eq!(nothing, None);
        let times = (0..5).map(|_| {
            let before = bellwether_speaker::clock::now();
            lan.node
                .ip(&format!("addr add {NODE_IP6}/64 dev eth0 nodad"));
            let (announced, _) = lan.tap.next(unsolicited);
            lan.node.ip(&format!("addr del {NODE_IP6}/64 dev eth0"));
            std::thread::sleep(Duration::from_millis(20));
            lan.tap.clear();
            announced.since(before)
        });
        let quickest = times.min().expect("five");
        assert!(quickest < Duration::from_millis(50), "{quickest:?}");
    });
}

#[test]
fn n10_an_address_that_is_being_checked_is_not_sent_from() {
    with_privileges(|| {
        let lan = Lan::new();
        lan.node.ip(&format!("addr del {NODE_IP6}/64 dev eth0"));
        lan.node.set("net/ipv6/conf/eth0/accept_dad", "1");
        let _speaker = Speaker::announcing(&lan.node, "2001:db8::10");
        lan.node.ip(&format!("addr add {NODE_IP6}/64 dev eth0"));
        // The kernel asks for duplicates of its own address before ours uses it.
        let mine = |frame: &Frame| match frame.packet {
            Packet::Solicitation(asked) if asked.target == NODE_IP6 => Some(true),
            Packet::Advertisement(told) if told.source == NODE_IP6 => Some(false),
            _ => None,
        };
        let (_, checked_first) = lan.tap.next(mine);
        assert!(checked_first);
        let (_, told) = lan.tap.next(unsolicited);
        assert_eq!((told.source, told.target), (NODE_IP6, VIP6));
    });
}

/// A station that advertises the address is noticed, and the node stays what it is.
#[test]
fn a_foreign_advertisement_is_counted() {
    with_privileges(|| {
        let (lan, speaker) = announced();
        lan.tap.say(&Frame {
            destination: MacAddr([0x33, 0x33, 0, 0, 0, 1]),
            source: STRANGER_MAC,
            vlan: None,
            packet: Packet::Advertisement(Advertisement {
                source: Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xee),
                destination: ALL_NODES,
                target: VIP6,
                router: false,
                solicited: false,
                overrides: true,
                target_mac: Some(STRANGER_MAC),
            }),
        });
        eventually("it is noticed", || {
            speaker.metrics.foreign_claims.get() == 1
        });
    });
}
