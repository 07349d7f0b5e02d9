//! How faults begin and end.

use bellwether_core::election::Input;
use rand::RngExt;

use super::{MILLISECOND, Next, World};
use crate::history::{Time, What};
use crate::network::Kind;
use crate::plan::Fault;

impl World<'_> {
    pub(super) fn begin(&mut self, fault: Fault, lasts: Time) {
        match fault {
            Fault::Crash(nodes) => {
                for node in 0..self.plan.nodes {
                    if nodes & (1 << node) != 0 {
                        self.stop(node);
                    }
                }
            }
            Fault::Kill(node) => {
                self.stop(node);
                self.schedule(self.now + 40 * MILLISECOND, Next::Start(node));
            }
            Fault::KillAll => {
                for node in 0..self.plan.nodes {
                    self.stop(node);
                    let at = self.now + self.rng.random_range(20..600) * MILLISECOND;
                    self.schedule(at, Next::Start(node));
                }
            }
            Fault::Pause(node) => {
                let running = self.places[node].node.is_some();
                if running && self.places[node].paused_at.is_none() {
                    self.places[node].paused_at = Some(self.now);
                    self.note(What::Paused(node));
                }
            }
            Fault::Unplugged(node) | Fault::NewMac(node) => {
                if matches!(fault, Fault::NewMac(_)) {
                    self.places[node].mac = self.places[node].mac.wrapping_add(1);
                }
                self.renew_links(node);
            }
            Fault::Exclude(node) => self.exclude(node, true),
            Fault::Leave(node) => {
                self.tell(node, Input::Leave);
            }
            Fault::Unassign(address) => {
                self.api[address].assigned = false;
                // With the Announcement goes what it recorded.
                self.api[address].recorded = None;
                self.publish(address, 0);
            }
            Fault::MoveTo(address, node) => {
                self.api[address].move_to = Some(node);
                self.publish(address, 0);
            }
            Fault::Stranger(address) => {
                self.api[address].stranger = true;
                self.stranger_announces(address);
            }
            Fault::Disorder(nodes) => self.disorder(nodes, lasts),
            Fault::Rotate => self.schedule(self.now, Next::Sweep(2)),
            Fault::Recordings => self.schedule(self.now, Next::Replay),
            _ => {}
        }
    }

    pub(super) fn end(&mut self, fault: Fault) {
        match fault {
            Fault::Crash(nodes) => {
                for node in 0..self.plan.nodes {
                    if nodes & (1 << node) != 0 {
                        let at = self.now + self.rng.random_range(0..300) * MILLISECOND;
                        self.schedule(at, Next::Start(node));
                    }
                }
            }
            Fault::Pause(node) => {
                let still = self.faults().any(|other| other == Fault::Pause(node));
                if !still && let Some(since) = self.places[node].paused_at.take() {
                    self.places[node].turn_at = None;
                    self.note(What::Resumed(node, self.now - since));
                    self.renew_links(node);
                    self.wake(node, self.now);
                }
            }
            Fault::Unplugged(node) => self.renew_links(node),
            Fault::Exclude(node) => self.exclude(node, false),
            Fault::Leave(node) => {
                self.stop(node);
                self.schedule(self.now + 40 * MILLISECOND, Next::Start(node));
            }
            Fault::Unassign(address) => {
                self.api[address].assigned = true;
                self.publish(address, 0);
            }
            Fault::MoveTo(address, _) => {
                self.api[address].move_to = None;
                self.publish(address, 0);
            }
            Fault::Stranger(address) => {
                let another = self.faults().any(|other| other == fault);
                self.api[address].stranger = another;
            }
            _ => {}
        }
    }

    pub(super) fn note_network(&mut self) {
        let faults: Vec<_> = self.faults().collect();
        self.network.set(faults.iter().copied());
        let rows = |kind: Kind| -> Vec<u32> {
            (0..self.plan.nodes)
                .map(|to| {
                    (0..self.plan.nodes)
                        .filter(|&from| from != to && self.network.passes(kind, from, to))
                        .fold(0, |row, from| row | 1 << from)
                })
                .collect()
        };
        let (hearing, reaching) = (rows(Kind::Beacon), rows(Kind::Arp));
        if hearing != self.hearing {
            self.hearing.clone_from(&hearing);
            self.note(What::Hearing(hearing));
        }
        if reaching != self.reaching {
            self.reaching.clone_from(&reaching);
            self.note(What::Reaching(reaching));
        }
        for node in 0..self.plan.nodes {
            let late = faults.iter().filter_map(|fault| match fault {
                Fault::Late(which, late) if *which == node => Some(*late),
                _ => None,
            });
            self.places[node].late = late.max().unwrap_or(0);
            let fails = faults.contains(&Fault::SendFails(node));
            if let Some(node) = &mut self.places[node].node {
                node.send_fails = fails;
            }
        }
    }
}
