//! That what is exported is what is documented, and what it says of links and peers.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::election::{
    ChannelSnapshot, OwnReason, PathSnapshot, PeerSnapshot, Snapshot, Term,
};
use bellwether_core::frame::beacon::Session;
use bellwether_core::link::{Link, LinkIndex};
use bellwether_core::mac::MacAddr;
use bellwether_core::membership::Channel;
use bellwether_core::placement::Interfaces;
use bellwether_daemon::watch::WatchMetrics;
use tokio::sync::watch;

use self::documented::{check, text};
use super::*;
use crate::l2::{Look, Traffic};

#[path = "../../../daemon/testing/documented.rs"]
mod documented;

const DOCUMENTED: &str = include_str!("../../../docs/metrics.md");
const ETH0: Channel = Channel::Link(LinkIndex(2));

fn link(name: &str) -> Link {
    Link {
        name: name.into(),
        mac: MacAddr([2, 0, 0, 0, 0, 1]),
        carrier: true,
        addresses: std::iter::empty().collect(),
        networks: std::iter::empty().collect(),
        link_local: None,
        router: false,
        gateways: std::iter::empty().collect(),
        ports: std::iter::empty().collect(),
    }
}

fn path(channel: Channel) -> PathSnapshot {
    PathSnapshot {
        channel,
        mac: None,
        up: true,
        degraded: false,
        silence: Duration::ZERO,
        limit: Duration::from_millis(250),
        lateness: Duration::from_millis(4),
        delay: Duration::from_millis(30),
        received: 1000,
        missed: 7,
        replayed: 2,
    }
}

/// A speaker that hears node b on a link of that name, and by datagrams.
fn look(name: &str) -> Look {
    let mut traffic = Traffic::default();
    let counted = traffic.on(ETH0);
    (counted.sent, counted.received) = (20, 1009);
    counted.rejected.forged = 5;
    traffic.on(Channel::Unicast);
    Look {
        election: Snapshot {
            node: "a".into(),
            session: Session(1),
            leaving: false,
            channels: vec![ChannelSnapshot {
                channel: ETH0,
                deaf: false,
                answering: true,
            }],
            peers: vec![PeerSnapshot {
                node: "b".into(),
                session: Session(2),
                proven: true,
                synced: true,
                claims: 3,
                paths: vec![path(ETH0), path(Channel::Unicast)],
            }],
            addresses: Vec::new(),
        },
        unheard: vec!["c".into()],
        links: Arc::new([(LinkIndex(2), link(name))].into_iter().collect()),
        traffic,
        signing_key: Some(1),
    }
}

/// What a speaker exports that has seen all that can be counted.
fn exported() -> (Registry, watch::Sender<Option<Arc<Look>>>) {
    let mut registry = Registry::with_prefix("bellwether_speaker");
    WatchMetrics::register(&mut registry).begin("speakers");
    let metrics = Metrics::register(&mut registry);
    metrics.moves.own(&Owned {
        address: "192.0.2.10".parse().expect("an address"),
        interfaces: Interfaces::All,
        term: Term(1),
        previous: None,
        reason: OwnReason::OwnerSilent,
        takeover: Some(Duration::from_millis(250)),
    });
    metrics.moves.release(ReleaseReason::Outclaimed);
    let (sender, looks) = watch::channel(Some(Arc::new(look("eth0"))));
    look::register(&mut registry, looks);
    (registry, sender)
}

#[test]
fn what_is_exported_is_what_is_documented() {
    let (registry, _looks) = exported();
    check(&registry, "bellwether_speaker_", DOCUMENTED);
}

#[test]
fn links_and_peers_are_told_of_as_long_as_they_are_there() {
    let (registry, looks) = exported();
    let has = |line: &str| {
        let line = format!("bellwether_speaker_{line}");
        text(&registry).lines().any(|it| it == line)
    };
    for line in [
        r#"link_up{link="eth0"} 1"#,
        r#"link_deaf{link="eth0"} 0"#,
        r#"link_answering{link="eth0"} 1"#,
        r#"beacons_sent_total{link="eth0"} 20"#,
        r#"beacons_received_total{link="eth0"} 1009"#,
        r#"beacons_rejected_total{link="eth0",cause="forged"} 5"#,
        r#"beacons_rejected_total{link="unicast",cause="forged"} 0"#,
        r#"peer_up{peer="b",link="eth0"} 1"#,
        r#"peer_up{peer="b",link="unicast"} 1"#,
        r#"peer_up{peer="c",link="unicast"} 0"#,
        r#"peer_degraded{peer="b",link="eth0"} 0"#,
        r#"peer_proven{peer="b"} 1"#,
        r#"peer_claims{peer="b"} 3"#,
        r#"peer_lateness_seconds{peer="b",link="eth0"} 0.004"#,
        r#"peer_beacon_delay_seconds{peer="b",link="eth0"} 0.03"#,
        r#"peer_beacons_received_total{peer="b",link="eth0"} 1000"#,
        r#"peer_beacons_missed_total{peer="b",link="eth0"} 7"#,
        r#"peer_beacons_rejected_total{peer="b",link="eth0",cause="replayed"} 2"#,
    ] {
        assert!(has(line), "{line}");
    }
    looks.send_replace(Some(Arc::new(look("lan0"))));
    assert!(!text(&registry).contains("eth0"), "it was renamed");
    assert!(has(r#"peer_up{peer="b",link="lan0"} 1"#));
    let mut alone = look("lan0");
    alone.election.peers.clear();
    alone.unheard.clear();
    looks.send_replace(Some(Arc::new(alone)));
    assert!(!text(&registry).contains("peer="), "they are gone");
    assert!(has(r#"link_up{link="lan0"} 1"#));
}
