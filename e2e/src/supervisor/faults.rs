//! What the supervisor does to nodes, and how it undoes it.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::Supervisor;
use crate::control::{Action, Response};
use crate::error::{Error, Result};
use crate::fault::{Fault, Network};
use crate::impairment::{self, is_impairment};
use crate::kubelet::NodeHealth;
use crate::lab::wait_for;
use crate::network::{Waiting, run};

impl Supervisor {
    /// Does the same to all these nodes.
    pub(super) async fn fault(&mut self, nodes: &[String], fault: Fault) -> Result<Response> {
        let health = nodes.iter().map(|node| self.health_of(node));
        health.collect::<Result<Vec<_>>>()?;
        let mut faults = self.faults.clone();
        let before = nodes.iter().filter_map(|node| faults.get(node));
        let was_impaired = before.flatten().copied().any(is_impairment);
        for node in nodes {
            let of_node = faults.entry(node.clone()).or_default();
            match fault {
                Fault::Heal => of_node.clear(),
                fault => of_node.push(fault),
            }
        }
        if was_impaired || is_impairment(fault) {
            impairment::apply(&self.topology, &faults).await?;
        }
        self.faults = faults;
        for node in nodes {
            self.fault_of(node, fault).await?;
        }
        Ok(Response::Done)
    }

    fn health_of(&self, node: &str) -> Result<NodeHealth> {
        self.topology.host(node)?;
        self.health.get(node).cloned().ok_or_else(|| {
            Error::Refused(format!(
                "{node} is no node of the cluster, so it cannot be broken"
            ))
        })
    }

    /// What is done to one node itself.
    async fn fault_of(&mut self, node: &str, fault: Fault) -> Result<()> {
        let host = self.topology.host(node)?.clone();
        let health = self.health_of(node)?;
        match fault {
            Fault::Cut(network) => {
                if network != Network::Lan {
                    health.set_connected(false);
                }
                self.plug(&host.port_names(network), false).await?;
            }
            Fault::Crash => {
                health.set_power(false);
                // A node without power has no last words: a program that still ran when the first
                // cable is out would say so on the other. But a node whose programs have stopped
                // goes on forwarding until its cables are out, so that follows without delay.
                let cables = Waiting::ip()?;
                self.pause_all(node).await?;
                cables
                    .feed(&states(&host.port_names(Network::Both), false))
                    .await?;
                for name in self.programs_on(node) {
                    self.act(&name, Action::Kill).await?;
                }
                if let Some(machine) = self.machines.get(node) {
                    machine.off();
                }
            }
            Fault::Pause => {
                health.set_connected(false);
                self.pause_all(node).await?;
            }
            // The bridge plays it.
            Fault::Lose { .. } | Fault::Filter { .. } | Fault::Split | Fault::Sieve { .. } => {}
            Fault::Heal if self.is_off(node) => {
                self.topology.rebuild(&host).await?;
                self.power_on(node).await?;
            }
            Fault::Heal => {
                if let Some(machine) = self.machines.get(node) {
                    machine.signal_all(Signal::SIGCONT)?;
                }
                self.plug(&host.port_names(Network::Both), true).await?;
                for name in self.programs_on(node) {
                    self.act(&name, Action::Resume).await?;
                    self.act(&name, Action::Start).await?;
                }
                health.set_power(true);
                health.set_connected(true);
                self.wait_for_carrier(node).await?;
            }
        }
        Ok(())
    }

    /// Stops everything on a node where it is.
    async fn pause_all(&mut self, node: &str) -> Result<()> {
        for name in self.programs_on(node) {
            self.act(&name, Action::Pause).await?;
        }
        match self.machines.get(node) {
            Some(machine) if !self.is_off(node) => machine.signal_all(Signal::SIGSTOP),
            _ => Ok(()),
        }
    }

    fn programs_on(&self, node: &str) -> Vec<String> {
        self.programs
            .values()
            .filter(|(program, _)| program.host.as_deref() == Some(node))
            .map(|(program, _)| program.name.clone())
            .collect()
    }

    async fn plug(&self, ports: &[String], plugged: bool) -> Result<()> {
        Waiting::ip()?.feed(&states(ports, plugged)).await
    }

    /// A bridge port that comes up again has its carrier up to a second later.
    async fn wait_for_carrier(&self, node: &str) -> Result<()> {
        let what = format!("the carrier of {node} coming back");
        wait_for(&what, Duration::from_secs(10), async || {
            let shown = run("ip", &["-n", node, "-br", "link", "show", "eth0"])
                .await
                .map_err(|error| error.to_string())?;
            if shown.contains(" UP ") {
                Ok(())
            } else {
                Err(shown)
            }
        })
        .await
    }
}

/// What puts cables in or takes them out.
fn states(ports: &[String], plugged: bool) -> String {
    let state = if plugged { "up" } else { "down" };
    let lines = ports
        .iter()
        .map(|port| format!("link set {port} {state}\n"));
    lines.collect()
}
