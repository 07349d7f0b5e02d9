//! What would become of each Service if pools and advertisements were others: the same state decides,
//! and its writes go nowhere.

use std::collections::BTreeMap;
use std::net::IpAddr;

use bellwether_core::allocator::Decision;
use bellwether_core::moment::Moment;
use bellwether_core::name::{NodeName, ServiceName};
use bellwether_daemon::call::CallError;
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
    /// What is wrong, if something is.
    pub problem: Option<String>,
}

/// What each Service has, or would have.
pub type Holdings = BTreeMap<ServiceName, Holding>;

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
            let addresses = addresses
                .map(|allocation| (allocation.address, self.announcer(allocation.address)))
                .collect();
            holdings.insert(name.clone(), Holding { addresses, problem });
        }
        holdings
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
            })),
            Change::UpdateAnnouncement { spec, .. } => {
                let known = self.announcements.get(&spec.address).ok_or_else(nothing)?;
                Ok(Written::Announcement(AnnouncementFacts {
                    spec,
                    ..known.clone()
                }))
            }
            Change::AdvertisementStatus {
                advertisement,
                status,
            } => {
                let known = self.advertisements.get(&advertisement);
                let mut facts = known.ok_or_else(nothing)?.clone();
                facts.status = status;
                Ok(Written::Advertisement(Box::new(facts)))
            }
            _ => Err(nothing()),
        }
    }
}
