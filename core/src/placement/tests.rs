//! Who may announce an address.

use super::*;
use proptest::prelude::*;

fn everywhere(node: &str, preference: u32) -> AdvertisedNode {
    AdvertisedNode {
        node: node.into(),
        interfaces: Interfaces::All,
        preference,
    }
}

fn on(node: &str, links: &[&str]) -> AdvertisedNode {
    let names = links.iter().map(|&link| link.into()).collect();
    AdvertisedNode {
        node: node.into(),
        interfaces: Interfaces::Named(names),
        preference: 0,
    }
}

fn names(candidates: &[Candidate]) -> Vec<&str> {
    candidates
        .iter()
        .map(|candidate| candidate.node.as_str())
        .collect()
}

const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 10));

/// `node:preference`, and the links in brackets if it may not use all.
fn described(candidate: &Candidate) -> String {
    let links = match &candidate.interfaces {
        Interfaces::All => String::new(),
        Interfaces::Named(links) => {
            let links: Vec<&str> = links.iter().map(LinkName::as_str).collect();
            format!("({})", links.join("+"))
        }
    };
    format!("{}:{}{links}", candidate.node, candidate.preference)
}

/// A sentence, advertisements, the nodes with a ready endpoint, those that are not eligible, and what
/// comes of it, best first.
type Row<'a> = (
    &'a str,
    Vec<Vec<AdvertisedNode>>,
    Option<&'a [&'a str]>,
    &'a [&'a str],
    &'a str,
);

const NONE: &[&str] = &[];

#[test]
fn metallb_1_1_all_advertisements_of_an_address_together_say_who_may_announce_it() {
    let eth = |link: &str, preference| AdvertisedNode {
        preference,
        ..on("a", &[link])
    };
    let all = |preferences: [u32; 3]| {
        let nodes = ["a", "b", "c"].into_iter().zip(preferences);
        nodes.map(|(node, preference)| everywhere(node, preference))
    };
    let rows: [Row; 11] = [
        ("no advertisement", vec![], None, NONE, ""),
        (
            "one without a preference: the hash decides",
            vec![all([0, 0, 0]).collect()],
            None,
            NONE,
            "a:0 b:0 c:0",
        ),
        (
            "a preference comes before the hash",
            vec![all([0, 0, 1]).collect()],
            None,
            NONE,
            "c:1 a:0 b:0",
        ),
        (
            "preferences of two are summed",
            vec![all([50, 60, 0]).collect(), vec![everywhere("a", 20)]],
            None,
            NONE,
            "a:70 b:60 c:0",
        ),
        (
            "the same twice counts twice, where preferences are concerned",
            vec![vec![everywhere("a", 20)], vec![everywhere("a", 20)]],
            None,
            NONE,
            "a:40",
        ),
        (
            "two that name different nodes",
            vec![vec![everywhere("a", 0)], vec![everywhere("b", 0)]],
            None,
            NONE,
            "a:0 b:0",
        ),
        (
            "two that name different links of a node: both",
            vec![vec![eth("eth0", 0)], vec![eth("eth1", 5)]],
            None,
            NONE,
            "a:5(eth0+eth1)",
        ),
        (
            "one that names a link and one that names none: all links",
            vec![vec![eth("eth0", 0)], vec![everywhere("a", 0)]],
            None,
            NONE,
            "a:0",
        ),
        (
            "policy Local: nodes with an endpoint, of those that are advertised",
            vec![vec![everywhere("a", 0), everywhere("b", 9)]],
            Some(&["a", "z"]),
            NONE,
            "a:0",
        ),
        (
            "a node that is not eligible is out, however much it is preferred",
            vec![all([0, 100, 0]).collect()],
            None,
            &["b"],
            "a:0 c:0",
        ),
        (
            "only nodes that every list holds",
            vec![all([0, 0, 0]).collect()],
            Some(&["a", "b", "z"]),
            &["a"],
            "b:0",
        ),
    ];
    for (sentence, advertisements, only, out, expected) in rows {
        let only: Option<BTreeSet<NodeName>> =
            only.map(|names| names.iter().map(NodeName::from).collect());
        let lists = advertisements.iter().map(Vec::as_slice);
        let found = candidates(ADDRESS, lists, only.as_ref(), |node| {
            !out.contains(&node.as_str())
        });
        let mut found: Vec<(u32, String)> = found
            .into_iter()
            .map(|candidate| (candidate.preference, described(&candidate)))
            .collect();
        assert!(
            found.is_sorted_by(|one, other| one.0 >= other.0),
            "{sentence}: {found:?}"
        );
        // Which of equals comes first is the hash's affair.
        found.sort_by(|one, other| (other.0, &one.1).cmp(&(one.0, &other.1)));
        let found: Vec<String> = found.into_iter().map(|(_, text)| text).collect();
        assert_eq!(found.join(" "), expected, "{sentence}");
    }
}

