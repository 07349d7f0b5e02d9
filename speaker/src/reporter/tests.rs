use std::time::Duration;

use bellwether_core::election::{OwnReason, Owned, ReleaseReason, Term};
use bellwether_core::link::{Link, LinkIndex, Links};
use bellwether_core::mac::MacAddr;
use bellwether_core::placement::Interfaces;
use bellwether_core::responder::ForeignClaim;
use bellwether_crds::announcement::name_of;
use bellwether_daemon::watch::Key;
use proptest::prelude::*;

use super::*;
use crate::l2::Paths;
use crate::links::KernelAnswers;

const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 10));
const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 11));
const ADDRESS6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10));
const STRANGER: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xee]);

fn link(name: &str) -> Link {
    Link {
        name: name.into(),
        mac: MacAddr([2, 0, 0, 0, 0, 0x0a]),
        carrier: true,
        addresses: ["192.0.2.5".parse().expect("an address")].into(),
        networks: ["192.0.2.0/24".parse().expect("a network")].into(),
        link_local: Some("fe80::a".parse().expect("an address")),
        router: false,
        gateways: BTreeSet::new(),
        ports: BTreeSet::new(),
    }
}

fn links(links: impl IntoIterator<Item = Link>) -> Input {
    Input::Links((1..).map(LinkIndex).zip(links).collect::<Links>())
}

fn owned(address: IpAddr, term: u64) -> Owned {
    Owned {
        address,
        interfaces: Interfaces::All,
        term: Term(term),
        previous: Some("b".into()),
        reason: OwnReason::Unclaimed,
        takeover: Some(Duration::from_millis(212)),
    }
}

fn own(address: IpAddr, term: u64) -> Input {
    Input::Report(Report::Own(owned(address, term)))
}

fn release(address: IpAddr, reason: ReleaseReason) -> Input {
    Input::Report(Report::Release { address, reason })
}

fn foreign(mac: MacAddr) -> Input {
    Input::Report(Report::Foreign(ForeignClaim {
        address: ADDRESS,
        mac,
    }))
}

fn by(node: &str, term: i64) -> AnnouncementStatus {
    AnnouncementStatus {
        node: Some(node.into()),
        term: Some(term),
        ..AnnouncementStatus::default()
    }
}

fn key(address: IpAddr) -> Key {
    Key {
        namespace: String::new(),
        name: name_of(address),
    }
}

/// The reporter of node `a`, and an API server that takes what it writes.
struct World {
    reporter: Reporter,
    now: u64,
    version: u64,
    announcements: BTreeMap<IpAddr, AnnouncementStatus>,
    speaker: Option<SpeakerStatus>,
    /// What each write fails with, while there is something here.
    error: Option<CallError>,
}

impl World {
    /// With one link, Announcements of all addresses, and a Speaker.
    fn new() -> Self {
        let mut world = Self {
            reporter: Reporter::new("a".into(), Vec::new()),
            now: 1_000_000,
            version: 0,
            announcements: BTreeMap::new(),
            speaker: None,
            error: None,
        };
        world.tell(links([link("eth0")]));
        for address in [ADDRESS, OTHER, ADDRESS6] {
            world.set(address, AnnouncementStatus::default());
        }
        world.set_speaker(SpeakerStatus::default());
        world.tell(Input::Assigned);
        world
    }

    /// One in which all that there is to say has been said.
    fn at_rest() -> Self {
        let mut world = Self::new();
        assert_eq!(world.settle(), 1, "the Speaker");
        world
    }

    fn now(&self) -> Now {
        let milliseconds = i64::try_from(self.now).expect("small");
        Now {
            moment: Moment::from_millis(self.now),
            time: Timestamp::from_millisecond(milliseconds).expect("a time"),
        }
    }

    fn tell(&mut self, input: Input) {
        let now = self.now();
        self.reporter.handle(input, now);
    }

    fn facts(&self, address: IpAddr) -> Option<AnnouncementFacts> {
        Some(AnnouncementFacts {
            address,
            advertisements: Vec::new(),
            only_nodes: None,
            move_to: None,
            status: self.announcements.get(&address)?.clone(),
            resource_version: self.version.to_string(),
        })
    }

    /// Somebody writes the status of an Announcement.
    fn set(&mut self, address: IpAddr, status: AnnouncementStatus) {
        self.version += 1;
        self.announcements.insert(address, status);
        let facts = self.facts(address);
        self.tell(Input::Announcement(Event::Applied(facts)));
    }

