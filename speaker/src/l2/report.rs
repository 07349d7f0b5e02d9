//! What the L2 thread tells the reporter.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use bellwether_core::election::{Owned, ReleaseReason};
use bellwether_core::moment::Moment;
use bellwether_core::name::LinkName;
use bellwether_core::responder::ForeignClaim;
use prometheus_client::metrics::counter::Counter;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::paths::Paths;

/// How often a foreign claim of one address is reported at most.
const FOREIGN_CLAIM_INTERVAL: Duration = Duration::from_secs(1);

/// Something that the reporter has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// This node announces an address, or announces it on other links than before.
    Own(Owned),
    /// This node does not announce an address any more.
    Release {
        /// The address.
        address: IpAddr,
        /// Why.
        reason: ReleaseReason,
    },
    /// A station that is no speaker claims an address that this node announces, or was about to.
    Foreign(ForeignClaim),
    /// The links on which the thread cannot listen, and why; all of them.
    Closed(BTreeMap<LinkName, String>),
    /// What is wrong with the ways of beacons; all of it.
    Paths(Paths),
    /// All that the node owns and all links that are closed: reports were dropped before.
    All {
        /// What it owns.
        owned: Vec<Owned>,
        /// The links on which it cannot listen, and why.
        closed: BTreeMap<LinkName, String>,
        /// What is wrong with the ways of beacons, if that was reported before.
        paths: Option<Paths>,
    },
}

/// The way to the reporter. Never waits.
#[derive(Debug)]
pub(super) struct Reports {
    channel: mpsc::Sender<Report>,
    dropped: Counter,
    /// A report was dropped that matters beyond its moment.
    behind: bool,
    /// The links that are closed, as reported last; none before they were tried.
    closed: Option<BTreeMap<LinkName, String>>,
    /// What was wrong with the ways of beacons when they were looked at last, and as reported last.
    paths: [Option<Paths>; 2],
    foreign_claims: HashMap<IpAddr, Moment>,
}

impl Reports {
    pub(super) fn new(channel: mpsc::Sender<Report>, dropped: Counter) -> Self {
        Self {
            channel,
            dropped,
            behind: false,
            closed: None,
            paths: [None, None],
            foreign_claims: HashMap::new(),
        }
    }

    pub(super) fn own(&mut self, owned: Owned) {
        self.send(Report::Own(owned));
    }

    pub(super) fn release(&mut self, address: IpAddr, reason: ReleaseReason) {
        self.foreign_claims.remove(&address);
        self.send(Report::Release { address, reason });
    }

    /// Reports that `closed` are the links that are closed, unless they were already. The first
    /// report comes even if none is: it says that all could be opened.
    pub(super) fn closed(&mut self, closed: BTreeMap<LinkName, String>) {
        if self.closed.as_ref() != Some(&closed) {
            self.closed = Some(closed.clone());
            self.send(Report::Closed(closed));
        }
    }

    /// Reports what is wrong with the ways of beacons, if it is the second time in a row that it is
    /// so, and was not reported already: a few lost frames are no news.
    pub(super) fn paths(&mut self, paths: Paths) {
        let [seen, said] = &mut self.paths;
        let stands = seen.replace(paths.clone()).as_ref() == Some(&paths);
        if stands && said.as_ref() != Some(&paths) {
            *said = Some(paths.clone());
            self.send(Report::Paths(paths));
        }
    }

    /// Reports a foreign claim, unless one of the same address was reported a moment ago.
    pub(super) fn foreign(&mut self, claim: ForeignClaim, now: Moment) {
        let last = self.foreign_claims.get(&claim.address);
        if last.is_some_and(|&last| now.since(last) < FOREIGN_CLAIM_INTERVAL) {
            return;
        }
        self.foreign_claims.insert(claim.address, now);
        // Dropped, it is worth nothing a moment later: if the claim stands, it comes again.
        if let Err(TrySendError::Full(_)) = self.channel.try_send(Report::Foreign(claim)) {
            self.dropped.inc();
        }
    }

