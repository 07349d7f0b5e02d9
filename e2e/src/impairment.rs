//! What the bridge of the LAN does to frames: it loses some of a node's, all of one kind, or all,
//! or all of one kind, between two halves.
//!
//! The rules are nftables' of the family `bridge`, made anew as a whole from the faults that are in
//! force, and put in force at once. They lie where they are exact: what a node sends is counted once
//! where it enters, before the bridge copies it to several ports; what it receives is counted where
//! it leaves.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::error::Result;
use crate::fault::{Direction, Fault};
use crate::network::{Topology, nft};

/// Whether a fault is one that the bridge plays.
#[must_use]
pub const fn is_impairment(fault: Fault) -> bool {
    matches!(
        fault,
        Fault::Lose { .. } | Fault::Filter { .. } | Fault::Split | Fault::Sieve { .. }
    )
}

/// Puts the rules for these faults of nodes in force, in the place of all before.
pub async fn apply(topology: &Topology, faults: &BTreeMap<String, Vec<Fault>>) -> Result<()> {
    nft(&rules(topology, faults)).await
}

/// The rules: the whole table `lab`, in the language of nft(8).
fn rules(topology: &Topology, faults: &BTreeMap<String, Vec<Fault>>) -> String {
    let (mut entering, mut leaving) = (String::new(), String::new());
    // The ports of the far half, by what the halves lose of each other.
    let mut halves: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for host in topology.nodes() {
        let port = format!("\"{}\"", host.port("lan"));
        for &fault in faults.get(&host.name).into_iter().flatten() {
            match fault {
                Fault::Lose { direction, percent } => {
                    let chance = match percent {
                        100 => "drop".to_owned(),
                        // Of whole numbers below 100, as many are below the percentage as it says.
                        _ => format!("numgen random mod 100 < {percent} drop"),
                    };
                    match direction {
                        Direction::Sending => {
                            rule(&mut entering, &format!("iifname {port} {chance}"));
                        }
                        Direction::Receiving => {
                            rule(&mut leaving, &format!("oifname {port} {chance}"));
                        }
                    }
                }
                Fault::Filter { ether_type } => {
                    let kind = format!("ether type {ether_type} drop");
                    rule(&mut entering, &format!("iifname {port} {kind}"));
                    rule(&mut leaving, &format!("oifname {port} {kind}"));
                }
                Fault::Split => halves.entry(String::new()).or_default().push(port.clone()),
                Fault::Sieve { ether_type } => {
                    let kind = format!("ether type {ether_type} ");
                    halves.entry(kind).or_default().push(port.clone());
                }
                Fault::Cut(_) | Fault::Crash | Fault::Pause | Fault::Heal => {}
            }
        }
    }
    for (kind, far) in halves {
        let far = far.join(", ");
        let near: Vec<String> = topology
            .hosts
            .iter()
            .map(|host| format!("\"{}\"", host.port("lan")))
            .filter(|port| !far.contains(port.as_str()))
            .collect();
        let near = near.join(", ");
        for (from, to) in [(&far, &near), (&near, &far)] {
            rule(
                &mut leaving,
                &format!("iifname {{ {from} }} oifname {{ {to} }} {kind}drop"),
            );
        }
    }
    format!(
        "table bridge lab\ndelete table bridge lab\ntable bridge lab {{\n\
         chain entering {{\ntype filter hook prerouting priority 0\n{entering}}}\n\
         chain leaving {{\ntype filter hook forward priority 0\n{leaving}}}\n}}\n"
    )
}

fn rule(chain: &mut String, text: &str) {
    let written = writeln!(chain, "{text}");
    debug_assert!(written.is_ok(), "writing to a String cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{EtherType, Network};

    fn lines(faults: &[(&str, Fault)]) -> Vec<String> {
        let mut by_node: BTreeMap<String, Vec<Fault>> = BTreeMap::new();
        for &(node, fault) in faults {
            by_node.entry(node.to_owned()).or_default().push(fault);
        }
        let rules = rules(&Topology::new(3), &by_node);
        let drops = rules.lines().filter(|line| line.ends_with("drop"));
        drops.map(ToOwned::to_owned).collect()
    }

    #[test]
    fn faults_of_other_kinds_need_no_rules() {
        assert!(lines(&[]).is_empty());
        assert!(
            lines(&[
                ("node-a", Fault::Crash),
                ("node-b", Fault::Cut(Network::Lan))
            ])
            .is_empty()
        );
    }

    #[test]
    fn loss_lies_where_frames_enter_or_where_they_leave() {
        let lose = |direction, percent| Fault::Lose { direction, percent };
        assert_eq!(
            lines(&[
                ("node-a", lose(Direction::Sending, 30)),
                ("node-b", lose(Direction::Receiving, 30)),
                ("node-c", lose(Direction::Sending, 100)),
            ]),
            [
                "iifname \"node-a-lan\" numgen random mod 100 < 30 drop",
                "iifname \"node-c-lan\" drop",
                "oifname \"node-b-lan\" numgen random mod 100 < 30 drop",
            ]
        );
    }

    #[test]
    fn a_kind_is_filtered_both_ways() {
        let filter = Fault::Filter {
            ether_type: EtherType(0x88b5),
        };
        assert_eq!(
            lines(&[("node-c", filter)]),
            [
                "iifname \"node-c-lan\" ether type 0x88b5 drop",
                "oifname \"node-c-lan\" ether type 0x88b5 drop",
            ]
        );
    }

    #[test]
    fn a_sieve_drops_one_kind_between_its_halves_both_ways() {
        let sieve = Fault::Sieve {
            ether_type: EtherType(0x88b5),
        };
        let (far, near) = (
            "\"node-b-lan\"",
            "\"node-a-lan\", \"node-c-lan\", \"client-lan\", \"gateway-lan\"",
        );
        assert_eq!(
            lines(&[("node-b", sieve)]),
            [
                format!("iifname {{ {far} }} oifname {{ {near} }} ether type 0x88b5 drop"),
                format!("iifname {{ {near} }} oifname {{ {far} }} ether type 0x88b5 drop"),
            ]
        );
    }

    #[test]
    fn a_split_lies_between_its_halves_both_ways() {
        let (far, near) = (
            "\"node-a-lan\", \"node-c-lan\"",
            "\"node-b-lan\", \"client-lan\", \"gateway-lan\"",
        );
        assert_eq!(
            lines(&[("node-a", Fault::Split), ("node-c", Fault::Split)]),
            [
                format!("iifname {{ {far} }} oifname {{ {near} }} drop"),
                format!("iifname {{ {near} }} oifname {{ {far} }} drop"),
            ]
        );
    }
}