    fn set_speaker(&mut self, status: SpeakerStatus) {
        self.speaker = Some(status.clone());
        self.tell(Input::Speaker(Event::Applied(SpeakerFacts {
            name: "a".into(),
            eligible: true,
            links: Vec::new(),
            macs: BTreeSet::new(),
            addresses: Vec::new(),
            own_status: Some(status),
        })));
    }

    /// The next write, which is then under way.
    fn next(&mut self) -> Option<Write> {
        let now = self.now();
        self.reporter.poll_output(now)
    }

    /// The API server answers a write.
    fn answer(&mut self, write: &Write) {
        let result = match (&self.error, write) {
            (Some(error), _) => Err(error.clone()),
            (None, Write::Speaker(status)) => {
                self.speaker = Some(status.clone());
                Ok(Written::Speaker(SpeakerFacts {
                    name: "a".into(),
                    eligible: true,
                    links: Vec::new(),
                    macs: BTreeSet::new(),
                    addresses: Vec::new(),
                    own_status: self.speaker.clone(),
                }))
            }
            (
                None,
                Write::Announcement {
                    address, status, ..
                },
            ) => {
                self.version += 1;
                self.announcements.insert(*address, status.clone());
                Ok(Written::Announcement(self.facts(*address)))
            }
        };
        self.tell(Input::Written {
            target: write.target(),
            result,
        });
    }

    /// Has everything written that is to be written now. Returns how many writes that were.
    fn settle(&mut self) -> usize {
        let mut count = 0;
        while let Some(write) = self.next() {
            self.answer(&write);
            count += 1;
        }
        count
    }

    /// Lets time pass, waking up when asked to. Returns how many writes there were.
    fn pass(&mut self, duration: Duration) -> usize {
        let end = self.now + u64::try_from(duration.as_millis()).expect("small");
        let mut count = self.settle();
        while let Some(deadline) = self.reporter.next_deadline() {
            let wake = deadline.as_nanos().div_ceil(1_000_000);
            if wake > end {
                break;
            }
            assert!(wake >= self.now, "a deadline stays behind");
            self.now = wake;
            let now = self.now();
            self.reporter.on_deadline(now.moment);
            count += self.settle();
        }
        self.now = end;
        count
    }

    fn status(&self, address: IpAddr) -> &AnnouncementStatus {
        &self.announcements[&address]
    }

    /// Status, reason and message of a condition.
    fn condition(&self, address: IpAddr, kind: &str) -> Option<(&str, &str, &str)> {
        let conditions = &self.status(address).conditions;
        let found = conditions
            .iter()
            .find(|condition| condition.type_ == kind)?;
        Some((&found.status, &found.reason, &found.message))
    }
}

#[test]
fn an_address_that_is_owned_is_reported_once() {
    let mut world = World::at_rest();
    world.tell(own(ADDRESS, 3));
    assert_eq!(world.settle(), 1);
    let status = world.status(ADDRESS);
    assert_eq!(status.node.as_deref(), Some("a"));
    assert_eq!(status.interfaces[0].name, "eth0");
    assert_eq!(status.interfaces[0].mac, "02:00:00:00:00:0a");
    assert_eq!(status.term, Some(3));
    assert_eq!(status.previous_node.as_deref(), Some("b"));
    assert_eq!(status.takeover_milliseconds, Some(212));
    assert_eq!(status.reason.as_deref(), Some("Unclaimed"));
    assert!(status.since.is_some());
    assert_eq!(
        world.condition(ADDRESS, "Announced"),
        Some(("True", "Unclaimed", "a announces it on eth0"))
    );
    assert_eq!(world.pass(Duration::from_hours(1)), 0);
}

#[test]
fn at_a_restart_nothing_is_written() {
    let mut before = World::at_rest();
    before.tell(own(ADDRESS, 3));
    before.settle();
    before.now += 60_000;

    let mut after = World::new();
    after.now = before.now;
    after.set_speaker(before.speaker.clone().expect("a Speaker"));
    after.set(ADDRESS, before.status(ADDRESS).clone());
    after.tell(own(ADDRESS, 3));
    assert_eq!(after.pass(Duration::from_hours(1)), 0);
}

