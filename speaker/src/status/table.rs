//! A status as people read it: three tables.

use std::time::Duration;

use bellwether_core::election::{ChannelSnapshot, ContestSnapshot, PathSnapshot, PeerSnapshot};
use bellwether_core::membership::Channel;
use comfy_table::Table;
use comfy_table::presets::NOTHING;

use super::{LinkStatus, Status};
use crate::l2::Rejections;

/// What is read at a glance.
#[must_use]
pub fn render(status: &Status) -> String {
    let Status {
        process, snapshot, ..
    } = status;
    let leaving = if snapshot.leaving {
        ", gives its addresses away"
    } else {
        ""
    };
    let key = status.signing_key.map_or_else(
        || "\nNo key to sign beacons with is known yet, so nothing is announced".to_owned(),
        |key| format!("; signing key: {key}"),
    );
    let mut text = format!(
        "Speaker of {}, version {}, session {:016x}{leaving}\n\
         A beacon each {} ms; real-time priority: {}; memory locked: {}{key}\n\n",
        snapshot.node,
        process.version,
        snapshot.session.0,
        process.profile.interval.as_millis(),
        yes(process.privileges.real_time),
        yes(process.privileges.memory_locked),
    );
    for (table, empty) in [
        (links(status), "No link can carry announcements"),
        (peers(status), "No other speaker is heard"),
        (addresses(status), "No address is to be announced"),
    ] {
        if table.is_empty() {
            text.push_str(empty);
        } else {
            text.push_str(&table.trim_fmt());
        }
        text.push_str("\n\n");
    }
    text.truncate(text.len() - 1);
    text
}

/// The links, and last the datagrams between nodes.
fn links(status: &Status) -> Table {
    let mut table = table(&["LINK", "MAC", "STATE", "SENT", "RECEIVED", "REJECTED"]);
    let mut add = |channel, mac: String, state: &str| {
        let mut counted = status.beacons.iter();
        let counted = counted.find(|beacons| beacons.channel == channel);
        let counted = counted.map_or_else(Default::default, |beacons| beacons.counted);
        table.add_row([
            name(channel, &status.links),
            mac,
            state.to_owned(),
            counted.sent.to_string(),
            counted.received.to_string(),
            rejections(&counted.rejected),
        ]);
    };
    let channel_of = |channel| {
        let mut channels = status.snapshot.channels.iter();
        channels.find(|snapshot| snapshot.channel == channel)
    };
    for link in &status.links {
        let channel = Channel::Link(link.index);
        let state = link_state(link, channel_of(channel));
        add(channel, link.mac.to_string(), state);
    }
    if channel_of(Channel::Unicast).is_some() {
        add(Channel::Unicast, String::new(), "datagrams");
    }
    table
}

fn link_state(link: &LinkStatus, channel: Option<&ChannelSnapshot>) -> &'static str {
    match channel {
        _ if !link.carrier => "no carrier",
        None => "not used yet",
        Some(channel) if channel.deaf => "hears nobody",
        Some(channel) if channel.answering => "answering",
        Some(_) => "not answering: listens first",
    }
}

/// The causes that have occurred.
fn rejections(rejected: &Rejections) -> String {
    if rejected.total() == 0 {
        return "0".to_owned();
    }
    let causes = rejected.by_cause().into_iter();
    let causes = causes.filter(|(_, count)| *count > 0);
    let causes: Vec<_> = causes
        .map(|(cause, count)| format!("{count} {}", cause.replace('_', " ")))
        .collect();
    causes.join(", ")
}

/// The other speakers, each on each link, and last those that were heard on none.
fn peers(status: &Status) -> Table {
    let mut table = table(&[
        "PEER",
        "LINK",
        "STATE",
        "SILENT FOR",
        "DOWN AFTER",
        "LATE BY",
        "MISSED",
        "REPLAYED",
        "CLAIMS",
    ]);
    for peer in &status.snapshot.peers {
        for path in &peer.paths {
            table.add_row([
                peer.node.to_string(),
                name(path.channel, &status.links),
                state(peer, path).to_owned(),
                milliseconds(path.silence),
                milliseconds(path.limit),
                milliseconds(path.delay),
                format!("{} of {}", path.missed, path.missed + path.received),
                path.replayed.to_string(),
                peer.claims.to_string(),
            ]);
        }
    }
    for node in &status.unheard {
        table.add_row([node.to_string(), String::new(), "not heard".to_owned()]);
    }
    table
}

