//! `L2Advertisement`s: the nodes that each names, its selectors evaluated.

use std::net::IpAddr;

use bellwether_core::name::AdvertisementName;
use bellwether_crds::condition::READY;
use bellwether_crds::l2advertisement::{AdvertisementNode, L2AdvertisementStatus};
use k8s_openapi::jiff::Timestamp;

use super::State;
use crate::change::{Change, Wanted, conditions};
use crate::facts::{AnnouncementFacts, Target};
use crate::reason::AdvertisementReason;

impl State {
    pub(super) fn mark_advertisements(&mut self) {
        let names: Vec<AdvertisementName> = self.advertisements.keys().cloned().collect();
        for name in names {
            self.schedule.mark(Target::Advertisement(name));
        }
    }

    /// The Announcement of `address` was `old`: the advertisements that it names have to be counted
    /// again, unless they are the same now.
    pub(super) fn mark_served(&mut self, old: Option<&AnnouncementFacts>, address: IpAddr) {
        let named = |facts: Option<&AnnouncementFacts>| {
            facts.map_or_else(Vec::new, |facts| facts.spec.advertisements.clone())
        };
        let (before, after) = (
            named(old),
            named(self.announcements.get(&address).map(Box::as_ref)),
        );
        if before == after {
            return;
        }
        for name in before.into_iter().chain(after) {
            self.schedule.mark(Target::Advertisement(name.into()));
        }
    }

    /// What is to be written of an advertisement.
    pub(super) fn advertisement_change(
        &mut self,
        name: &AdvertisementName,
        wall: Timestamp,
    ) -> Option<Change> {
        let facts = self.advertisements.get(name)?;
        let rules = match &facts.rules {
            Ok(rules) => rules,
            Err(error) => {
                // The last good state stays; only the condition says what is wrong.
                let message = error.to_string();
                let invalid = Wanted {
                    kind: READY,
                    holds: false,
                    reason: AdvertisementReason::Invalid.as_str(),
                    message: &message,
                };
                let (conditions, same) = conditions(
                    &[invalid],
                    &facts.status.conditions,
                    facts.version.generation,
                    wall,
                );
                let status = L2AdvertisementStatus {
                    conditions,
                    ..facts.status.clone()
                };
                return (!same).then(|| Change::AdvertisementStatus {
                    advertisement: name.clone(),
                    status,
                });
            }
        };
        let nodes: Vec<AdvertisementNode> = self
            .nodes
            .values()
            .filter(|node| rules.match_node(&node.labels))
            .map(|node| AdvertisementNode {
                name: node.name.to_string(),
                interfaces: rules.interfaces.clone(),
                preference: rules.preference(&node.labels),
            })
            .collect();
        let has_pool = self
            .pools
            .values()
            .any(|pool| rules.match_pool(&pool.name, &pool.labels));
        let (holds, reason, message) = if !has_pool {
            (
                false,
                AdvertisementReason::NoPool,
                "no IPAddressPool matches; look at ipAddressPools and ipAddressPoolSelectors",
            )
        } else if nodes.is_empty() {
            (
                false,
                AdvertisementReason::NoNode,
                "no Node matches; look at nodeSelectors",
            )
        } else {
            (
                true,
                AdvertisementReason::Valid,
                "it announces the addresses of at least one pool",
            )
        };
        let wanted = Wanted {
            kind: READY,
            holds,
            reason: reason.as_str(),
            message,
        };
        let (conditions, same) = conditions(
            &[wanted],
            &facts.status.conditions,
            facts.version.generation,
            wall,
        );
        let serves = |name: &str| {
            let announcements = self.announcements.values();
            announcements
                .filter(|facts| facts.spec.advertisements.iter().any(|ad| ad == name))
                .count()
        };
        let status = L2AdvertisementStatus {
            nodes,
            addresses: i64::try_from(serves(name.as_str())).unwrap_or(i64::MAX),
            conditions,
        };
        let is_said = same
            && status.nodes == facts.status.nodes
            && status.addresses == facts.status.addresses;
        (!is_said).then(|| Change::AdvertisementStatus {
            advertisement: name.clone(),
            status,
        })
    }
}
