//! What the status of the Speaker says.

use super::*;

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
fn the_speaker_tells_its_start_and_each_start_says_so_once() {
    let mut world = World::at_rest();
    let session = |world: &World| world.speaker.clone().and_then(|status| status.session);
    assert_eq!(session(&world).as_deref(), Some("0000000000000abc"));
    let said = world.speaker.clone().expect("a Speaker");
    world.reporter = Reporter::new("a".into(), Session(u64::MAX), Vec::new());
    world.tell(links([link("eth0")]));
    world.set_speaker(said);
    assert_eq!(world.settle(), 1);
    assert_eq!(session(&world).as_deref(), Some("ffffffffffffffff"));
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
    let mut reporter = Reporter::new("a".into(), SESSION, Vec::new());
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
        world.reporter = Reporter::new("a".into(), SESSION, given.collect());
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
fn complaint_3_1_20_addresses_that_the_kernel_answers_for_are_said_while_they_are_announced() {
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
