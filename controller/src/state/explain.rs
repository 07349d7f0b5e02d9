//! Why a Service has the addresses that it has, and why a node announces them: the decisions as they
//! were made, step by step.

use std::net::IpAddr;

use bellwether_core::allocator::{Considered, Decision};
use bellwether_core::name::{NodeName, PoolName, ServiceName};
use bellwether_core::placement::Candidate;
use bellwether_crds::announcement::AnnouncementSpec;
use serde::Serialize;

use super::State;

/// Why a Service has what it has.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explained {
    /// The Service, as `namespace/name`.
    pub service: String,
    /// The answer in one sentence.
    pub answer: String,
    /// Every pool, in the order in which they are looked at; none, if what the Service asks for
    /// makes no sense.
    pub pools: Vec<Considered>,
    /// Its addresses, and who announces them.
    pub addresses: Vec<ExplainedAddress>,
}

/// An address, and who announces it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedAddress {
    /// The address.
    pub address: IpAddr,
    /// Its pool.
    pub pool: Option<PoolName>,
    /// The advertisements that cover it.
    pub advertisements: Vec<String>,
    /// The nodes that may announce it, best first.
    pub candidates: Vec<ExplainedCandidate>,
    /// The other nodes, and why each may not.
    pub passed_over: Vec<PassedOver>,
    /// The node that announces it.
    pub node: Option<NodeName>,
    /// Since when.
    pub since: Option<String>,
    /// Why that node does, in one word.
    pub reason: Option<String>,
    /// The term of its claim.
    pub term: Option<i64>,
    /// The node that announced it before.
    pub previous: Option<NodeName>,
    /// Why nobody announces it.
    pub obstacle: Option<String>,
}

/// A node that may announce an address.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedCandidate {
    /// The node.
    pub node: NodeName,
    /// The sum of the weights of the preferences that match it.
    pub score: u32,
}

/// A node that may not announce an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PassedOver {
    /// The node.
    pub node: NodeName,
    /// Why not.
    pub why: String,
}

impl State {
    /// Why a Service has what it has; none, if it is none of ours.
    #[must_use]
    pub fn explain(&self, name: &ServiceName) -> Option<Explained> {
        let facts = self.services.get(name)?;
        let decision = self.decisions.get(name)?;
        let labels = self.namespaces.get(&*name.namespace);
        let labels = labels.map(|namespace| namespace.labels.clone());
        let pools = facts
            .request(labels.unwrap_or_default())
            .map(|request| self.allocator.explain(&request).pools)
            .unwrap_or_default();
        let addresses: Vec<ExplainedAddress> = decision
            .iter()
            .flat_map(Decision::addresses)
            .map(|allocation| self.explain_address(allocation.address, allocation.pool.clone()))
            .collect();
        let answer = match decision {
            Err(problem) => format!("has no address: {problem}"),
            Ok(Decision::Waiting { refusal }) => format!("has no address: {refusal}"),
            Ok(decision) => {
                let mut answer = sentence(&addresses);
                if let Some(refusal) = decision.refusal() {
                    answer = format!("{answer}; but {refusal}");
                }
                answer
            }
        };
        Some(Explained {
            service: name.to_string(),
            answer: format!("Service {name} {answer}."),
            pools,
            addresses,
        })
    }

