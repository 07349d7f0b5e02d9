use bellwether_core::frame::arp::{Arp, Operation};
use bellwether_core::frame::ndp::{Advertisement, Solicitation};
use bellwether_core::frame::{Frame, Packet};
use bellwether_core::mac::MacAddr;
use proptest::prelude::*;

use super::*;

const CLIENT: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0xc1]);
const HOST: u32 = 0;

/// What the kernel would do: whether `program` lets `octets` through.
fn passes(program: &[Instruction], octets: &[u8], packet_type: u32) -> bool {
    let mut accumulator = 0;
    let mut at = 0;
    loop {
        let step = program[at];
        at += 1;
        let load = |octets_wanted: usize| {
            if step.operand == PACKET_TYPE {
                return Some(packet_type);
            }
            let start = step.operand as usize;
            let value = octets.get(start..start + octets_wanted)?;
            Some(
                value
                    .iter()
                    .fold(0, |value, octet| value << 8 | u32::from(*octet)),
            )
        };
        let loaded = match step.code {
            LOAD_OCTET => load(1),
            LOAD_HALF => load(2),
            LOAD_WORD => load(4),
            AND => Some(accumulator & step.operand),
            JUMP_IF_EQUAL => {
                at += usize::from(if accumulator == step.operand {
                    step.if_true
                } else {
                    step.if_false
                });
                continue;
            }
            RETURN => return step.operand == ACCEPT,
            code => panic!("no such instruction: {code:#x}"),
        };
        match loaded {
            Some(value) => accumulator = value,
            // The kernel drops a frame that is too short for a load.
            None => return false,
        }
    }
}

fn octets(packet: Packet) -> Vec<u8> {
    let frame = Frame {
        destination: MacAddr::BROADCAST,
        source: CLIENT,
        vlan: None,
        packet,
    };
    frame.encode().as_octets().to_vec()
}

fn request(sender_ip: Ipv4Addr, target_ip: Ipv4Addr) -> Vec<u8> {
    octets(Packet::Arp(Arp {
        operation: Operation::Request,
        sender_mac: CLIENT,
        sender_ip,
        target_mac: MacAddr::ZERO,
        target_ip,
    }))
}

fn solicitation(source: Ipv6Addr, target: Ipv6Addr) -> Vec<u8> {
    octets(Packet::Solicitation(Solicitation {
        source,
        destination: target,
        target,
        source_mac: None,
    }))
}

fn advertisement(target: Ipv6Addr) -> Vec<u8> {
    octets(Packet::Advertisement(Advertisement {
        source: Ipv6Addr::LOCALHOST,
        destination: target,
        target,
        router: false,
        solicited: false,
        overrides: true,
        target_mac: None,
    }))
}

#[test]
fn arp_passes_when_its_sender_or_target_is_in_a_network() {
    let program = arp(&[
        "192.0.2.8/29".parse().expect("a network"),
        "198.51.100.7/32".parse().expect("a network"),
    ]);
    let other = Ipv4Addr::new(203, 0, 113, 1);
    for (address, expected) in [
        ([192, 0, 2, 8], true),
        ([192, 0, 2, 15], true),
        ([192, 0, 2, 16], false),
        ([198, 51, 100, 7], true),
        ([198, 51, 100, 8], false),
    ] {
        let address = Ipv4Addr::from(address);
        for octets in [request(other, address), request(address, other)] {
            assert_eq!(passes(&program, &octets, HOST), expected, "{address}");
        }
    }
}

#[test]
fn what_is_not_for_this_node_does_not_pass() {
    let program = arp(&["0.0.0.0/0".parse().expect("a network")]);
    let octets = request(Ipv4Addr::UNSPECIFIED, Ipv4Addr::LOCALHOST);
    for (packet_type, expected) in [(0, true), (1, true), (2, true), (3, false), (4, false)] {
        assert_eq!(passes(&program, &octets, packet_type), expected);
    }
}