#[test]
fn what_keeps_an_address_from_being_announced_is_said() {
    let named = Owned {
        interfaces: Interfaces::Named(["eth7".into()].into()),
        ..owned(ADDRESS, 1)
    };
    let rows: [(&str, Input, Owned, &str, &str); 5] = [
        (
            "no link at all",
            links([]),
            owned(ADDRESS, 1),
            "NoLink",
            "a has no link that can carry announcements: see --exclude-interfaces of its speaker",
        ),
        (
            "none of those that are named",
            links([link("eth0")]),
            named,
            "NoLink",
            "a has none of the links eth7: name one that kubectl get speaker a shows in the \
             interfaces of the L2Advertisement",
        ),
        (
            "no carrier",
            links([Link {
                carrier: false,
                ..link("eth0")
            }]),
            owned(ADDRESS, 1),
            "NoCarrier",
            "the link eth0 of a has no carrier: check its cable and switch port",
        ),
        (
            "N10: no link-local address",
            links([Link {
                link_local: None,
                ..link("eth0")
            }]),
            owned(ADDRESS6, 1),
            "NoLinkLocalAddress",
            "the link eth0 of a has no usable IPv6 link-local address to announce from: enable \
             IPv6 on it",
        ),
        (
            "no socket",
            Input::Report(Report::Closed(
                [("eth0".into(), "Operation not permitted".to_owned())].into(),
            )),
            owned(ADDRESS, 1),
            "CannotListen",
            "a cannot listen on its link eth0: Operation not permitted",
        ),
    ];
    for (what, around, owned, reason, message) in rows {
        let mut world = World::at_rest();
        let address = owned.address;
        world.tell(around);
        world.tell(Input::Report(Report::Own(owned)));
        world.pass(Duration::from_secs(5));
        let found = world.condition(address, "Announced");
        assert_eq!(found, Some(("False", reason, message)), "{what}");
        let status = world.status(address);
        assert_eq!((&status.node, status.term), (&None, Some(1)), "{what}");
        // It is put right as soon as it can be.
        world.tell(links([link("eth0"), link("eth7")]));
        world.tell(Input::Report(Report::Closed(BTreeMap::new())));
        world.pass(Duration::from_secs(5));
        assert_eq!(world.status(address).node.as_deref(), Some("a"), "{what}");
    }
}

#[test]
fn the_node_that_takes_over_says_so_with_one_write() {
    let mut world = World::at_rest();
    world.tell(own(ADDRESS, 3));
    world.settle();
    world.tell(release(ADDRESS, ReleaseReason::Outclaimed));
    assert_eq!(world.pass(Duration::from_secs(4)), 0);
    world.set(ADDRESS, by("b", 4));
    assert_eq!(world.pass(Duration::from_mins(10)), 0);
    assert_eq!(world.status(ADDRESS), &by("b", 4));
}

#[test]
fn if_nobody_takes_over_the_status_is_cleared() {
    let mut world = World::at_rest();
    world.tell(own(ADDRESS, 3));
    world.settle();
    world.tell(release(ADDRESS, ReleaseReason::NoCandidate));
    assert_eq!(world.pass(Duration::from_secs(6)), 1);
    let status = world.status(ADDRESS);
    assert_eq!((&status.node, status.term), (&None, Some(3)));
    assert_eq!(status.previous_node.as_deref(), Some("a"));
    assert_eq!(
        world.condition(ADDRESS, "Announced"),
        Some((
            "False",
            "NoCandidate",
            "a may not announce it any more, and no other node does yet"
        ))
    );
    assert_eq!(world.pass(Duration::from_hours(1)), 0);
}

#[test]
fn a_status_is_cleared_only_if_it_is_still_the_one_that_was_read() {
    let mut world = World::at_rest();
    world.tell(own(ADDRESS, 3));
    world.settle();
    let version = world.version.to_string();
    world.tell(release(ADDRESS, ReleaseReason::Stopping));
    world.now += 2_000;
    world.reporter.on_deadline(world.now().moment);
    let write = world.next().expect("a write");
    assert!(matches!(
        &write,
        Write::Announcement { resource_version: Some(found), .. } if *found == version
    ));
    // Another node has been faster.
    world.error = Some(CallError::Conflict("changed".into()));
    world.answer(&write);
    world.error = None;
    world.set(ADDRESS, by("b", 4));
    assert_eq!(world.pass(Duration::from_mins(10)), 0);
}