    fn explain_address(&self, address: IpAddr, pool: Option<PoolName>) -> ExplainedAddress {
        let facts = self.announcements.get(&address);
        let candidates = facts.map(|facts| self.candidates(&facts.spec));
        let candidates = candidates.unwrap_or_default();
        let passed_over = facts.map(|facts| self.passed_over(&facts.spec, &candidates));
        ExplainedAddress {
            address,
            pool,
            advertisements: facts.map_or_else(Vec::new, |facts| facts.spec.advertisements.clone()),
            passed_over: passed_over.unwrap_or_default(),
            candidates: candidates
                .into_iter()
                .map(|candidate| ExplainedCandidate {
                    node: candidate.node,
                    score: candidate.preference,
                })
                .collect(),
            node: facts.and_then(|facts| facts.node.clone()),
            since: facts
                .and_then(|facts| facts.claim.since)
                .map(|since| since.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
            reason: facts.and_then(|facts| facts.claim.reason.clone()),
            term: facts.and_then(|facts| facts.claim.term),
            previous: facts.and_then(|facts| facts.claim.previous.clone()),
            obstacle: if facts.is_some() {
                self.not_announced(address).map(|(_, message)| message)
            } else {
                Some("the controller has not reserved it yet".to_owned())
            },
        }
    }

    /// The nodes that are not among `candidates`, and why: the first step that leaves each out.
    /// Where no advertisement covers the address there is nothing to say of nodes.
    fn passed_over(&self, spec: &AnnouncementSpec, candidates: &[Candidate]) -> Vec<PassedOver> {
        if spec.advertisements.is_empty() {
            return Vec::new();
        }
        let others = self.nodes.keys().filter(|node| {
            let mut candidates = candidates.iter();
            !candidates.any(|candidate| candidate.node == **node)
        });
        let permitted = self.permitted(spec);
        let why = |node: &NodeName| {
            let named = spec.advertisements.iter().any(|name| {
                let facts = self.advertisements.get(name.as_str());
                let mut nodes = facts.iter().flat_map(|facts| &facts.status.nodes);
                nodes.any(|listed| listed.name == node.as_str())
            });
            let has_endpoint = spec.only_nodes.as_ref().is_none_or(|only| {
                let mut only = only.iter();
                only.any(|name| name == node.as_str())
            });
            if !named {
                let listed = spec.advertisements.join(", ");
                return format!("the nodeSelectors of L2Advertisement {listed} leave it out");
            }
            if !has_endpoint {
                return "externalTrafficPolicy is Local, and no endpoint on it is ready".to_owned();
            }
            match self.speakers.get(node) {
                None => return "it has no Speaker yet".to_owned(),
                Some(speaker) if !speaker.spec.eligible => {
                    let spec = &speaker.spec;
                    let reason = spec.message.as_ref().or(spec.reason.as_ref()).cloned();
                    return reason.unwrap_or_else(|| "its Speaker is not eligible".to_owned());
                }
                Some(_) => {}
            }
            let may = permitted.iter().find(|candidate| candidate.node == *node);
            let has_link = self.links_of(node).iter().any(|link| {
                link.carrier && may.is_some_and(|may| may.interfaces.contains(&link.name))
            });
            if has_link {
                let address = spec.address;
                format!("no link of it is on the network of {address}, and one of another node is")
            } else {
                "no link on which it may announce has a carrier".to_owned()
            }
        };
        let others = others.map(|node| PassedOver {
            node: node.clone(),
            why: why(node),
        });
        others.collect()
    }
}

/// What a Service has, and who announces it: addresses of which the same is said are said together.
fn sentence(addresses: &[ExplainedAddress]) -> String {
    let rest = |explained: &ExplainedAddress| {
        let pool = explained.pool.as_ref();
        let from = pool.map_or_else(String::new, |pool| format!(" of pool {pool}"));
        match (&explained.obstacle, &explained.node) {
            (None, Some(node)) => format!("{from}, which {node} announces"),
            (Some(obstacle), _) => format!("{from}, which nobody announces: {obstacle}"),
            (None, None) => format!("{from}, which nobody announces"),
        }
    };
    let parts = addresses.chunk_by(|one, other| rest(one) == rest(other));
    let parts = parts.filter_map(|part| {
        let together: Vec<String> = part.iter().map(|it| it.address.to_string()).collect();
        Some(format!("{}{}", together.join(" and "), rest(part.first()?)))
    });
    format!("has {}", parts.collect::<Vec<_>>().join("; and "))
}
