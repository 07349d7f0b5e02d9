//! What would become of each Service if pools and advertisements were others: the same state decides,
//! and its writes go nowhere.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use bellwether_core::allocator::Decision;
use bellwether_core::moment::Moment;
use bellwether_core::name::{NodeName, PoolName, ServiceName};
use bellwether_crds::condition::{EXHAUSTED, HAS_STRAYS, OVERLAPPING, READY};
use bellwether_daemon::call::CallError;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;
use serde::Serialize;

use super::{Input, State};
use crate::change::{Change, Written};
use crate::facts::{AnnouncementFacts, ClaimFacts};

/// What a Service has, or would have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Holding {
    /// Its addresses, each with the node that announces it, as far as that follows.
    pub addresses: BTreeMap<IpAddr, Option<NodeName>>,
    /// Those that no node would announce, and why.
    pub unannounced: BTreeMap<IpAddr, String>,
    /// What is wrong, if something is.
    pub problem: Option<String>,
}

/// What each Service has, or would have.
pub type Holdings = BTreeMap<ServiceName, Holding>;

/// What is wrong with pools and advertisements, or would be: of each object, as `Kind name`, a
/// sentence for each condition that somebody should look at.
pub type Findings = BTreeMap<String, BTreeSet<String>>;

/// Conditions that somebody should look at, and the status of them that says so.
const TO_LOOK_AT: [(&str, &str); 4] = [
    (READY, "False"),
    (OVERLAPPING, "True"),
    (EXHAUSTED, "True"),
    (HAS_STRAYS, "True"),
];

impl State {
    /// Decides until nothing is left to decide, as if every write went well, and says what each
    /// Service has then.
    pub fn foresee(&mut self, now: Moment, wall: Timestamp) -> Holdings {
        while let Some((target, change)) = self.poll_output(wall) {
            let result = self.pretend(change);
            self.handle(Input::Written { target, result }, now);
        }
        let mut holdings = Holdings::new();
        for (name, decision) in &self.decisions {
            let problem = match decision {
                Err(problem) => Some(problem.to_string()),
                Ok(decision) => decision.refusal().map(ToString::to_string),
            };
            let addresses = decision.iter().flat_map(Decision::addresses);
            let addresses: BTreeMap<IpAddr, Option<NodeName>> = addresses
                .map(|allocation| (allocation.address, self.announcer(allocation.address)))
                .collect();
            let silent = addresses.iter().filter(|(_, node)| node.is_none());
            let unannounced = silent
                .filter_map(|(address, _)| Some((*address, self.not_announced(*address)?.1)))
                .collect();
            let holding = Holding {
                addresses,
                unannounced,
                problem,
            };
            holdings.insert(name.clone(), holding);
        }
        holdings
    }

    /// What is wrong with pools and advertisements, after [`State::foresee`].
    pub fn findings(&mut self, wall: Timestamp) -> Findings {
        let mut findings = Findings::new();
        let pools: Vec<PoolName> = self.pools.keys().cloned().collect();
        for name in pools {
            let conditions = match self.pool_change(&name, wall) {
                Some(Change::PoolStatus { status, .. }) => status.conditions,
                _ => self
                    .pools
                    .get(&name)
                    .map_or_else(Vec::new, |facts| facts.status.conditions.clone()),
            };
            findings.insert(format!("IPAddressPool {name}"), to_look_at(&conditions));
        }
        for (name, facts) in &self.advertisements {
            let object = format!("L2Advertisement {name}");
            findings.insert(object, to_look_at(&facts.status.conditions));
        }
        findings.retain(|_, sentences| !sentences.is_empty());
        findings
    }

    /// Who announces an address: its owner as long as it may, otherwise the best candidate.
    fn announcer(&self, address: IpAddr) -> Option<NodeName> {
        let facts = self.announcements.get(&address)?;
        let mut candidates = self.candidates(&facts.spec).into_iter();
        let first = candidates.next()?.node;
        let owner = facts.node.clone().filter(|owner| {
            first == *owner || candidates.any(|candidate| candidate.node == *owner)
        });
        Some(owner.unwrap_or(first))
    }

    /// What a write would make of its object, for those on which others depend.
    fn pretend(&self, change: Change) -> Result<Written, CallError> {
        let nothing = || CallError::Other("nothing is written".to_owned());
        match change {
            Change::CreateAnnouncement(spec) => Ok(Written::Announcement(AnnouncementFacts {
                name: bellwether_crds::announcement::name_of(spec.address),
                version: crate::facts::Version::default(),
                spec,
                node: None,
                claim: ClaimFacts::default(),
                conflict: None,
            })),
            Change::UpdateAnnouncement { spec, .. } => {
                let known = self.announcements.get(&spec.address).ok_or_else(nothing)?;
                Ok(Written::Announcement(AnnouncementFacts {
                    spec,
                    ..(**known).clone()
                }))
            }
            Change::AdvertisementStatus {
                advertisement,
                status,
            } => {
                let known = self.advertisements.get(&advertisement);
                let mut facts = known.ok_or_else(nothing)?.clone();
                facts.status = status;
                Ok(Written::Advertisement(facts))
            }
            _ => Err(nothing()),
        }
    }
}

fn to_look_at(conditions: &[Condition]) -> BTreeSet<String> {
    let bad = conditions.iter().filter(|condition| {
        TO_LOOK_AT
            .iter()
            .any(|&(kind, status)| condition.type_ == kind && condition.status == status)
    });
    bad.map(|condition| format!("{}: {}", condition.reason, condition.message))
        .collect()
}