/// It was another node's before this one was restarted.
#[test]
fn a_status_that_names_this_node_wrongly_is_cleared() {
    let mut world = World::at_rest();
    world.set(ADDRESS, by("a", 3));
    assert_eq!(world.pass(Duration::from_secs(4)), 0);
    assert_eq!(world.pass(Duration::from_secs(2)), 1);
    assert_eq!(world.status(ADDRESS).node, None);
}

#[test]
fn nothing_is_cleared_before_the_node_could_own_it() {
    let mut world = World::at_rest();
    world.reporter.assigned = false;
    world.set(ADDRESS, by("a", 3));
    assert_eq!(world.pass(Duration::from_mins(1)), 0);
    world.tell(Input::Assigned);
    world.tell(own(ADDRESS, 3));
    world.settle();
    assert_eq!(world.status(ADDRESS).node.as_deref(), Some("a"));
}

#[test]
fn a_later_claim_is_not_written_over_and_an_earlier_one_is() {
    for (what, theirs, ours, written) in [
        ("later", by("b", 5), 4, false),
        ("earlier", by("b", 3), 4, true),
        (
            "as late, by a node with a greater name",
            by("b", 4),
            4,
            false,
        ),
        ("as late, by a node with a lesser name", by("A", 4), 4, true),
    ] {
        let mut world = World::at_rest();
        world.set(ADDRESS, theirs);
        world.tell(own(ADDRESS, ours));
        assert_eq!(world.pass(Duration::from_mins(1)) > 0, written, "{what}");
    }
}

#[test]
fn a_write_that_is_refused_is_tried_again_later_and_later() {
    let mut world = World::at_rest();
    world.error = Some(CallError::Forbidden("no".into()));
    world.tell(own(ADDRESS, 3));
    let tries = world.pass(Duration::from_mins(10));
    assert!((20..30).contains(&tries), "{tries}");
    world.error = None;
    assert_eq!(world.pass(Duration::from_secs(31)), 1);
    assert_eq!(world.status(ADDRESS).node.as_deref(), Some("a"));
    assert_eq!(world.pass(Duration::from_hours(1)), 0);
}

/// Within 5 s of its return the API server has to tell the truth.
#[test]
fn while_the_api_server_is_away_one_write_is_tried_each_second_and_all_soon_after() {
    let mut world = World::at_rest();
    world.error = Some(CallError::Unavailable("away".into()));
    for address in [ADDRESS, OTHER, ADDRESS6] {
        world.tell(own(address, 3));
    }
    let tries = world.pass(Duration::from_mins(10));
    assert!((590..=610).contains(&tries), "{tries}");
    world.error = None;
    assert_eq!(world.pass(Duration::from_secs(1)), 3);
    for address in [ADDRESS, OTHER, ADDRESS6] {
        assert_eq!(world.status(address).node.as_deref(), Some("a"));
    }
    assert_eq!(world.pass(Duration::from_hours(1)), 0);
}

#[test]
fn one_write_of_a_status_is_under_way_at_a_time_and_the_next_says_the_latest() {
    let mut world = World::at_rest();
    world.tell(own(ADDRESS, 3));
    let first = world.next().expect("a write");
    let mut slow = link("eth0");
    for octet in 1..10 {
        slow.mac = MacAddr([2, 0, 0, 0, 1, octet]);
        world.tell(links([slow.clone()]));
    }
    let others = std::iter::from_fn(|| world.next()).collect::<Vec<_>>();
    let expected = |write: &Write| write.target() == Target::Speaker;
    assert!(others.iter().all(expected), "{others:?}");
    world.answer(&first);
    world.pass(Duration::from_secs(2));
    assert_eq!(world.status(ADDRESS).interfaces[0].mac, "02:00:00:00:01:09");
}

#[test]
fn a_link_that_flaps_makes_one_write_a_second() {
    let mut world = World::at_rest();
    world.tell(own(ADDRESS, 3));
    world.settle();
    let mut writes = 0;
    for round in 0..100 {
        let flapping = Link {
            carrier: round % 2 == 0,
            ..link("eth0")
        };
        world.tell(links([flapping]));
        writes += world.pass(Duration::from_millis(100));
    }
    // Of the Speaker and of the Announcement.
    assert!(writes <= 22, "{writes}");
}

