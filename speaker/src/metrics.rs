//! What the speaker counts.
//!
//! The L2 thread adds to plain atomics only: whatever has labels is looked up once, here, or read off
//! what the thread says of itself ([`look`]).

use bellwether_core::election::{Owned, ReleaseReason};
use bellwether_core::frame::Packet;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

pub mod look;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Protocol {
    protocol: &'static str,
}

/// A counter for each of ARP and NDP.
#[derive(Clone, Debug, Default)]
pub struct PerProtocol {
    /// ARP.
    pub arp: Counter,
    /// NDP.
    pub ndp: Counter,
}

impl PerProtocol {
    fn register(registry: &mut Registry, name: &str, help: &str) -> Self {
        let family = Family::<Protocol, Counter>::default();
        registry.register(name, help, family.clone());
        let of = |protocol| family.get_or_create(&Protocol { protocol }).clone();
        Self {
            arp: of("arp"),
            ndp: of("ndp"),
        }
    }

    /// The counter that `packet` counts for.
    #[must_use]
    pub fn of(&self, packet: &Packet) -> &Counter {
        match packet {
            Packet::Arp(_) => &self.arp,
            Packet::Solicitation(_) | Packet::Advertisement(_) => &self.ndp,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: String,
}

/// What is counted of moves.
#[derive(Clone, Debug)]
pub struct Moves {
    claims: Family<Reason, Counter>,
    releases: Family<Reason, Counter>,
    takeover: Histogram,
}

impl Default for Moves {
    fn default() -> Self {
        let buckets = [
            0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0, 2.0, 5.0,
        ];
        Self {
            claims: Family::default(),
            releases: Family::default(),
            takeover: Histogram::new(buckets),
        }
    }
}

impl Moves {
    /// This node owns an address.
    pub fn own(&self, owned: &Owned) {
        let reason = owned.reason.to_string();
        self.claims.get_or_create(&Reason { reason }).inc();
        if let Some(takeover) = owned.takeover {
            self.takeover.observe(takeover.as_secs_f64());
        }
    }

    /// This node does not own an address any more.
    pub fn release(&self, reason: ReleaseReason) {
        let reason = reason.to_string();
        self.releases.get_or_create(&Reason { reason }).inc();
    }
}

/// How long after the kernel has told of a change of links it is dealt with.
#[derive(Clone, Debug)]
pub struct LinkChange(Histogram);

impl Default for LinkChange {
    fn default() -> Self {
        Self(Histogram::new([
            0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0,
        ]))
    }
}

impl LinkChange {
    /// It took so many seconds.
    pub fn observe(&self, seconds: f64) {
        self.0.observe(seconds);
    }
}

/// The numbers of a process. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Frames that the filters let through.
    pub received: PerProtocol,
    /// Frames that nothing was done about.
    pub ignored: PerProtocol,
    /// Answers sent.
    pub replies: PerProtocol,
    /// Announcement frames sent.
    pub announcements: PerProtocol,
    /// Questions sent in nobody's name.
    pub probes: PerProtocol,
    /// Frames by which a station that is no speaker claimed an address of this node.
    pub foreign_claims: Counter,
    /// Addresses that came and went.
    pub moves: Moves,
    /// Frames that could not be sent.
    pub send_errors: Counter,
    /// Reports that the reporter was too slow for. It is told the whole later.
    pub reports_dropped: Counter,
    /// Links that can carry announcements.
    pub links: Gauge,
    /// Links whose sockets are open.
    pub open_links: Gauge,
    /// Addresses that this node announces.
    pub owned: Gauge,
    /// Multicast groups that the node is in.
    pub groups: Gauge,
    /// Keys that beacons are accepted with.
    pub beacon_keys: Gauge,
    /// The number of the key that beacons are signed with; 0 while none is known.
    pub signing_key: Gauge,
    /// From the kernel's word of a change of links until it is dealt with.
    pub link_change: LinkChange,
    /// Times that all links were read anew because events were lost.
    pub link_overruns: Counter,
    /// Status writes by outcome.
    pub status_writes: Counter,
    /// Status writes that failed.
    pub status_errors: Counter,
}

impl Metrics {
    /// Adds the numbers to `registry`.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let mut metrics = Self {
            received: PerProtocol::register(
                registry,
                "frames_received",
                "Frames that may concern an address that this node may announce",
            ),
            ignored: PerProtocol::register(
                registry,
                "frames_ignored",
                "Frames received that nothing was done about",
            ),
            replies: PerProtocol::register(registry, "replies", "Answers sent"),
            announcements: PerProtocol::register(
                registry,
                "announcement_frames",
                "Frames sent unasked to announce an address",
            ),
            probes: PerProtocol::register(
                registry,
                "probes",
                "Questions sent: before a first claim, for silent owners, and for gateways",
            ),
            ..Self::default()
        };
        metrics.register_rest(registry);
        metrics.register_election(registry);
        metrics
    }

    fn register_election(&self, registry: &mut Registry) {
        let help = "Claims of addresses by this node, by reason";
        registry.register("claims", help, self.moves.claims.clone());
        let help = "Addresses that this node gave up, by reason";
        registry.register("releases", help, self.moves.releases.clone());
        let help = "From the last sign of life of an owner, or its word that it is none any more, to this \
                    node's claim";
        let takeover = self.moves.takeover.clone();
        registry.register_with_unit("takeover", help, Unit::Seconds, takeover);
        let help = "From the kernel's word that links have changed until it is dealt with";
        let link_change = self.link_change.0.clone();
        registry.register_with_unit("link_change", help, Unit::Seconds, link_change);
    }

    fn register_rest(&mut self, registry: &mut Registry) {
        for (name, help, counter) in [
            (
                "foreign_claims",
                "Frames by which a station that is no speaker claimed an address that this node \
                 announces, or was about to",
                &self.foreign_claims,
            ),
            (
                "send_errors",
                "Frames that could not be sent",
                &self.send_errors,
            ),
            (
                "reports_dropped",
                "Reports of the L2 thread that the reporter was too slow for",
                &self.reports_dropped,
            ),
            (
                "link_overruns",
                "Times that the kernel's events about links were lost and all was read anew",
                &self.link_overruns,
            ),
            (
                "status_writes",
                "Writes of the status of an Announcement or Speaker that succeeded",
                &self.status_writes,
            ),
            (
                "status_errors",
                "Writes of a status that failed",
                &self.status_errors,
            ),
        ] {
            registry.register(name, help, counter.clone());
        }
        for (name, help, gauge) in [
            ("links", "Links that can carry announcements", &self.links),
            (
                "open_links",
                "Links on which the speaker listens",
                &self.open_links,
            ),
            (
                "owned_addresses",
                "Addresses that this node announces",
                &self.owned,
            ),
            (
                "multicast_groups",
                "Solicited-node groups that the node is in",
                &self.groups,
            ),
            (
                "beacon_keys",
                "Keys that beacons are accepted with",
                &self.beacon_keys,
            ),
            (
                "beacon_signing_key",
                "The number of the key that beacons are signed with; 0 while none is known",
                &self.signing_key,
            ),
        ] {
            registry.register(name, help, gauge.clone());
        }
    }
}

#[cfg(test)]
mod tests;
