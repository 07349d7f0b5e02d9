use std::net::Ipv6Addr;

use super::*;

const ETH0: LinkIndex = LinkIndex(2);
const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

fn link(index: u32, name: &str) -> KernelLink {
    KernelLink {
        index: LinkIndex(index),
        name: name.into(),
        mac: Some(MAC),
        up: true,
        carrier: true,
        can_broadcast: true,
        port_of: None,
        leads_to_guest: false,
        active_port: None,
        router: Some(false),
    }
}

fn address(link: LinkIndex, address: &str) -> KernelAddress {
    KernelAddress {
        link,
        address: address.parse().expect("an address"),
        usable: true,
    }
}

fn table(links: Vec<KernelLink>) -> LinkTable {
    let excluded = RegexSet::new(["^veth.*", "^lo$"]).expect("expressions");
    let mut table = LinkTable::new(excluded);
    table.replace(Dump {
        links,
        ..Dump::default()
    });
    table
}

fn names(table: &LinkTable) -> Vec<String> {
    table
        .links()
        .iter()
        .map(|(_, link)| link.name.to_string())
        .collect()
}

#[test]
fn links_that_cannot_carry_announcements_are_left_out() {
    let table = table(vec![
        link(2, "eth0"),
        KernelLink {
            can_broadcast: false,
            ..link(1, "tunnel")
        },
        KernelLink {
            mac: None,
            ..link(3, "wireguard")
        },
        KernelLink {
            mac: Some(MacAddr::ZERO),
            ..link(4, "ipvlan-l3")
        },
        KernelLink {
            up: false,
            ..link(5, "off")
        },
        KernelLink {
            port_of: Some(LinkIndex(8)),
            ..link(6, "port")
        },
        link(7, "veth1234"),
        link(8, "br0"),
    ]);
    assert_eq!(names(&table), ["eth0", "br0"]);
}

#[test]
fn a_link_without_a_carrier_is_there_and_says_so() {
    let table = table(vec![KernelLink {
        carrier: false,
        ..link(2, "eth0")
    }]);
    assert!(!table.links().get(ETH0).expect("eth0").carrier);
}

#[test]
fn addresses_and_networks_are_the_global_ones() {
    let mut table = table(vec![link(2, "eth0")]);
    for text in [
        "192.0.2.5/24",
        "169.254.1.1/16",
        "2001:db8::5/64",
        "fe80::5/64",
    ] {
        assert!(table.apply(Change::Address(address(ETH0, text))));
    }
    let links = table.links();
    let link = links.get(ETH0).expect("eth0");
    let networks: Vec<_> = link.networks.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["192.0.2.0/24", "2001:db8::/64"]);
    let addresses: Vec<_> = link.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["192.0.2.5", "2001:db8::5"]);
    assert_eq!(
        link.link_local,
        Some("fe80::5".parse().expect("an address"))
    );
    assert!(table.apply(Change::AddressGone(address(ETH0, "192.0.2.5/24"))));
    assert_eq!(table.links().get(ETH0).expect("eth0").networks.len(), 1);
}

/// N10.
#[test]
fn a_link_local_address_counts_once_it_is_known_to_be_the_only_one() {
    let mut table = table(vec![link(2, "eth0")]);
    let tentative = KernelAddress {
        usable: false,
        ..address(ETH0, "fe80::5/64")
    };
    let link_local = |table: &LinkTable| -> Option<Ipv6Addr> {
        table.links().get(ETH0).expect("eth0").link_local
    };
    table.apply(Change::Address(tentative));
    assert_eq!(link_local(&table), None);
    table.apply(Change::Address(address(ETH0, "fe80::5/64")));
    assert!(link_local(&table).is_some());
}

/// G4: what leaves through which port.
#[test]
fn ports_are_those_that_frames_leave_through() {
    let port = |index: u32, master: u32, carrier| KernelLink {
        port_of: Some(LinkIndex(master)),
        carrier,
        ..link(index, &format!("port{index}"))
    };
    let guest = KernelLink {
        leads_to_guest: true,
        ..port(6, 2, true)
    };
    let bond = KernelLink {
        active_port: Some(LinkIndex(8)),
        ..link(3, "bond0")
    };
    let mut table = table(vec![
        link(2, "br0"),
        bond,
        port(4, 2, true),
        port(5, 2, false),
        guest,
        port(7, 3, true),
        port(8, 3, true),
    ]);
    let ports = |table: &LinkTable, index| -> Vec<u32> {
        let links = table.links();
        let link = links.get(LinkIndex(index)).expect("a link");
        link.ports.iter().map(|port| port.0).collect()
    };
    assert_eq!(ports(&table, 2), [4]);
    assert_eq!(ports(&table, 3), [8]);
    assert!(table.apply(Change::Link(port(5, 2, true))));
    assert_eq!(ports(&table, 2), [4, 5]);
}

#[test]
fn what_an_event_leaves_out_stays_as_it_was() {
    let mut table = table(vec![KernelLink {
        router: Some(true),
        ..link(2, "eth0")
    }]);
    let silent = KernelLink {
        router: None,
        ..link(2, "eth0")
    };
    assert!(!table.apply(Change::Link(silent)));
    assert!(table.links().get(ETH0).expect("eth0").router);
}

#[test]
fn what_changes_nothing_does_not_matter() {
    let mut table = table(vec![link(2, "eth0"), link(3, "veth1")]);
    assert!(!table.apply(Change::Link(link(2, "eth0"))));
    let excluded = address(LinkIndex(3), "10.96.0.1/32");
    assert!(!table.apply(Change::Address(excluded)));
    assert!(!table.apply(Change::AddressGone(excluded)));
    assert!(!table.apply(Change::LinkGone(LinkIndex(9))));
    assert!(table.apply(Change::LinkGone(ETH0)));
    assert!(names(&table).is_empty());
}

#[test]
fn a_dump_replaces_what_was_known() {
    let mut table = table(vec![link(2, "eth0")]);
    table.apply(Change::Address(address(ETH0, "192.0.2.5/24")));
    let gateway = [192, 0, 2, 1].into();
    table.replace(Dump {
        links: vec![link(2, "eth0"), link(3, "eth1")],
        addresses: vec![address(LinkIndex(3), "198.51.100.5/24")],
        gateways: vec![(LinkIndex(3), gateway)],
    });
    let links = table.links();
    assert!(links.get(ETH0).expect("eth0").networks.is_empty());
    let eth1 = links.get(LinkIndex(3)).expect("eth1");
    assert_eq!(eth1.networks.len(), 1);
    assert_eq!(eth1.gateways, BTreeSet::from([gateway]));
}