/// C1: before the first claim nobody announces it, and each candidate finds out why.
#[test]
fn who_uses_an_address_that_nobody_announces_is_named_until_somebody_does() {
    let mut world = World::at_rest();
    let mut writes = 0;
    for _ in 0..30 {
        world.tell(foreign(STRANGER));
        writes += world.pass(Duration::from_secs(1));
    }
    assert_eq!(writes, 1);
    let (status, _, message) = world.condition(ADDRESS, "Conflict").expect("a condition");
    assert_eq!(status, "True");
    assert!(message.contains(&STRANGER.to_string()), "{message}");
    world.tell(own(ADDRESS, 1));
    world.pass(Duration::from_secs(2));
    assert_eq!(world.condition(ADDRESS, "Conflict"), None);
    assert_eq!(world.status(ADDRESS).node.as_deref(), Some("a"));
    // Of what another node announces it says nothing.
    world.set(OTHER, by("b", 4));
    let claim = ForeignClaim {
        address: OTHER,
        mac: STRANGER,
    };
    world.set(OTHER, by("b", 4));
    world.tell(Input::Report(Report::Foreign(claim)));
    assert_eq!(world.pass(Duration::from_mins(2)), 0);
}

#[test]
fn a_conflict_is_named_until_it_is_over() {
    let mut world = World::at_rest();
    world.tell(own(ADDRESS, 3));
    world.settle();
    let mut writes = 0;
    for _ in 0..30 {
        world.tell(foreign(STRANGER));
        writes += world.pass(Duration::from_secs(1));
    }
    assert_eq!(writes, 1);
    assert_eq!(
        world.condition(ADDRESS, "Conflict"),
        Some((
            "True",
            "ForeignStation",
            "the station 02:00:00:00:00:ee uses this address too: take it off that station, or \
             exclude it from the pool"
        ))
    );
    assert_eq!(world.pass(Duration::from_secs(58)), 0);
    assert_eq!(world.pass(Duration::from_secs(2)), 1);
    assert_eq!(world.condition(ADDRESS, "Conflict"), None);
    assert_eq!(world.pass(Duration::from_hours(1)), 0);
}

#[test]
fn the_speaker_tells_how_beacons_come_in() {
    let mut world = World::at_rest();
    let mut told = |paths: Paths| {
        world.tell(Input::Report(Report::Paths(paths)));
        world.pass(Duration::from_secs(5));
        let conditions = &world.speaker.as_ref().expect("a Speaker").conditions;
        let said = conditions.iter().skip(1);
        said.map(|one| format!("{} {} {}", one.type_, one.status, one.reason))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        told(Paths::default()),
        [
            "LinkUnproven False BeaconsHeard",
            "BeaconPathDegraded False BeaconsHeard"
        ]
    );
    let bad = Paths {
        unproven: ["b".into()].into_iter().collect(),
        degraded: [("c".into(), "eth0".into())].into_iter().collect(),
    };
    assert_eq!(
        told(bad),
        [
            "LinkUnproven True NeverHeard",
            "BeaconPathDegraded True BeaconsLost"
        ]
    );
}

#[test]
fn the_speaker_tells_its_links_and_what_is_wrong_with_them() {
    let mut world = World::new();
    let mut told = |input: Option<Input>| {
        if let Some(input) = input {
            world.tell(input);
        }
        world.pass(Duration::from_secs(5));
        let status = world.speaker.clone().expect("a Speaker");
        let ready = &status.conditions[0];
        let text = format!("{} {} {}", ready.status, ready.reason, ready.message);
        (status.links, text)
    };
    let (found, ready) = told(None);
    assert_eq!(found[0].subnets, ["192.0.2.0/24"]);
    assert_eq!(ready, "True Listening listening on eth0");
    let closed = BTreeMap::from([("eth0".into(), "no".to_owned())]);
    let (_, ready) = told(Some(Input::Report(Report::Closed(closed))));
    assert_eq!(
        ready,
        "False CannotListen a cannot listen on its link eth0: no"
    );
    told(Some(Input::Report(Report::Closed(BTreeMap::new()))));
    let (found, ready) = told(Some(links([])));
    assert_eq!(found, []);
    assert!(ready.starts_with("False NoLink"), "{ready}");
}

#[test]
fn nothing_is_written_of_a_speaker_that_is_not_there() {
    let mut world = World::new();
    world.tell(Input::Speaker(Event::Deleted(Key {
        namespace: String::new(),
        name: "a".into(),
    })));
    assert_eq!(world.settle(), 0);
}

