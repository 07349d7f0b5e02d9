//! The command line of the speaker.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use bellwether_core::announcer;
use bellwether_core::membership::timing::Profile;
use bellwether_core::name::NodeName;
use bellwether_core::pool::parse_duration;
use bellwether_crds::NAMESPACE;
use bellwether_daemon::client::ClientOptions;
use bellwether_daemon::telemetry::LogOptions;
use clap::{Args, Parser, Subcommand, ValueEnum};
use regex::{Regex, RegexSet};

/// Links that are the node's own affair or its pods': no client is on them.
const EXCLUDED: &str = "^lo$,^docker.*,^cbr.*,^dummy.*,^virbr.*,^lxcbr.*,^veth.*,^cali.*,^tunl.*,\
                        ^flannel.*,^kube-ipvs.*,^cni.*,^nodelocaldns.*,^lxc.*,^cilium.*";

/// Announces the addresses of Services on the local network, by ARP and NDP.
#[derive(Debug, Parser)]
#[command(name = "bellwether-speaker", version = bellwether_daemon::VERSION)]
#[command(arg_required_else_help = true, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run as the speaker of a node; needs the capability NET_RAW in the node's network
    Run(Box<RunOptions>),
    /// Show the peers, links and addresses of the speaker that runs on this node
    Status(StatusOptions),
    /// Record what the speaker that runs on this node is told and decides about addresses, for
    /// bellwether-simulate --replay; Ctrl-C ends it
    Trace(TraceOptions),
}

/// Where a running speaker says what it is at.
pub const SOCKET: &str = "/run/bellwether/speaker.sock";

/// What to show.
#[derive(Debug, Args)]
pub struct StatusOptions {
    /// The socket of the running speaker
    #[arg(long, env = "BELLWETHER_SOCKET", value_name = "PATH", default_value = SOCKET)]
    pub socket: PathBuf,

    /// Tables to read, or JSON for a program
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Table)]
    pub output: Format,
}

/// What to record, and where.
#[derive(Debug, Args)]
pub struct TraceOptions {
    /// The socket of the running speaker
    #[arg(long, env = "BELLWETHER_SOCKET", value_name = "PATH", default_value = SOCKET)]
    pub socket: PathBuf,

    /// The file to write; - for standard output
    #[arg(long, value_name = "PATH", default_value = "-")]
    pub output: PathBuf,

    /// For how many seconds; without it, until Ctrl-C
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub seconds: Option<u64>,
}

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Tables.
    Table,
    /// JSON.
    Json,
}

/// How a speaker runs.
#[derive(Debug, Args)]
pub struct RunOptions {
    /// The name of the Node that it runs on
    #[arg(long, env = "BELLWETHER_NODE_NAME", value_name = "NAME", value_parser = node_name)]
    pub node_name: NodeName,

    /// The addresses at which the speakers of other nodes reach this one, separated by commas;
    /// without any, those of the links that can carry announcements
    #[arg(
        long,
        env = "BELLWETHER_NODE_ADDRESSES",
        value_name = "ADDRESS",
        value_delimiter = ','
    )]
    pub node_addresses: Vec<IpAddr>,

    /// The namespace of the Secret with the keys that speakers sign their beacons with
    #[arg(
        long,
        env = "BELLWETHER_NAMESPACE",
        value_name = "NAMESPACE",
        default_value = NAMESPACE
    )]
    pub namespace: String,

    /// How fast to find out that another speaker is gone
    #[arg(
        long,
        env = "BELLWETHER_PROFILE",
        value_name = "PROFILE",
        value_enum,
        default_value_t = ProfileName::Default,
        help_heading = "Electing"
    )]
    pub profile: ProfileName,

    /// Whether to take real-time priority and lock memory, where the capabilities `SYS_NICE` and
    /// `IPC_LOCK` are granted
    #[arg(
        long,
        env = "BELLWETHER_REAL_TIME",
        value_name = "WISH",
        value_enum,
        default_value_t = RealTime::Auto,
        help_heading = "Electing"
    )]
    pub real_time: RealTime,

    /// The UDP port at which the speakers of other nodes reach this one; the same on all nodes
    #[arg(
        long,
        env = "BELLWETHER_BEACON_PORT",
        value_name = "PORT",
        default_value_t = 7474,
        help_heading = "Electing"
    )]
    pub beacon_port: u16,

    /// Give addresses to their best nodes, one per second and without a gap, while those have far
    /// fewer: a node that returns gets its share back
    #[arg(long, env = "BELLWETHER_REBALANCE", help_heading = "Electing")]
    pub rebalance: bool,

    /// Links that never carry announcements: regular expressions over their names, separated by
    /// commas
    #[arg(
        long,
        env = "BELLWETHER_EXCLUDE_INTERFACES",
        value_name = "REGEX",
        value_delimiter = ',',
        default_value = EXCLUDED,
        help_heading = "Announcing"
    )]
    pub exclude_interfaces: Vec<Regex>,

    /// How often an address is announced again at rest, on average; 0s for never
    #[arg(
        long,
        env = "BELLWETHER_REFRESH",
        value_name = "DURATION",
        default_value = "1m",
        value_parser = parse_duration,
        help_heading = "Announcing"
    )]
    pub refresh: Duration,

    /// How many frames may announce addresses per second
    #[arg(
        long,
        env = "BELLWETHER_FRAMES_PER_SECOND",
        value_name = "N",
        default_value_t = announcer::Config::default().frames_per_second,
        value_parser = clap::value_parser!(u32).range(1..),
        help_heading = "Announcing"
    )]
    pub frames_per_second: u32,

    /// Where to serve /healthz, /readyz and /log-level; port 0 lets the system choose
    #[arg(
        long,
        env = "BELLWETHER_HEALTH_ADDRESS",
        value_name = "ADDRESS:PORT",
        default_value = "127.0.0.1:7473",
        help_heading = "Listening"
    )]
    pub health_address: SocketAddr,

    /// Where `bellwether-speaker status` asks this speaker; empty for nowhere
    #[arg(
        long,
        env = "BELLWETHER_SOCKET",
        value_name = "PATH",
        default_value = SOCKET,
        help_heading = "Listening"
    )]
    pub socket: PathBuf,

    /// Where to serve /metrics; port 0 lets the system choose
    #[arg(
        long,
        env = "BELLWETHER_METRICS_ADDRESS",
        value_name = "ADDRESS:PORT",
        default_value = "[::]:7472",
        help_heading = "Listening"
    )]
    pub metrics_address: SocketAddr,

    /// Which API server.
    #[command(flatten)]
    pub client: ClientOptions,

    /// How to log.
    #[command(flatten)]
    pub log: LogOptions,
}

