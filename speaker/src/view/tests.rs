use bellwether_core::election::Term;
use bellwether_core::mac::MacAddr;
use bellwether_core::placement::Interfaces;
use bellwether_crds::announcement::{AnnouncementStatus, name_of};
use bellwether_daemon::watch::Key;

use super::*;

const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 10));

fn announcement(advertisements: &[&str]) -> AnnouncementFacts {
    AnnouncementFacts {
        address: ADDRESS,
        advertisements: advertisements.iter().map(|&name| name.into()).collect(),
        only_nodes: None,
        move_to: None,
        status: AnnouncementStatus::default(),
        resource_version: "1".into(),
    }
}

fn advertisement(name: &str, nodes: &[&str]) -> AdvertisementFacts {
    let nodes = nodes.iter().map(|&node| AdvertisedNode {
        node: node.into(),
        interfaces: Interfaces::All,
        preference: 0,
    });
    AdvertisementFacts {
        name: name.into(),
        nodes: nodes.collect(),
    }
}

fn speaker(name: &str, eligible: bool) -> SpeakerFacts {
    SpeakerFacts {
        name: name.into(),
        eligible,
        macs: BTreeSet::new(),
        links: Vec::new(),
        addresses: Vec::new(),
        own_status: None,
    }
}

fn listed<T>(objects: impl Into<Vec<T>>) -> Event<T> {
    Event::Listed {
        objects: objects.into(),
        undecodable: Vec::new(),
    }
}

fn undecodable<T>(name: &str) -> Event<T> {
    Event::Listed {
        objects: Vec::new(),
        undecodable: vec![key(name)],
    }
}

fn key(name: &str) -> Key {
    Key {
        namespace: String::new(),
        name: name.into(),
    }
}

/// One address, one advertisement of three nodes, which are all eligible.
fn view() -> View {
    let mut view = View::new("a".into());
    view.announcement(&listed([Some(announcement(&["adv"]))]));
    view.advertisement(listed([advertisement("adv", &["a", "b", "c"])]));
    view.speaker(&listed(["a", "b", "c"].map(|name| speaker(name, true))));
    view
}

/// The candidates of the address according to the assignments, in the order of their names; none if
/// the address is not assigned. Panics if the assignments have not changed.
fn candidates_now(view: &mut View) -> Option<Vec<String>> {
    let now = view.assignments().expect("a change");
    let none = Assignments::default();
    now.changed(&none).next().map(|(address, assignment)| {
        assert_eq!(address, ADDRESS);
        let names = assignment.candidates.iter();
        let mut names: Vec<_> = names.map(|candidate| candidate.node.to_string()).collect();
        names.sort();
        names
    })
}

#[test]
fn nothing_is_assigned_before_all_is_known() {
    let mut view = View::new("a".into());
    let missing = |view: &View| view.missing().collect::<Vec<_>>();
    assert_eq!(
        missing(&view),
        ["announcements", "l2advertisements", "speakers"]
    );
    view.announcement(&listed([Some(announcement(&["adv"]))]));
    assert!(view.assignments().is_none());
    view.speaker(&listed([speaker("a", true)]));
    assert!(view.assignments().is_none());
    assert_eq!(missing(&view), ["l2advertisements"]);
    view.advertisement(listed([advertisement("adv", &["a"])]));
    assert_eq!(candidates_now(&mut view), Some(vec!["a".to_owned()]));
    assert!(view.assignments().is_none(), "asked for already");
}

#[test]
fn that_there_is_nothing_to_announce_is_known_too() {
    let mut view = View::new("a".into());
    view.announcement(&listed([]));
    view.advertisement(listed([]));
    view.speaker(&listed([]));
    assert!(view.assignments().is_some());
    assert!(view.assignments().is_none());
}

#[test]
fn each_change_shows_in_the_candidates() {
    type Change = fn(&mut View);
    let rows: [(&str, Change, Option<&[&str]>); 7] = [
        (
            "a node is not eligible any more",
            |view| view.speaker(&Event::Applied(speaker("b", false))),
            Some(&["a", "c"]),
        ),
        (
            "a Speaker is gone",
            |view| view.speaker(&Event::Deleted(key("b"))),
            Some(&["a", "c"]),
        ),
        (
            "an advertisement names another node",
            |view| view.advertisement(Event::Applied(advertisement("adv", &["a"]))),
            Some(&["a"]),
        ),
        (
            "the advertisement is gone",
            |view| view.advertisement(Event::Deleted(key("adv"))),
            Some(&[]),
        ),
        (
            "the Announcement names no advertisement",
            |view| view.announcement(&Event::Applied(Some(announcement(&[])))),
            Some(&[]),
        ),
        (
            "the Announcement is gone",
            |view| view.announcement(&Event::Deleted(key("192.0.2.10"))),
            None,
        ),
        (
            "the Announcement is gone from a list",
            |view| view.announcement(&listed([])),
            None,
        ),
    ];
    for (what, change, expected) in rows {
        let mut view = view();
        view.assignments();
        change(&mut view);
        let expected = expected.map(|names| names.iter().map(ToString::to_string).collect());
        assert_eq!(candidates_now(&mut view), expected, "{what}");
    }
}

