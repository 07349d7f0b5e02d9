//! The command line of the speaker.

use std::net::SocketAddr;
use std::time::Duration;

use bellwether_core::pool::parse_duration;
use bellwether_daemon::client::ClientOptions;
use bellwether_daemon::telemetry::LogOptions;
use clap::{Args, Parser, Subcommand};

/// Links that are the node's own affair or its pods': no client is on them.
const NOT_THE_LAN: &str = "^lo$,^docker.*,^cbr.*,^dummy.*,^virbr.*,^lxcbr.*,^veth.*,^cali.*,^tunl.*,\
                           ^flannel.*,^kube-ipvs.*,^cni.*,^nodelocaldns.*,^lxc.*,^cilium.*";

/// Announces addresses on the local network by ARP and NDP. Runs on every node.
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
    /// Run as the speaker of a node; needs the capability `NET_RAW` in the node's network
    Run(RunOptions),
}

/// How a speaker runs.
#[derive(Debug, Args)]
pub struct RunOptions {
    /// The node that it runs on, as Kubernetes calls it
    #[arg(long, env = "BELLWETHER_NODE_NAME", value_name = "NAME")]
    pub node_name: String,

    /// Links on which nothing is announced: regular expressions with commas between
    #[arg(
        long, env = "BELLWETHER_EXCLUDE_INTERFACES", value_name = "REGEX,…",
        value_delimiter = ',', default_value = NOT_THE_LAN, help_heading = "Announcing"
    )]
    pub exclude_interfaces: Vec<String>,

    /// How often an address is announced again at rest, on average; 0s is never
    #[arg(
        long, env = "BELLWETHER_REFRESH", value_name = "DURATION", default_value = "1m",
        value_parser = parse_duration, help_heading = "Announcing"
    )]
    pub refresh: Duration,

    /// How many announcements go out per second at most, in the long run
    #[arg(
        long, env = "BELLWETHER_FRAMES_PER_SECOND", value_name = "N", default_value_t = 20_000,
        value_parser = clap::value_parser!(u32).range(1..), help_heading = "Announcing"
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

    /// Where to serve /metrics; port 0 lets the system choose
    #[arg(
        long,
        env = "BELLWETHER_METRICS_ADDRESS",
        value_name = "ADDRESS:PORT",
        default_value = "0.0.0.0:7472",
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
