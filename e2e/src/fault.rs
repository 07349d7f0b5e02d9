//! What can be done to nodes: how it is said to the lab, and how it is typed.

use std::fmt;
use std::str::FromStr;

use clap::Subcommand;
use serde::{Deserialize, Serialize};

/// What can be done to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Fault {
    /// Unplug it from the LAN, the management network, or both.
    Cut(Network),
    /// Power off: unplug it from both networks and kill everything on it.
    Crash,
    /// Stop its speaker and kube-proxy where they are (SIGSTOP), and its kubelet with them.
    Pause,
    /// Lose some of its frames on the LAN, one way.
    Lose {
        /// Which way.
        direction: Direction,
        /// How many of a hundred, from 1 to 100. Each frame has the same chance.
        percent: u8,
    },
    /// Lose all its frames of one kind on the LAN, both ways.
    Filter {
        /// Of which kind.
        ether_type: EtherType,
    },
    /// Put it on the far half of a LAN that is split in two. The client, the gateway and all other
    /// nodes are on the near half.
    Split,
    /// Put it on the far half of a LAN whose halves lose each other's frames of one kind. All others
    /// pass.
    Sieve {
        /// Of which kind.
        ether_type: EtherType,
    },
    /// Undo all of the above: plug it in, let its programs go on, start those that were killed.
    Heal,
}

/// A network that a node can be unplugged from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "camelCase")]
pub enum Network {
    /// Where addresses are announced.
    Lan,
    /// Where the API server is.
    Mgmt,
    /// Both.
    Both,
}

impl Network {
    /// The bridges that make it up.
    #[must_use]
    pub const fn bridges(self) -> &'static [&'static str] {
        match self {
            Self::Lan => &["lan"],
            Self::Mgmt => &["mgmt"],
            Self::Both => &["lan", "mgmt"],
        }
    }
}

/// Which way frames go, as the node sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "camelCase")]
pub enum Direction {
    /// What it sends.
    Sending,
    /// What it would receive.
    Receiving,
}

/// What a frame carries, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EtherType(pub u16);

impl fmt::Display for EtherType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:04x}", self.0)
    }
}

impl FromStr for EtherType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix("0x").unwrap_or_default();
        // Smaller numbers are lengths of frames of another kind.
        u16::from_str_radix(digits, 16)
            .ok()
            .filter(|&number| number >= 0x0600)
            .map(Self)
            .ok_or_else(|| {
                format!(
                    "{text:?} is no EtherType: write 0x88b5 for beacons, 0x0806 for ARP, 0x0800 for \
                     IPv4 or 0x86dd for IPv6"
                )
            })
    }
}

/// A fault as it is typed.
#[derive(Clone, Debug, Subcommand)]
pub enum FaultCommand {
    /// Unplug a node
    Cut {
        /// The node
        node: String,
        /// From which network
        #[arg(long, value_enum, default_value = "lan")]
        network: Network,
    },
    /// Power a node off
    Crash {
        /// The node
        node: String,
    },
    /// Stop a node's programs where they are
    Pause {
        /// The node
        node: String,
    },
    /// Lose some of a node's frames on the LAN, one way
    Lose {
        /// The node
        node: String,
        /// Which of its frames
        #[arg(value_enum)]
        direction: Direction,
        /// How many of a hundred
        #[arg(value_parser = clap::value_parser!(u8).range(1..=100))]
        percent: u8,
    },
    /// Lose all of a node's frames of one kind on the LAN, both ways
    Filter {
        /// The node
        node: String,
        /// Of which kind: 0x88b5 for beacons, 0x0806 for ARP
        ether_type: EtherType,
    },
    /// Split the LAN: these nodes on one half, the other nodes, client and gateway on the other
    Split {
        /// The nodes
        #[arg(required = true)]
        nodes: Vec<String>,
    },
    /// Split the LAN for frames of one kind: these nodes on one half, all others on the other
    Sieve {
        /// Of which kind: 0x88b5 for beacons, 0x0806 for ARP
        ether_type: EtherType,
        /// The nodes
        #[arg(required = true)]
        nodes: Vec<String>,
    },
    /// Undo all of it, on all these nodes at once
    Heal {
        /// The nodes
        #[arg(required = true)]
        nodes: Vec<String>,
    },
}

impl FaultCommand {
    /// What to do, and to which nodes.
    #[must_use]
    pub fn into_fault(self) -> (Vec<String>, Fault) {
        match self {
            Self::Cut { node, network } => (vec![node], Fault::Cut(network)),
            Self::Crash { node } => (vec![node], Fault::Crash),
            Self::Pause { node } => (vec![node], Fault::Pause),
            Self::Lose {
                node,
                direction,
                percent,
            } => (vec![node], Fault::Lose { direction, percent }),
            Self::Filter { node, ether_type } => (vec![node], Fault::Filter { ether_type }),
            Self::Split { nodes } => (nodes, Fault::Split),
            Self::Sieve { ether_type, nodes } => (nodes, Fault::Sieve { ether_type }),
            Self::Heal { nodes } => (nodes, Fault::Heal),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(subcommand)]
        fault: FaultCommand,
    }

    fn typed(line: &str) -> Result<(Vec<String>, Fault), clap::Error> {
        let words = std::iter::once("fault").chain(line.split_whitespace());
        Cli::try_parse_from(words).map(|cli| cli.fault.into_fault())
    }

    #[test]
    fn a_fault_is_typed_with_its_node() {
        let one = || vec!["node-a".to_owned()];
        let rows = [
            ("cut node-a", one(), Fault::Cut(Network::Lan)),
            (
                "cut node-a --network both",
                one(),
                Fault::Cut(Network::Both),
            ),
            ("crash node-a", one(), Fault::Crash),
            ("pause node-a", one(), Fault::Pause),
            (
                "lose node-a sending 30",
                one(),
                Fault::Lose {
                    direction: Direction::Sending,
                    percent: 30,
                },
            ),
            (
                "filter node-a 0x88b5",
                one(),
                Fault::Filter {
                    ether_type: EtherType(0x88b5),
                },
            ),
            (
                "split node-a node-b",
                vec!["node-a".to_owned(), "node-b".to_owned()],
                Fault::Split,
            ),
            (
                "sieve 0x88b5 node-a",
                one(),
                Fault::Sieve {
                    ether_type: EtherType(0x88b5),
                },
            ),
            ("heal node-a", one(), Fault::Heal),
        ];
        for (line, nodes, fault) in rows {
            assert_eq!(typed(line).expect(line), (nodes, fault), "{line}");
        }
        for line in [
            "lose node-a sending 0",
            "lose node-a sending 101",
            "lose node-a sideways 5",
            "filter node-a 0x05ff",
            "filter node-a beacons",
            "split",
            "heal",
        ] {
            assert!(typed(line).is_err(), "{line}");
        }
    }
}