#[test]
fn only_nodes_restrict_the_candidates() {
    let mut view = view();
    let local = AnnouncementFacts {
        only_nodes: Some(["c".into()].into()),
        ..announcement(&["adv"])
    };
    view.announcement(&Event::Applied(Some(local)));
    assert_eq!(candidates_now(&mut view), Some(vec!["c".to_owned()]));
}

#[test]
fn what_is_recorded_comes_with_the_assignment() {
    let mut view = view();
    view.assignments();
    let status = AnnouncementStatus {
        node: Some("b".into()),
        term: Some(7),
        ..AnnouncementStatus::default()
    };
    view.announcement(&Event::Applied(Some(AnnouncementFacts {
        status,
        ..announcement(&["adv"])
    })));
    let now = view.assignments().expect("a change");
    let (_, assignment) = now.changed(&Assignments::default()).next().map_or_else(
        || panic!("no assignment"),
        |(address, assignment)| (address, Arc::clone(assignment)),
    );
    let recorded = Recorded {
        node: Some("b".into()),
        term: Term(7),
        stands: true,
    };
    assert_eq!(assignment.recorded, Some(recorded));
}

#[test]
fn changes_that_decide_nothing_make_no_assignments() {
    let mut view = view();
    view.assignments();
    let with_mac = SpeakerFacts {
        macs: [MacAddr([2, 0, 0, 0, 0, 9])].into(),
        ..speaker("b", true)
    };
    view.speaker(&Event::Applied(with_mac));
    view.advertisement(Event::Applied(advertisement("other", &["z"])));
    view.announcement(&Event::Applied(Some(announcement(&["adv"]))));
    view.announcement(&Event::Applied(None));
    assert!(view.assignments().is_none());
    let macs = &view.contacts()["b"].macs;
    assert!(macs.contains(&MacAddr([2, 0, 0, 0, 0, 9])));
}

/// Fail static: what cannot be read any more is as it was.
#[test]
fn what_cannot_be_decoded_stays_as_it_was() {
    let mut view = view();
    view.assignments();
    view.announcement(&undecodable(&name_of(ADDRESS)));
    view.advertisement(undecodable("adv"));
    assert!(view.assignments().is_none());
    view.speaker(&undecodable("b"));
    assert_eq!(candidates_now(&mut view), Some(vec!["b".to_owned()]));
}

#[test]
fn a_node_that_is_not_on_the_network_of_the_address_is_no_candidate_if_another_is() {
    let mut view = view();
    let all = ["a", "b", "c"].map(str::to_owned).to_vec();
    assert_eq!(candidates_now(&mut view), Some(all));
    let on = |name: &str, network: &str| SpeakerFacts {
        links: vec![NodeLink {
            name: "eth0".into(),
            carrier: true,
            networks: vec![network.parse().expect("a network")],
        }],
        ..speaker(name, true)
    };
    view.speaker(&Event::Applied(on("a", "198.51.100.0/24")));
    // No node is on it; the others have not said which links they have.
    assert_eq!(candidates_now(&mut view), Some(vec!["a".to_owned()]));
    view.speaker(&Event::Applied(on("c", "198.51.100.0/24")));
    let both = ["a", "c"].map(str::to_owned).to_vec();
    assert_eq!(candidates_now(&mut view), Some(both));
    view.speaker(&Event::Applied(on("b", "192.0.2.0/24")));
    assert_eq!(candidates_now(&mut view), Some(vec!["b".to_owned()]));
}

#[test]
fn the_links_that_advertisements_name_for_this_node_are_known() {
    let mut view = view();
    assert!(view.named_links().is_empty());
    let mut named = advertisement("named", &["a", "b"]);
    for (node, link) in named.nodes.iter_mut().zip(["eth7", "eth8"]) {
        node.interfaces = Interfaces::Named([link.into()].into());
    }
    view.advertisement(Event::Applied(named));
    let expected = BTreeMap::from([("eth7".into(), BTreeSet::from(["named".into()]))]);
    assert_eq!(view.named_links(), expected);
}
