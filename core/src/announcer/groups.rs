//! The solicited-node groups that the node has to be in (N7).
//!
//! Solicitations for an IPv6 address go to its group. Switches that snoop MLD forward them only to
//! ports from which the group was joined. So the node joins before it announces, and already when
//! it only may have to announce later: a takeover then does not wait for the switch. Several
//! addresses can share one group.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};

use super::Output;
use crate::frame::ndp::solicited_node;
use crate::link::LinkIndex;

/// How many addresses need each group on each link.
#[derive(Clone, Debug, Default)]
pub(super) struct Groups(BTreeMap<(LinkIndex, Ipv6Addr), usize>);

impl Groups {
    /// `address` may be announced on `link` from now on.
    pub(super) fn need(
        &mut self,
        address: IpAddr,
        link: LinkIndex,
        outputs: &mut VecDeque<Output>,
    ) {
        let IpAddr::V6(address) = address else { return };
        let group = solicited_node(address);
        let users = self.0.entry((link, group)).or_default();
        *users += 1;
        if *users == 1 {
            outputs.push_back(Output::Join { link, group });
        }
    }

    /// `address` is not to be announced on `link` any more.
    pub(super) fn release(
        &mut self,
        address: IpAddr,
        link: LinkIndex,
        outputs: &mut VecDeque<Output>,
    ) {
        let IpAddr::V6(address) = address else { return };
        let group = solicited_node(address);
        let Some(users) = self.0.get_mut(&(link, group)) else {
            return;
        };
        *users -= 1;
        if *users == 0 {
            self.0.remove(&(link, group));
            outputs.push_back(Output::Leave { link, group });
        }
    }

    /// The groups that are needed.
    pub(super) fn iter(&self) -> impl Iterator<Item = (LinkIndex, Ipv6Addr)> {
        self.0.keys().copied()
    }
}