#[test]
fn other_arp_does_not_pass() {
    let program = arp(&["0.0.0.0/0".parse().expect("a network")]);
    let good = request(Ipv4Addr::UNSPECIFIED, Ipv4Addr::LOCALHOST);
    for (what, at, octet, expected) in [
        ("IEEE 802", 15, 6, true),
        ("another hardware type", 15, 7, false),
        ("another protocol", 16, 0x86, false),
        ("longer hardware addresses", 18, 8, false),
        ("longer protocol addresses", 19, 16, false),
        ("a reply", 21, 2, true),
        ("another operation", 21, 3, false),
    ] {
        let mut octets = good.clone();
        octets[at] = octet;
        assert_eq!(passes(&program, &octets, HOST), expected, "{what}");
    }
    assert!(!passes(&program, &good[..21], HOST));
}

#[test]
fn ndp_passes_when_its_source_or_target_is_in_a_network() {
    let program = ndp(&[
        "2001:db8::/125".parse().expect("a network"),
        "2001:db8:1::/48".parse().expect("a network"),
    ]);
    for (address, expected) in [
        ("2001:db8::7", true),
        ("2001:db8::8", false),
        ("2001:db8:1:2::3", true),
        ("2001:db8:2::", false),
    ] {
        let address = address.parse().expect("an address");
        for octets in [
            solicitation(Ipv6Addr::LOCALHOST, address),
            solicitation(address, Ipv6Addr::LOCALHOST),
            advertisement(address),
        ] {
            assert_eq!(passes(&program, &octets, HOST), expected, "{address}");
        }
    }
}

#[test]
fn other_ipv6_does_not_pass() {
    let program = ndp(&["::/0".parse().expect("a network")]);
    let good = advertisement(Ipv6Addr::LOCALHOST);
    assert!(passes(&program, &good, HOST));
    for (what, at, octet) in [("UDP", 20, 17), ("an echo request", 54, 128)] {
        let mut octets = good.clone();
        octets[at] = octet;
        assert!(!passes(&program, &octets, HOST), "{what}");
    }
}

#[test]
fn without_networks_nothing_passes() {
    assert!(!passes(
        &arp(&[]),
        &request(Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST),
        HOST
    ));
    assert!(!passes(
        &ndp(&[]),
        &advertisement(Ipv6Addr::LOCALHOST),
        HOST
    ));
}

#[test]
fn few_addresses_are_covered_one_by_one() {
    let addresses = BTreeSet::from([[192, 0, 2, 1].into(), [198, 51, 100, 1].into()]);
    let networks: Vec<_> = cover_ipv4(&addresses)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(networks, ["192.0.2.1/32", "198.51.100.1/32"]);
    assert_eq!(cover_ipv4(&BTreeSet::new()), []);
}

proptest! {
    #[test]
    fn every_address_is_covered_by_few_networks(
        addresses in proptest::collection::btree_set(any::<Ipv4Addr>(), 0..200),
        addresses6 in proptest::collection::btree_set(any::<Ipv6Addr>(), 0..200),
    ) {
        let networks = cover_ipv4(&addresses);
        prop_assert!(networks.len() <= MOST_NETWORKS);
        for address in &addresses {
            prop_assert!(networks.iter().any(|network| network.contains(address)));
        }
        let networks = cover_ipv6(&addresses6);
        prop_assert!(networks.len() <= MOST_NETWORKS);
        for address in &addresses6 {
            prop_assert!(networks.iter().any(|network| network.contains(address)));
        }
    }

    #[test]
    fn the_filter_agrees_with_the_networks(
        networks in proptest::collection::vec((any::<Ipv6Addr>(), 0u8..=128), 0..4),
        address in any::<Ipv6Addr>(),
        near in any::<bool>(),
    ) {
        let networks: Vec<_> = networks
            .into_iter()
            .map(|(address, length)| Ipv6Net::new_assert(address, length).trunc())
            .collect();
        let address = match networks.first() {
            Some(network) if near => network.broadcast(),
            _ => address,
        };
        let expected = networks.iter().any(|network| network.contains(&address));
        let octets = solicitation(Ipv6Addr::UNSPECIFIED, address);
        let source_matches = networks.iter().any(|network| network.contains(&Ipv6Addr::UNSPECIFIED));
        prop_assert_eq!(passes(&ndp(&networks), &octets, HOST), expected || source_matches);
    }
}