fn state(peer: &PeerSnapshot, path: &PathSnapshot) -> &'static str {
    match (path.up, path.degraded, peer.proven) {
        (false, ..) => "down",
        (true, true, _) => "beacons lost",
        (true, false, false) => "does not hear us",
        (true, false, true) if !peer.synced => "up, claims unknown",
        (true, false, true) => "up",
    }
}

fn addresses(status: &Status) -> Table {
    let mut table = table(&["ADDRESS", "OWNER", "TERM", "REASON", "FOR", "NOTE"]);
    for contest in &status.snapshot.addresses {
        table.add_row(address_row(contest));
    }
    table
}

fn address_row(contest: &ContestSnapshot) -> [String; 6] {
    let own = contest.own.as_ref();
    let note = match (&contest.offered_to, contest.conflict) {
        (Some(node), _) => format!("offered to {node}"),
        (None, Some(mac)) => format!("also used by {mac}"),
        (None, None) => String::new(),
    };
    [
        contest.address.to_string(),
        contest
            .owner
            .as_ref()
            .map_or("nobody".to_owned(), ToString::to_string),
        contest.term.0.to_string(),
        own.map_or(String::new(), |own| own.reason.to_string()),
        contest.held.map_or(String::new(), |held| {
            let seconds = Duration::from_secs(held.as_secs());
            format!("{seconds:?}")
        }),
        note,
    ]
}

/// What people call a channel.
fn name(channel: Channel, links: &[LinkStatus]) -> String {
    let Channel::Link(index) = channel else {
        return "unicast".to_owned();
    };
    let link = links.iter().find(|link| link.index == index);
    link.map_or_else(|| format!("link {index}"), |link| link.name.to_string())
}

fn yes(is_so: bool) -> &'static str {
    if is_so { "yes" } else { "no" }
}