#[test]
fn nothing_is_said_before_the_links_are_known() {
    let mut reporter = Reporter::new("a".into(), Vec::new());
    let world = World::new();
    for input in [
        Input::Speaker(Event::Applied(SpeakerFacts {
            name: "a".into(),
            eligible: true,
            links: Vec::new(),
            macs: BTreeSet::new(),
            addresses: Vec::new(),
            own_status: Some(SpeakerStatus::default()),
        })),
        Input::Announcement(Event::Applied(world.facts(ADDRESS))),
        own(ADDRESS, 1),
    ] {
        reporter.handle(input, world.now());
    }
    assert_eq!(reporter.poll_output(world.now()), None);
}

#[test]
fn at_the_end_everything_is_taken_back() {
    let mut world = World::at_rest();
    world.tell(own(ADDRESS, 3));
    world.tell(own(OTHER, 1));
    world.settle();
    world.now += 10_000;
    world.tell(release(ADDRESS, ReleaseReason::Stopping));
    // The report about the other was dropped.
    world.tell(Input::Ended);
    assert_eq!(world.settle(), 3);
    assert!(world.reporter.is_done());
    for address in [ADDRESS, OTHER] {
        let said = world.condition(address, "Announced");
        assert_eq!(
            said,
            Some(("False", "Stopping", "the speaker of a has stopped"))
        );
    }
    let speaker = world.speaker.expect("a Speaker");
    assert_eq!(speaker.conditions[0].reason, "Stopping");
}

#[test]
fn the_speaker_shows_the_addresses_of_all_links_or_those_that_were_given() {
    let with = |name: &str, addresses: &[&str]| Link {
        addresses: addresses
            .iter()
            .map(|text| text.parse().expect("an address"))
            .collect(),
        ..link(name)
    };
    let shown = |given: &[&str]| {
        let given = given.iter().map(|text| text.parse().expect("an address"));
        let mut world = World::new();
        world.reporter = Reporter::new("a".into(), given.collect());
        world.tell(links([
            with("eth0", &["192.0.2.5", "2001:db8::5"]),
            with("eth1", &["198.51.100.5", "192.0.2.5"]),
        ]));
        world.set_speaker(SpeakerStatus::default());
        assert_eq!(world.settle(), 1);
        world.speaker.expect("a Speaker").addresses
    };
    assert_eq!(shown(&[]), ["192.0.2.5", "198.51.100.5", "2001:db8::5"]);
    assert_eq!(
        shown(&["203.0.113.5", "192.0.2.5"]),
        ["203.0.113.5", "192.0.2.5"]
    );
}

#[test]
fn an_announcement_that_is_gone_is_not_written() {
    let mut world = World::at_rest();
    world.tell(own(ADDRESS, 3));
    world.tell(Input::Announcement(Event::Deleted(key(ADDRESS))));
    assert_eq!(world.pass(Duration::from_mins(1)), 0);
    // Nor one that goes while it is being written.
    world.tell(own(OTHER, 3));
    world.error = Some(CallError::NotFound("gone".into()));
    assert_eq!(world.settle(), 1);
    assert_eq!(world.pass(Duration::from_mins(1)), 0);
}

#[test]
fn after_dropped_reports_what_is_left_is_taken_over() {
    let mut world = World::at_rest();
    world.tell(own(ADDRESS, 3));
    world.settle();
    world.tell(Input::Report(Report::All {
        paths: None,
        owned: vec![owned(OTHER, 1)],
        closed: BTreeMap::new(),
    }));
    world.pass(Duration::from_secs(10));
    assert_eq!(world.status(ADDRESS).node, None);
    assert_eq!(world.status(OTHER).node.as_deref(), Some("a"));
}

fn input() -> impl Strategy<Value = Input> {
    let address = prop_oneof![Just(ADDRESS), Just(OTHER), Just(ADDRESS6)];
    let some_links = any::<(bool, bool, u8)>().prop_map(|(carrier, link_local, mac)| {
        let mut link = link("eth0");
        link.carrier = carrier;
        link.mac = MacAddr([2, 0, 0, 0, 1, mac % 2]);
        link.link_local = link.link_local.filter(|_| link_local);
        links([link])
    });
    prop_oneof![
        some_links,
        (address.clone(), 1..4u64).prop_map(|(address, term)| own(address, term)),
        (address, any::<bool>()).prop_map(|(address, first)| release(
            address,
            if first {
                ReleaseReason::NoCandidate
            } else {
                ReleaseReason::Outclaimed
            }
        )),
        Just(foreign(STRANGER)),
    ]
}