/// How fast a speaker beats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProfileName {
    /// A beacon each 50 ms: for wired networks
    Default,
    /// A beacon each 20 ms: for wired networks, and speakers with real-time priority; see --real-time
    Fast,
    /// A beacon each 200 ms: for wireless networks
    Wifi,
}

impl ProfileName {
    /// The figures.
    #[must_use]
    pub const fn profile(self) -> Profile {
        match self {
            Self::Default => Profile::DEFAULT,
            Self::Fast => Profile::FAST,
            Self::Wifi => Profile::WIFI,
        }
    }
}

/// Whether to take real-time priority and lock memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RealTime {
    /// If granted; without, the default profile is used where fast was asked for
    Auto,
    /// If granted; the profile is the one that was asked for in any case
    Prefer,
    /// No; the profile is the one that was asked for
    Never,
}

impl RunOptions {
    /// When and how fast to announce.
    #[must_use]
    pub fn announcer(&self) -> announcer::Config {
        announcer::Config {
            refresh: self.refresh,
            frames_per_second: self.frames_per_second,
            ..announcer::Config::default()
        }
    }

    /// The names of links that never carry announcements.
    pub fn excluded(&self) -> Result<RegexSet, regex::Error> {
        RegexSet::new(self.exclude_interfaces.iter().map(Regex::as_str))
    }
}

fn node_name(text: &str) -> Result<NodeName, &'static str> {
    if text.is_empty() {
        return Err("name the Node that the speaker runs on");
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn run(arguments: &[&str]) -> Result<RunOptions, clap::Error> {
        let all = ["bellwether-speaker", "run", "--node-name=a"].iter();
        match Cli::try_parse_from(all.chain(arguments))?.command {
            Command::Run(options) => Ok(*options),
            Command::Status(_) | Command::Trace(_) => panic!("another command"),
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_defaults_are_those_of_the_announcer() {
        let options = run(&[]).expect("options");
        assert_eq!(options.announcer(), announcer::Config::default());
        let never = run(&["--refresh=0s"]).expect("options").announcer();
        assert!(never.refresh.is_zero());
    }

    #[test]
    fn links_of_containers_are_excluded_and_those_of_the_machine_are_not() {
        let excluded = run(&[]).expect("options").excluded().expect("a set");
        for name in ["lo", "veth12ab", "docker0", "cali123", "kube-ipvs0", "cni0"] {
            assert!(excluded.is_match(name), "{name}");
        }
        for name in ["eth0", "enp3s0", "bond0", "br0", "vlan7", "wlan0", "lan"] {
            assert!(!excluded.is_match(name), "{name}");
        }
    }

    #[test]
    fn a_list_of_ones_own_takes_the_place_of_the_default() {
        let options = run(&["--exclude-interfaces=^mgmt,^x$"]).expect("options");
        let excluded = options.excluded().expect("a set");
        assert!(excluded.is_match("mgmt0") && excluded.is_match("x"));
        assert!(!excluded.is_match("docker0"));
    }

    /// As Kubernetes hands out a node's addresses: `status.hostIPs`.
    #[test]
    fn the_addresses_of_the_node_are_a_list() {
        let options = run(&["--node-addresses=192.0.2.5,2001:db8::5"]).expect("options");
        let addresses: Vec<IpAddr> = options.node_addresses;
        assert_eq!(addresses.len(), 2);
        assert!(run(&[]).expect("options").node_addresses.is_empty());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for wrong in [
            "--exclude-interfaces=(",
            "--frames-per-second=0",
            "--refresh=soon",
            "--node-name=",
            "--real-time=maybe",
            "--node-addresses=node-a",
            "--no-such-flag",
        ] {
            assert!(run(&[wrong]).is_err(), "{wrong}");
        }
    }
}
