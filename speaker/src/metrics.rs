//! What the speaker counts.
//!
//! The L2 thread adds to plain atomics only: whatever has labels is looked up once, here.

use bellwether_core::frame::Packet;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

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
    /// Frames by which another station claimed an announced address.
    pub foreign_claims: Counter,
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
            ..Self::default()
        };
        metrics.register_rest(registry);
        metrics
    }

    fn register_rest(&mut self, registry: &mut Registry) {
        for (name, help, counter) in [
            (
                "foreign_claims",
                "Frames by which another station claimed an address that this node announces",
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
                "Writes of the status of an Announcement or Speaker",
                &self.status_writes,
            ),
            (
                "status_errors",
                "Writes of a status that failed and were tried again",
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