#[test]
fn weakness_4_21_a_node_that_can_serve_the_address_goes_before_one_that_cannot() {
    let link = |name: &str, carrier, network: &str| NodeLink {
        name: name.into(),
        carrier,
        networks: vec![network.parse().expect("a network")],
    };
    let (lan, other) = ("192.0.2.0/24", "198.51.100.0/24");
    let eth0 = || Interfaces::Named(BTreeSet::from(["eth0".into()]));
    let rows: [(&str, Interfaces, [NodeLink; 2], &[&str]); 8] = [
        (
            "one is on it",
            Interfaces::All,
            [link("eth0", true, lan), link("eth0", true, other)],
            &["a"],
        ),
        (
            "both are on it",
            Interfaces::All,
            [link("eth0", true, lan), link("eth1", true, lan)],
            &["a", "b"],
        ),
        (
            "none is on it",
            Interfaces::All,
            [link("eth0", true, other), link("eth0", true, other)],
            &["a", "b"],
        ),
        (
            "one has no carrier",
            Interfaces::All,
            [link("eth0", false, lan), link("eth0", true, lan)],
            &["b"],
        ),
        (
            "one may not announce on the link that is on it",
            eth0(),
            [link("eth1", true, lan), link("eth0", true, lan)],
            &["b"],
        ),
        (
            "none is on it, and one lacks the link that is named",
            eth0(),
            [link("eth1", true, other), link("eth0", true, other)],
            &["b"],
        ),
        (
            "none is on it, and one has no carrier",
            Interfaces::All,
            [link("eth0", true, other), link("eth0", false, other)],
            &["a"],
        ),
        (
            "both lack the link that is named: their Speakers say so",
            eth0(),
            [link("eth1", true, lan), link("eth1", true, lan)],
            &["a", "b"],
        ),
    ];
    for (sentence, interfaces, [a, b], expected) in rows {
        let links: BTreeMap<NodeName, _> = BTreeMap::from([("a".into(), [a]), ("b".into(), [b])]);
        let both = ["a", "b"].map(|node| Candidate {
            node: node.into(),
            interfaces: interfaces.clone(),
            preference: 0,
        });
        let found = on_its_network(ADDRESS, both.to_vec(), |node| &links[node]);
        assert_eq!(names(&found), expected, "{sentence}");
    }
}

/// Golden values: a change of them moves every address during a rolling upgrade.
#[test]
fn the_weights_never_change() {
    let weight = |node: &str, address: &str| {
        rendezvous_weight(&node.into(), address.parse().expect("an address"))
    };
    assert_eq!(weight("node-a", "192.0.2.10"), GOLDEN[0]);
    assert_eq!(weight("node-b", "192.0.2.10"), GOLDEN[1]);
    assert_eq!(weight("node-a", "2001:db8::10"), GOLDEN[2]);
}

// Computed by another implementation of SipHash-2-4.
const GOLDEN: [u64; 3] = [
    10_969_776_478_165_979_234,
    4_766_166_423_995_606_090,
    12_915_030_028_934_357_901,
];

proptest! {
    #[test]
    fn a_node_that_leaves_moves_only_its_own_addresses(host in 0u8..=255, left in 0usize..5) {
        let address = IpAddr::from([192, 0, 2, host]);
        let nodes: Vec<_> = (0..5).map(|n| everywhere(&format!("node-{n}"), 0)).collect();
        let before = candidates(address, [&nodes[..]], None, |_| true);
        let gone = nodes[left].node.clone();
        let after = candidates(address, [&nodes[..]], None, |node| *node != gone);
        let expected: Vec<_> = before.into_iter().filter(|c| c.node != gone).collect();
        prop_assert_eq!(after, expected);
    }
}

#[test]
fn addresses_spread_over_the_nodes() {
    let nodes: Vec<_> = (0..4)
        .map(|n| everywhere(&format!("node-{n}"), 0))
        .collect();
    let mut count = BTreeMap::new();
    for host in 0..1000u16 {
        let [high, low] = host.to_be_bytes();
        let address = IpAddr::from([10, 0, high, low]);
        let first = candidates(address, [&nodes[..]], None, |_| true).swap_remove(0);
        *count.entry(first.node).or_insert(0) += 1;
    }
    // 250 each on average; three standard deviations are 41.
    assert!(count.values().all(|n| (209..=291).contains(n)), "{count:?}");
}