    /// If reports were dropped, and there is room again, says all there is to say.
    pub(super) fn catch_up(&mut self, owned: impl FnOnce() -> Vec<Owned>) {
        if self.behind
            && let Ok(room) = self.channel.try_reserve()
        {
            room.send(Report::All {
                owned: owned(),
                // Nothing is owned, and so nothing dropped, before links are known and tried.
                closed: self.closed.clone().unwrap_or_default(),
                paths: self.paths[1].clone(),
            });
            self.behind = false;
        }
    }

    fn send(&mut self, report: Report) {
        if let Err(TrySendError::Full(_)) = self.channel.try_send(report) {
            self.dropped.inc();
            self.behind = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use bellwether_core::mac::MacAddr;

    use super::*;

    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 10));

    fn release() -> Report {
        Report::Release {
            address: ADDRESS,
            reason: ReleaseReason::Unassigned,
        }
    }

    #[test]
    fn what_is_dropped_is_counted_and_made_up_for() {
        let (sender, mut receiver) = mpsc::channel(1);
        let dropped = Counter::default();
        let mut reports = Reports::new(sender, dropped.clone());
        for _ in 0..3 {
            reports.release(ADDRESS, ReleaseReason::Unassigned);
        }
        assert_eq!(dropped.get(), 2);
        reports.catch_up(Vec::new);
        assert_eq!(receiver.try_recv(), Ok(release()));
        assert!(receiver.try_recv().is_err(), "there was no room");
        reports.catch_up(Vec::new);
        let all = Report::All {
            owned: Vec::new(),
            closed: BTreeMap::new(),
            paths: None,
        };
        assert_eq!(receiver.try_recv(), Ok(all));
        reports.catch_up(Vec::new);
        assert!(receiver.try_recv().is_err(), "said once");
    }

    #[test]
    fn foreign_claims_of_an_address_are_reported_once_in_a_second() {
        let (sender, mut receiver) = mpsc::channel(8);
        let mut reports = Reports::new(sender, Counter::default());
        for milliseconds in [0, 500, 999, 1000, 1500] {
            let claim = ForeignClaim {
                address: ADDRESS,
                mac: MacAddr([2, 0, 0, 0, 0, 1]),
            };
            reports.foreign(claim, Moment::from_millis(milliseconds));
        }
        let count = std::iter::from_fn(|| receiver.try_recv().ok()).count();
        assert_eq!(count, 2);
    }

    #[test]
    fn what_is_wrong_with_the_ways_of_beacons_is_reported_when_it_stands() {
        let (sender, mut receiver) = mpsc::channel(8);
        let mut reports = Reports::new(sender, Counter::default());
        let bad = Paths {
            unproven: ["b".into()].into_iter().collect(),
            ..Paths::default()
        };
        let good = Paths::default;
        for paths in [
            good(),
            good(),
            bad.clone(),
            good(),
            bad.clone(),
            bad.clone(),
        ] {
            reports.paths(paths);
        }
        reports.paths(bad.clone());
        let reported: Vec<Report> = std::iter::from_fn(|| receiver.try_recv().ok()).collect();
        assert_eq!(reported, [Report::Paths(good()), Report::Paths(bad)]);
    }

    #[test]
    fn closed_links_are_reported_when_they_change() {
        let (sender, mut receiver) = mpsc::channel(8);
        let mut reports = Reports::new(sender, Counter::default());
        let closed = BTreeMap::from([("eth0".into(), "no".to_owned())]);
        reports.closed(BTreeMap::new());
        let none = Report::Closed(BTreeMap::new());
        assert_eq!(receiver.try_recv(), Ok(none), "all have been opened");
        reports.closed(BTreeMap::new());
        reports.closed(closed.clone());
        reports.closed(closed.clone());
        assert_eq!(receiver.try_recv(), Ok(Report::Closed(closed)));
        assert!(receiver.try_recv().is_err());
    }
}