proptest! {
    /// Whatever happens: in the end the status names this node where it owns the address and can
    /// announce it, and nowhere else; and then nothing more is written.
    #[test]
    fn what_is_said_comes_to_be_true_and_then_rests(
        inputs in proptest::collection::vec((input(), 0..3000u64), 1..40),
        theirs in proptest::option::of(1..4i64),
    ) {
        let mut world = World::new();
        if let Some(term) = theirs {
            world.set(OTHER, by("b", term));
        }
        for (input, pause) in inputs {
            world.tell(input);
            world.pass(Duration::from_millis(pause));
        }
        world.pass(Duration::from_mins(2));
        prop_assert_eq!(world.pass(Duration::from_hours(2)), 0);
        for address in [ADDRESS, ADDRESS6] {
            let claim = world.reporter.claims.get(address);
            let link = world.reporter.surroundings.links.get(LinkIndex(1)).expect("eth0");
            let can = link.carrier && (address.is_ipv4() || link.link_local.is_some());
            let named = world.status(address).node.is_some();
            prop_assert_eq!(named, claim.is_some() && can, "{}", address);
        }
    }
}

#[test]
fn links_that_are_named_and_missing_are_said_until_they_are_there() {
    let mut world = World::at_rest();
    let by = |name: &str| BTreeSet::from([name.into()]);
    let named = [("eth0".into(), by("lan")), ("eth7".into(), by("wan"))];
    world.tell(Input::Named(named.into()));
    assert_eq!(world.pass(Duration::from_secs(5)), 1);
    let status = world.speaker.clone().expect("a Speaker");
    let missing = &status.conditions[1];
    assert_eq!(
        (&*missing.type_, &*missing.reason),
        ("InterfacesMissing", "InterfaceNotFound")
    );
    assert_eq!(
        missing.message,
        "a has no such links that can carry announcements: eth7 (L2Advertisement wan); correct \
         interfaces, or see --exclude-interfaces of the speaker"
    );
    assert_eq!(world.pass(Duration::from_hours(1)), 0);
    world.tell(links([link("eth0"), link("eth7")]));
    world.pass(Duration::from_secs(5));
    let status = world.speaker.clone().expect("a Speaker");
    assert_eq!(status.conditions.len(), 1);
}

#[test]
fn addresses_that_the_kernel_answers_for_are_said_while_they_are_announced() {
    let mut world = World::at_rest();
    let said = |world: &World| {
        let status = world.speaker.clone().expect("a Speaker");
        status
            .conditions
            .into_iter()
            .find(|condition| condition.type_ == "KernelAnswers")
    };
    let answers = |held: &[&str]| {
        let held = held.iter().map(|address| {
            let address = address.parse().expect("an address");
            (address, "kube-ipvs0".into())
        });
        Input::KernelAnswers(KernelAnswers {
            on: ["eth0".into()].into(),
            held: held.collect(),
        })
    };
    world.tell(answers(&["10.96.0.1"]));
    assert_eq!(world.pass(Duration::from_secs(5)), 0, "a cluster IP");
    assert_eq!(said(&world), None);

    let held = ADDRESS.to_string();
    world.tell(answers(&["10.96.0.1", &held]));
    assert_eq!(world.pass(Duration::from_secs(5)), 1);
    let condition = said(&world).expect("the condition");
    assert_eq!(condition.reason, "AddressOnOtherLink");
    assert_eq!(
        condition.message,
        format!(
            "a has {ADDRESS} on its link kube-ipvs0, and its kernel answers ARP for it on eth0, \
             whoever announces it, because the sysctl arp_ignore is 0: set strictARP: true in the \
             configuration of kube-proxy, or net.ipv4.conf.all.arp_ignore=1 on the node"
        )
    );
    assert_eq!(world.pass(Duration::from_hours(1)), 0);

    let deleted = Event::Deleted(key(ADDRESS));
    world.tell(Input::Announcement(deleted));
    world.pass(Duration::from_secs(5));
    assert_eq!(said(&world), None, "it is announced no more");
}
