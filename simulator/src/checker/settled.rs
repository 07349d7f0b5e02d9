//! What is true when nothing has been wrong for long enough (I3), and what hosts believe then.

use super::{Checker, MILLISECOND, SECOND, SETTLED};
use crate::plan::Fault;

impl Checker<'_> {
    /// Nothing has been wrong for long enough.
    pub(super) fn check_settled(&mut self) {
        for address in 0..self.addresses.len() {
            if self.was_strange(address) || self.is_moving(address) {
                continue;
            }
            let candidates = self.addresses[address].candidates;
            let announcers: Vec<_> = (0..self.plan.nodes)
                .filter(|&node| self.announces(node, address))
                .collect();
            let living = (0..self.plan.nodes)
                .any(|node| candidates & (1 << node) != 0 && self.speakers[node].running);
            match announcers[..] {
                [] if living => {
                    self.violation("none", format!("nobody announces address {address}"));
                }
                [] => {}
                [announcer] => {
                    if candidates & (1 << announcer) == 0 {
                        self.violation(
                            "R1",
                            format!(
                                "node {announcer} announces address {address}, and is no candidate"
                            ),
                        );
                    }
                    let last = self.addresses[address].last_announced;
                    if last != Some(announcer) {
                        self.violation(
                            "I3",
                            format!("node {last:?} announced address {address} last, not its owner {announcer}"),
                        );
                    }
                }
                _ => self.violation("I1", format!("{announcers:?} announce address {address}")),
            }
        }
    }

    /// A stranger has used the address in the last minute, so that it may rest.
    pub(super) fn was_strange(&self, address: usize) -> bool {
        self.plan.faults.iter().any(|timed| {
            timed.fault == Fault::Stranger(address)
                && (timed.at + timed.lasts + 62_000) * MILLISECOND > self.now
                && timed.at * MILLISECOND < self.now
        })
    }

    pub(super) fn believed(&mut self, host: usize, address: usize, node: Option<usize>) {
        if !self.active.is_empty() || self.was_strange(address) || self.is_moving(address) {
            return;
        }
        if self.now < self.disturbed + SETTLED + 2 * SECOND {
            return;
        }
        let announcer = (0..self.plan.nodes).find(|&node| self.announces(node, address));
        if announcer.is_some() && node != announcer && self.plan.loss == 0 {
            self.violation(
                "caches",
                format!("host {host} believes that {node:?} has address {address}, and {announcer:?} does"),
            );
        }
    }
}