fn milliseconds(duration: Duration) -> String {
    format!("{} ms", duration.as_millis())
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(header.to_vec());
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bellwether_core::election::{Config, Election, Input};
    use bellwether_core::frame::beacon::Session;
    use bellwether_core::link::{Link, LinkIndex, Links};
    use bellwether_core::mac::MacAddr;
    use bellwether_core::membership::timing::Profile;
    use bellwether_core::moment::Moment;

    use super::*;
    use crate::l2::{Look, Traffic};
    use crate::privileges::Privileges;
    use crate::status::Process;

    const ETH0: LinkIndex = LinkIndex(2);

    fn link(name: &str, number: u8, carrier: bool) -> Link {
        Link {
            name: name.into(),
            mac: MacAddr([2, 0, 0, 0, 0, number]),
            carrier,
            addresses: std::iter::empty().collect(),
            networks: "192.0.2.0/24".parse().into_iter().collect(),
            link_local: None,
            router: false,
            gateways: std::iter::empty().collect(),
            ports: std::iter::empty().collect(),
        }
    }

    /// Node a with a link that has a carrier and one that has none, and maybe node b and an address.
    fn status(populated: bool) -> Status {
        let [mut a, mut b] = ["node-a", "node-b"].map(|node| {
            let config = Config {
                node: node.into(),
                session: Session(0xabc + u64::from(node == "node-b")),
                profile: Profile::DEFAULT,
                rebalance: false,
            };
            Election::new(config, Moment::ORIGIN)
        });
        let links: Links = [
            (ETH0, link("eth0", 1, true)),
            (LinkIndex(3), link("eth1", 2, false)),
        ]
        .into_iter()
        .collect();
        let mut traffic = Traffic::default();
        if populated {
            for election in [&mut a, &mut b] {
                let input = Input::Links(links.clone());
                election.handle(input, Moment::ORIGIN).expect("no beacon");
            }
            let address = "192.0.2.10".parse().expect("an address");
            let assignment = bellwether_core::election::Assignment::default();
            let input = Input::Assign {
                address,
                assignment,
            };
            a.handle(input, Moment::ORIGIN).expect("no beacon");
            let beacons = std::iter::from_fn(|| b.poll_output());
            let beacon = beacons.filter_map(|output| match output {
                bellwether_core::election::Output::Beacon { channel, beacon } => {
                    (channel == Channel::Link(ETH0)).then_some(beacon)
                }
                _ => None,
            });
            for beacon in beacon.take(1) {
                let (channel, at) = (Channel::Link(ETH0), Moment::ORIGIN);
                let input = Input::Beacon {
                    channel,
                    beacon,
                    at,
                };
                a.handle(input, Moment::ORIGIN).expect("taken in");
            }
            let counted = traffic.on(Channel::Link(ETH0));
            counted.received = 1;
            counted.rejected.unknown_key = 3;
        }
        let process = Process {
            version: "0.1.0".to_owned(),
            profile: Profile::DEFAULT,
            privileges: Privileges::default(),
        };
        let look = Look {
            election: a.snapshot(),
            unheard: populated.then(|| "node-c".into()).into_iter().collect(),
            links: Arc::new(if populated { links } else { Links::default() }),
            traffic,
            signing_key: populated.then_some(1),
        };
        Status::of(process, &look)
    }

    fn lines(status: &Status) -> Vec<String> {
        let text = render(status);
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.lines().all(|line| line.len() <= 100), "{text}");
        text.lines().map(words).collect()
    }

    #[test]
    fn links_peers_and_addresses_are_told_in_a_hundred_columns() {
        let expected = [
            "Speaker of node-a, version 0.1.0, session 0000000000000abc",
            "A beacon each 50 ms; real-time priority: no; memory locked: no; signing key: 1",
            "",
            "LINK MAC STATE SENT RECEIVED REJECTED",
            "eth0 02:00:00:00:00:01 not answering: listens first 0 1 3 unknown key",
            "eth1 02:00:00:00:00:02 no carrier 0 0 0",
            "unicast datagrams 0 0 0",
            "",
            "PEER LINK STATE SILENT FOR DOWN AFTER LATE BY MISSED REPLAYED CLAIMS",
            "node-b eth0 does not hear us 0 ms 250 ms 0 ms 0 of 1 0 0",
            "node-c not heard",
            "",
            "ADDRESS OWNER TERM REASON FOR NOTE",
            "192.0.2.10 nobody 0",
        ];
        assert_eq!(lines(&status(true)), expected);
    }

    #[test]
    fn what_there_is_not_is_said_in_words() {
        let lines = lines(&status(false));
        let expected = [
            "No key to sign beacons with is known yet, so nothing is announced",
            "",
            "No link can carry announcements",
            "",
            "No other speaker is heard",
            "",
            "No address is to be announced",
        ];
        assert_eq!(lines[2..], expected);
    }

    #[test]
    fn a_status_is_the_same_after_its_way_through_json() {
        let status = status(true);
        let text = serde_json::to_string(&status).expect("JSON");
        for part in [
            r#""realTime":false"#,
            r#""signingKey":1"#,
            r#""unheard":["node-c"]"#,
            r#""beacons":[{"channel":{"link":2},"sent":0,"received":1,"rejected":{"malformed":0,"#,
            r#""profile":{"interval":0.05,"misses":5}"#,
            r#""delay":0.0,"received":1,"missed":0,"replayed":0"#,
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let read: Status = serde_json::from_str(&text).expect("a status");
        assert_eq!(read, status);
    }

    #[test]
    fn links_go_by_their_names() {
        let links = status(true).links;
        assert_eq!(name(Channel::Link(ETH0), &links), "eth0");
        assert_eq!(name(Channel::Link(LinkIndex(4)), &links), "link 4");
    }
}
