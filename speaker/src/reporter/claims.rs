//! What this node does about addresses, as the L2 thread reports it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use bellwether_core::election::{CONFLICT_OVER, Owned, ReleaseReason};
use bellwether_core::mac::MacAddr;
use bellwether_core::moment::Moment;
use k8s_openapi::jiff::Timestamp;

use super::reason::AnnouncementReason;

/// How long a status may name this node after it has released the address, so that the node that
/// takes it over can say so itself, with one write instead of two.
const SUCCESSION: Duration = Duration::from_secs(5);

/// An address that this node owns.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub owned: Owned,
    pub since: Timestamp,
    /// A station that uses the address too.
    pub conflict: Option<MacAddr>,
}

/// An address that this node owned.
#[derive(Clone, Copy, Debug)]
struct Release {
    reason: AnnouncementReason,
    /// When the status shall not name this node any more; none once that moment has come.
    due: Option<Moment>,
}

/// A station that uses an address which this node would claim otherwise (C1).
#[derive(Clone, Copy, Debug)]
struct Stranger {
    mac: MacAddr,
    /// Whether no status was read since it was heard. Other candidates may have heard another one; of
    /// two the later one stands.
    is_news: bool,
}

/// The addresses that this node owns or owned.
#[derive(Debug, Default)]
pub(super) struct Claims {
    owned: BTreeMap<IpAddr, Claim>,
    releases: BTreeMap<IpAddr, Release>,
    /// When a foreign claim of an owned address was seen last.
    seen: BTreeMap<IpAddr, Moment>,
    /// Who uses an address that nobody may claim for that reason.
    strangers: BTreeMap<IpAddr, Stranger>,
}

impl Claims {
    /// The claim of an address, if this node owns it.
    pub(super) fn get(&self, address: IpAddr) -> Option<&Claim> {
        self.owned.get(&address)
    }

    /// The addresses that this node owns.
    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.owned.keys().copied()
    }

    /// Why this node does not own an address any more, if its status shall not name it any more.
    pub(super) fn ended(&self, address: IpAddr) -> Option<AnnouncementReason> {
        let release = self.releases.get(&address)?;
        release.due.is_none().then_some(release.reason)
    }

    /// This node owns an address.
    pub(super) fn own(&mut self, owned: Owned, time: Timestamp) {
        let address = owned.address;
        self.strangers.remove(&address);
        self.releases.remove(&address);
        match self.owned.get_mut(&address) {
            Some(claim) if claim.owned.term == owned.term => claim.owned = owned,
            _ => {
                // To the microsecond, as it is written.
                let since = Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time);
                let claim = Claim {
                    owned,
                    since,
                    conflict: None,
                };
                self.owned.insert(address, claim);
            }
        }
    }

    /// This node does not own an address any more.
    pub(super) fn release(&mut self, address: IpAddr, reason: ReleaseReason, now: Moment) {
        self.end_claim(address, reason.into(), now);
    }

    fn end_claim(&mut self, address: IpAddr, reason: AnnouncementReason, now: Moment) {
        self.seen.remove(&address);
        if self.owned.remove(&address).is_some() {
            let due = match reason {
                AnnouncementReason::Stopping => now,
                _ => now + SUCCESSION,
            };
            self.releases.insert(
                address,
                Release {
                    reason,
                    due: Some(due),
                },
            );
        }
    }

    /// This node owns these addresses and no others.
    pub(super) fn replace(&mut self, owned: Vec<Owned>, time: Timestamp, now: Moment) {
        let kept: BTreeSet<IpAddr> = owned.iter().map(|owned| owned.address).collect();
        let gone: Vec<IpAddr> = self
            .addresses()
            .filter(|known| !kept.contains(known))
            .collect();
        for address in gone {
            self.end_claim(address, AnnouncementReason::NotAnnounced, now);
        }
        for owned in owned {
            self.own(owned, time);
        }
    }

    /// This node owns nothing any more.
    pub(super) fn end(&mut self, now: Moment) {
        let all: Vec<IpAddr> = self.addresses().collect();
        for address in all {
            self.release(address, ReleaseReason::Stopping, now);
        }
    }

    /// Another station claims an address.
    pub(super) fn foreign(&mut self, address: IpAddr, mac: MacAddr, now: Moment) {
        if let Some(claim) = self.owned.get_mut(&address) {
            claim.conflict = Some(mac);
            self.seen.insert(address, now);
        } else {
            let is_news = true;
            self.strangers.insert(address, Stranger { mac, is_news });
        }
    }

    /// Who uses an address that this node would claim otherwise.
    pub(super) fn stranger(&self, address: IpAddr) -> Option<MacAddr> {
        self.strangers.get(&address).map(|stranger| stranger.mac)
    }

    /// Whether that was heard after the status was read.
    pub(super) fn is_news(&self, address: IpAddr) -> bool {
        self.strangers
            .get(&address)
            .is_some_and(|stranger| stranger.is_news)
    }

    /// The status names a station that uses the address.
    pub(super) fn stranger_was_told(&mut self, address: IpAddr) {
        if let Some(stranger) = self.strangers.get_mut(&address) {
            stranger.is_news = false;
        }
    }

    /// The address is announced by another node, or there is none any more.
    pub(super) fn forget_stranger(&mut self, address: IpAddr) {
        self.strangers.remove(&address);
    }

    /// The status of an address names this node, though it does not own it: that ends in a while.
    pub(super) fn outlived(&mut self, address: IpAddr, now: Moment) {
        self.releases.entry(address).or_insert(Release {
            reason: AnnouncementReason::NotAnnounced,
            due: Some(now + SUCCESSION),
        });
    }

    /// The status of an address does not name this node, or is gone.
    pub(super) fn forget_release(&mut self, address: IpAddr) {
        self.releases.remove(&address);
    }

    /// The addresses whose status is to be another now.
    pub(super) fn on_deadline(&mut self, now: Moment) -> Vec<IpAddr> {
        let mut changed = Vec::new();
        for (&address, release) in &mut self.releases {
            if release.due.is_some_and(|due| due <= now) {
                release.due = None;
                changed.push(address);
            }
        }
        let owned = &mut self.owned;
        self.seen.retain(|address, seen| {
            let over = *seen + CONFLICT_OVER <= now;
            if over && let Some(claim) = owned.get_mut(address) {
                claim.conflict = None;
                changed.push(*address);
            }
            !over
        });
        changed
    }

    /// When [`Self::on_deadline`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<Moment> {
        let releases = self.releases.values().filter_map(|release| release.due);
        let conflicts = self.seen.values().map(|seen| *seen + CONFLICT_OVER);
        releases.chain(conflicts).min()
    }
}
