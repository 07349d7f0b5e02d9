//! Why a Service has the addresses that it has, and why a node announces them: the decisions as they
//! were made, step by step.

use std::net::IpAddr;

use bellwether_core::allocator::{Considered, Decision};
use bellwether_core::name::{NodeName, PoolName, ServiceName};
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
                let mut answer = addresses
                    .iter()
                    .map(sentence)
                    .collect::<Vec<_>>()
                    .join("; ");
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
        ExplainedAddress {
            address,
            pool,
            advertisements: facts.map_or_else(Vec::new, |facts| facts.spec.advertisements.clone()),
            candidates: candidates
                .unwrap_or_default()
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
}

fn sentence(explained: &ExplainedAddress) -> String {
    let address = explained.address;
    let pool = explained.pool.as_ref();
    let from = pool.map_or_else(String::new, |pool| format!(" of pool {pool}"));
    match (&explained.obstacle, &explained.node) {
        (None, Some(node)) => format!("has {address}{from}, which {node} announces"),
        (Some(obstacle), _) => format!("has {address}{from}, which nobody announces: {obstacle}"),
        (None, None) => format!("has {address}{from}, which nobody announces"),
    }
}
