use super::*;

fn link(name: &str, networks: &[&str]) -> Link {
    Link {
        name: name.into(),
        mac: MacAddr([2, 0, 0, 0, 0, 1]),
        carrier: true,
        addresses: BTreeSet::new(),
        networks: networks
            .iter()
            .map(|network| network.parse().expect("a network"))
            .collect(),
        link_local: None,
        router: false,
        gateways: BTreeSet::new(),
        ports: BTreeSet::new(),
    }
}

fn numbered(links: impl IntoIterator<Item = Link>) -> Links {
    (1..).map(LinkIndex).zip(links).collect()
}

fn names(links: &Links, address: &str, interfaces: &Interfaces) -> Vec<String> {
    links
        .announcing(address.parse().expect("an address"), interfaces)
        .into_iter()
        .map(|index| links.get(index).expect("one of them").name.to_string())
        .collect()
}

#[test]
fn an_address_is_announced_where_its_network_is() {
    let rows: [(&str, Vec<Link>, &str, &[&str]); 8] = [
        (
            "one of two links has the network of the address",
            vec![
                link("lan", &["192.0.2.0/24"]),
                link("storage", &["10.9.0.0/16"]),
            ],
            "192.0.2.10",
            &["lan"],
        ),
        (
            "two links in one broadcast domain: the first",
            vec![
                link("eth0", &["192.0.2.0/24"]),
                link("eth1", &["192.0.2.0/24"]),
            ],
            "192.0.2.10",
            &["eth0"],
        ),
        (
            "two links in one broadcast domain, the first without a carrier: the second",
            vec![
                Link {
                    carrier: false,
                    ..link("eth0", &["192.0.2.0/24"])
                },
                link("eth1", &["192.0.2.0/24"]),
            ],
            "192.0.2.10",
            &["eth1"],
        ),
        (
            "a network within another's is another broadcast domain",
            vec![
                link("wide", &["10.0.0.0/8"]),
                link("narrow", &["10.1.2.0/24"]),
            ],
            "10.1.2.3",
            &["wide", "narrow"],
        ),
        (
            "no link has the network: those with an address of the family, one per network",
            vec![
                link("eth0", &["192.0.2.0/24"]),
                link("eth1", &["192.0.2.0/24"]),
                link("eth2", &["10.9.0.0/16"]),
                link("bare", &[]),
            ],
            "198.51.100.1",
            &["eth0", "eth2"],
        ),
        (
            "no link has an address of the family: all",
            vec![link("eth0", &["192.0.2.0/24"]), link("bare", &[])],
            "2001:db8::1",
            &["eth0", "bare"],
        ),
        (
            "IPv6 goes by IPv6 networks",
            vec![
                link("eth0", &["192.0.2.0/24"]),
                link("eth1", &["192.0.2.0/24", "2001:db8::/64"]),
            ],
            "2001:db8::1",
            &["eth1"],
        ),
        (
            "a link that shares one of its networks is left out",
            vec![
                link("eth0", &["192.0.2.0/24"]),
                link("eth1", &["192.0.2.0/24", "192.0.0.0/16"]),
            ],
            "192.0.2.10",
            &["eth0"],
        ),
    ];
    for (what, links, address, expected) in rows {
        let found = names(&numbered(links), address, &Interfaces::All);
        assert_eq!(found, expected, "{what}");
    }
}

#[test]
fn links_that_are_named_are_used_as_they_are() {
    let links = numbered([
        link("eth0", &["192.0.2.0/24"]),
        link("eth1", &["192.0.2.0/24"]),
        link("bare", &[]),
    ]);
    let named = |names: &[&str]| Interfaces::Named(names.iter().map(|&name| name.into()).collect());
    let found = |interfaces| names(&links, "192.0.2.10", &interfaces);
    assert_eq!(found(named(&["eth0", "eth1"])), ["eth0", "eth1"]);
    assert_eq!(found(named(&["bare", "gone"])), ["bare"]);
    assert!(found(named(&["gone"])).is_empty());
}
