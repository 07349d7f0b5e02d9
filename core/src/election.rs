//! Which of the candidates announces an address.
//!
//! Until speakers elect on the wire, it is the first candidate in the order of
//! [`crate::placement::candidates`]. Every speaker computes the same order from the same objects;
//! while their views differ, two may hold an address or none. What goes out for an address that is
//! owned is up to [`crate::announcer`].

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::moment::Moment;
use crate::name::NodeName;
use crate::placement::{Candidate, Interfaces};

/// The number of a claim. Of two claims of one address, that with the higher term is the later one.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Term(pub u64);

impl Term {
    /// The term of the claim after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// The claim that the Announcement of an address records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// The node that announces the address or, if the claim does not stand, announced it last.
    pub node: Option<NodeName>,
    /// The term of the claim.
    pub term: Term,
    /// Whether it stands: not if the node has said that it does not announce the address any more.
    pub stands: bool,
}

/// What the election is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    /// These nodes may announce the address, best first.
    Assign {
        /// The address.
        address: IpAddr,
        /// The nodes.
        candidates: Vec<Candidate>,
        /// The last claim that is known.
        recorded: Option<Recorded>,
    },
    /// Nobody may announce the address any more.
    Unassign {
        /// The address.
        address: IpAddr,
    },
    /// This node stops: it releases all that it owns and owns nothing any more.
    Stop,
}

/// What the election has decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Output {
    /// This node announces the address from now on, or on other links than before.
    Own(Owned),
    /// This node does not announce the address any more.
    Release {
        /// The address.
        address: IpAddr,
        /// Why.
        reason: ReleaseReason,
    },
}

/// An address that this node announces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owned {
    /// The address.
    pub address: IpAddr,
    /// The links that it may be announced on.
    pub interfaces: Interfaces,
    /// The term of this node's claim.
    pub term: Term,
    /// The node that announced it before, if that is known.
    pub previous: Option<NodeName>,
    /// Why this node announces it.
    pub reason: OwnReason,
}

/// Why this node announces an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OwnReason {
    /// It is the first of the candidates.
    FirstCandidate,
}

impl fmt::Display for OwnReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FirstCandidate => "FirstCandidate",
        })
    }
}

/// Why this node does not announce an address any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ReleaseReason {
    /// The address is used no more.
    Unassigned,
    /// This node may not announce it any more.
    NotCandidate,
    /// Another candidate goes before this node.
    NotFirstCandidate,
    /// The speaker stops.
    Stopping,
}

impl fmt::Display for ReleaseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unassigned => "Unassigned",
            Self::NotCandidate => "NotCandidate",
            Self::NotFirstCandidate => "NotFirstCandidate",
            Self::Stopping => "Stopping",
        })
    }
}

/// Owns the addresses of which this node is the first candidate.
#[derive(Debug)]
pub struct FirstCandidate {
    node: NodeName,
    owned: BTreeMap<IpAddr, Owned>,
    outputs: VecDeque<Output>,
    stopped: bool,
}

impl FirstCandidate {
    /// The election as `node` takes part in it.
    #[must_use]
    pub fn new(node: NodeName) -> Self {
        Self {
            node,
            owned: BTreeMap::new(),
            outputs: VecDeque::new(),
            stopped: false,
        }
    }

    /// Takes a decision. The time is for the elections to come: the order of candidates does not
    /// depend on it.
    pub fn handle(&mut self, input: Input, _now: Moment) {
        match input {
            Input::Assign { .. } if self.stopped => {}
            Input::Assign {
                address,
                candidates,
                recorded,
            } => self.assign(address, candidates, recorded),
            Input::Unassign { address } => self.release(address, ReleaseReason::Unassigned),
            Input::Stop => {
                self.stopped = true;
                let all: Vec<_> = self.owned.keys().copied().collect();
                for address in all {
                    self.release(address, ReleaseReason::Stopping);
                }
            }
        }
    }

    /// The next decision that has not been handed out.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// What this node owns, by address.
    #[must_use]
    pub fn snapshot(&self) -> impl ExactSizeIterator<Item = &Owned> {
        self.owned.values()
    }

    fn assign(&mut self, address: IpAddr, candidates: Vec<Candidate>, recorded: Option<Recorded>) {
        let mut candidates = candidates.into_iter();
        let first = candidates.next();
        let Some(first) = first.filter(|first| first.node == self.node) else {
            let behind = candidates.any(|candidate| candidate.node == self.node);
            self.release(
                address,
                if behind {
                    ReleaseReason::NotFirstCandidate
                } else {
                    ReleaseReason::NotCandidate
                },
            );
            return;
        };
        let owned = match self.owned.get(&address) {
            // Another node has claimed it since, and goes behind this one.
            Some(owned) if is_outdone(owned, recorded.as_ref(), &self.node) => {
                self.claim(address, first.interfaces, recorded)
            }
            Some(owned) if owned.interfaces == first.interfaces => return,
            Some(owned) => Owned {
                interfaces: first.interfaces,
                ..owned.clone()
            },
            None => self.claim(address, first.interfaces, recorded),
        };
        self.owned.insert(address, owned.clone());
        self.outputs.push_back(Output::Own(owned));
    }

    /// A claim after the recorded one; or the recorded one itself, if this node made it before it
    /// was restarted.
    fn claim(&self, address: IpAddr, interfaces: Interfaces, recorded: Option<Recorded>) -> Owned {
        let (term, previous) = match recorded {
            None => (Term::default().next(), None),
            Some(recorded) if recorded.stands && recorded.node.as_ref() == Some(&self.node) => {
                (recorded.term, None)
            }
            Some(recorded) => (recorded.term.next(), recorded.node),
        };
        Owned {
            address,
            interfaces,
            term,
            previous,
            reason: OwnReason::FirstCandidate,
        }
    }

    fn release(&mut self, address: IpAddr, reason: ReleaseReason) {
        if self.owned.remove(&address).is_some() {
            self.outputs.push_back(Output::Release { address, reason });
        }
    }
}

/// Whether a claim of another node is recorded that stands and is no earlier than this one.
fn is_outdone(owned: &Owned, recorded: Option<&Recorded>, node: &NodeName) -> bool {
    recorded.is_some_and(|recorded| {
        recorded.stands && recorded.node.as_ref() != Some(node) && recorded.term >= owned.term
    })
}

#[cfg(test)]
mod tests;
