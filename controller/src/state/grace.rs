//! Nodes that were ready a moment ago.
//!
//! A node that is not ready loses its addresses only when that lasts: a control plane that loses
//! sight of its nodes marks one after the other, and in the end it is seen that most are marked. While most are, nobody's
//! time runs out, and when they are seen again, one after the other, it begins anew. A
//! node that has really failed is replaced by the other speakers long before.

use std::collections::BTreeMap;
use std::time::Duration;

use bellwether_core::moment::Moment;
use bellwether_core::name::NodeName;

/// How long a node may be not ready before it loses its addresses. The nodes of a control plane that
/// loses sight of all are marked within the interval of their heartbeats, 10 s, and that of the node
/// controller's looks, 5 s, of each other.
pub(super) const GRACE: Duration = Duration::from_secs(20);

/// The nodes that are not ready, and are treated as if they were for a while.
#[derive(Debug, Default)]
pub(super) struct Grace {
    until: BTreeMap<NodeName, Moment>,
}

impl Grace {
    /// The node is not ready, and was until now.
    pub(super) fn begin(&mut self, node: NodeName, now: Moment) {
        self.until.entry(node).or_insert(now + GRACE);
    }

    /// The time of every node begins anew.
    pub(super) fn prolong(&mut self, now: Moment) {
        for until in self.until.values_mut() {
            *until = now + GRACE;
        }
    }

    /// The node is ready, or gone.
    pub(super) fn end(&mut self, node: &NodeName) {
        self.until.remove(node);
    }

    /// Whether the node counts as ready although it is not.
    pub(super) fn covers(&self, node: &NodeName) -> bool {
        self.until.contains_key(node)
    }

    /// When [`Grace::expire`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<Moment> {
        self.until.values().min().copied()
    }

    /// The nodes whose time is over by `now`.
    pub(super) fn expire(&mut self, now: Moment) -> Vec<NodeName> {
        let over = self.until.extract_if(.., |_, until| *until <= now);
        over.map(|(node, _)| node).collect()
    }
}
