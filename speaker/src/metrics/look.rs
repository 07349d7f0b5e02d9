//! What is read off the L2 thread's last look at each scrape: of each link and of each peer.
//!
//! So the thread has no part in it, and of a link or a peer that is gone nothing is said any more.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::election::{PathSnapshot, PeerSnapshot};
use bellwether_core::link::Links;
use bellwether_core::membership::Channel;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::{Registry, Unit};
use tokio::sync::watch;

use crate::l2::{Beacons, Look};

/// What a channel is called that is no link.
const UNICAST: &str = "unicast";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfLink {
    link: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfLinkByCause {
    link: String,
    cause: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPeer {
    peer: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPath {
    peer: String,
    link: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPathByCause {
    peer: String,
    link: String,
    cause: &'static str,
}

/// Adds to `registry` what `looks` say, whenever it is asked.
pub fn register(registry: &mut Registry, looks: watch::Receiver<Option<Arc<Look>>>) {
    registry.register_collector(Box::new(Looks(looks)));
}

#[derive(Debug)]
struct Looks(watch::Receiver<Option<Arc<Look>>>);

impl Collector for Looks {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let look = self.0.borrow().clone();
        let Some(look) = look else {
            return Ok(());
        };
        let page = Page {
            encoder,
            look: &look,
        };
        page.write()
    }
}

/// A scrape.
struct Page<'encoder, 'look> {
    encoder: DescriptorEncoder<'encoder>,
    look: &'look Look,
}

impl Page<'_, '_> {
    fn write(mut self) -> fmt::Result {
        self.links()?;
        self.traffic()?;
        self.peers()?;
        self.paths()
    }

    fn links(&mut self) -> fmt::Result {
        let look = self.look;
        let carriers = look.links.iter().map(|(index, link)| {
            let link_of = OfLink {
                link: name(&look.links, Channel::Link(index)),
            };
            (link_of, gauge(link.carrier))
        });
        self.family("link_up", "Whether a link has a carrier: 1 or 0", carriers)?;
        let channels = || {
            let channels = look.election.channels.iter();
            channels.filter(|it| it.channel != Channel::Unicast)
        };
        let of = |channel| OfLink {
            link: name(&look.links, channel),
        };
        let deaf = channels().map(|it| (of(it.channel), gauge(it.deaf)));
        let help = "Whether nothing at all is heard on a link: 1 or 0";
        self.family("link_deaf", help, deaf)?;
        let answering = channels().map(|it| (of(it.channel), gauge(it.answering)));
        let help = "Whether this node may answer on a link: 1, or 0 while it listens first";
        self.family("link_answering", help, answering)
    }

    fn traffic(&mut self) -> fmt::Result {
        let look = self.look;
        let count = |of: fn(&Beacons) -> u64| {
            look.traffic.iter().map(move |(channel, beacons)| {
                let link = name(&look.links, channel);
                (OfLink { link }, ConstCounter::new(of(beacons)))
            })
        };
        let sent = count(|beacons| beacons.sent);
        self.family("beacons_sent", "Beacons sent", sent)?;
        let received = count(|beacons| beacons.received);
        let help = "Genuine beacons received, of all speakers";
        self.family("beacons_received", help, received)?;
        let rejected = look.traffic.iter().flat_map(|(channel, beacons)| {
            let causes = beacons.rejected.by_cause();
            causes.map(|(cause, count)| {
                let link = name(&look.links, channel);
                (OfLinkByCause { link, cause }, ConstCounter::new(count))
            })
        });
        let help = "Beacons that were not taken in, by cause";
        self.family("beacons_rejected", help, rejected)
    }

    fn peers(&mut self) -> fmt::Result {
        let peers = || self.look.election.peers.iter();
        let of = |peer: &PeerSnapshot| OfPeer {
            peer: peer.node.to_string(),
        };
        let proven: Vec<_> = peers().map(|it| (of(it), gauge(it.proven))).collect();
        let claims: Vec<_> = peers()
            .map(|it| (of(it), ConstGauge::new(whole(it.claims))))
            .collect();
        let help = "Whether another speaker has shown that it hears this one: 1 or 0";
        self.family("peer_proven", help, proven.into_iter())?;
        let help = "Addresses that another speaker claims";
        self.family("peer_claims", help, claims.into_iter())
    }

    fn paths(&mut self) -> fmt::Result {
        let up = paths(self.look).map(|(of, path)| (of, gauge(path.up)));
        // On which links it should be heard nobody knows; by datagrams it should be in any case.
        let absent = self.look.unheard.iter().map(|node| {
            let (peer, link) = (node.to_string(), UNICAST.to_owned());
            (OfPath { peer, link }, gauge(false))
        });
        let up: Vec<_> = up.chain(absent).collect();
        let help = "Whether another speaker is heard on a link: 1 or 0";
        self.family("peer_up", help, up.into_iter())?;
        let help = "Whether another speaker lives but its beacons do not come: 1 or 0";
        self.path("peer_degraded", help, |path| gauge(path.degraded))?;
        let help = "How late another speaker says that it is at times";
        self.path_seconds("peer_lateness", help, |path| path.lateness)?;
        let help = "By how much a beacon was overdue, at worst in the last minute or so";
        self.path_seconds("peer_beacon_delay", help, |path| path.delay)?;
        let help = "Beacons of another speaker that were taken in";
        self.path("peer_beacons_received", help, |path| {
            ConstCounter::new(path.received)
        })?;
        let help = "Beacons of another speaker that should have come between two that did";
        self.path("peer_beacons_missed", help, |path| {
            ConstCounter::new(path.missed)
        })?;
        let (look, cause) = (self.look, "replayed");
        let rejected = paths(look).map(|(of, path)| {
            let OfPath { peer, link } = of;
            let of = OfPathByCause { peer, link, cause };
            (of, ConstCounter::new(path.replayed))
        });
        let help = "Genuine beacons of another speaker that were not taken in, by cause";
        self.family("peer_beacons_rejected", help, rejected)
    }

    fn path<M: EncodeMetric + TypedMetric>(
        &mut self,
        name: &str,
        help: &str,
        value: fn(&PathSnapshot) -> M,
    ) -> fmt::Result {
        let series = paths(self.look).map(|(of, path)| (of, value(path)));
        family(&mut self.encoder, name, help, None, series)
    }

    fn path_seconds(
        &mut self,
        name: &str,
        help: &str,
        value: fn(&PathSnapshot) -> Duration,
    ) -> fmt::Result {
        let series = paths(self.look).map(|(of, path)| {
            let seconds = value(path).as_secs_f64();
            (of, ConstGauge::new(seconds))
        });
        family(&mut self.encoder, name, help, Some(&Unit::Seconds), series)
    }

    fn family<S: EncodeLabelSet, M: EncodeMetric + TypedMetric>(
        &mut self,
        name: &str,
        help: &str,
        series: impl Iterator<Item = (S, M)>,
    ) -> fmt::Result {
        family(&mut self.encoder, name, help, None, series)
    }
}

/// Writes a family, unless it is empty.
fn family<S: EncodeLabelSet, M: EncodeMetric + TypedMetric>(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    series: impl Iterator<Item = (S, M)>,
) -> fmt::Result {
    let mut series = series.peekable();
    if series.peek().is_none() {
        return Ok(());
    }
    let kind: MetricType = M::TYPE;
    let mut encoder = encoder.encode_descriptor(name, help, unit, kind)?;
    for (labels, value) in series {
        value.encode(encoder.encode_family(&labels)?)?;
    }
    Ok(())
}

/// How each peer is heard on each link.
fn paths(look: &Look) -> impl Iterator<Item = (OfPath, &PathSnapshot)> {
    look.election.peers.iter().flat_map(|peer| {
        peer.paths.iter().map(|path| {
            let of = OfPath {
                peer: peer.node.to_string(),
                link: name(&look.links, path.channel),
            };
            (of, path)
        })
    })
}

/// What people call a channel.
fn name(links: &Links, channel: Channel) -> String {
    match channel {
        Channel::Unicast => UNICAST.to_owned(),
        Channel::Link(index) => links
            .get(index)
            .map_or_else(|| format!("link {index}"), |link| link.name.to_string()),
    }
}

fn gauge(is_so: bool) -> ConstGauge {
    ConstGauge::new(i64::from(is_so))
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
