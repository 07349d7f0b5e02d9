//! The command line of the controller.

use std::net::SocketAddr;

use bellwether_crds::NAMESPACE;
use bellwether_daemon::client::ClientOptions;
use bellwether_daemon::telemetry::LogOptions;
use clap::{Args, Parser, Subcommand};

use crate::explain::ExplainOptions;
use crate::plan::PlanOptions;
use crate::state::Settings;

/// Gives Services of type LoadBalancer their addresses, and decides which nodes may announce them.
#[derive(Debug, Parser)]
#[command(name = "bellwether-controller", version = bellwether_daemon::VERSION)]
#[command(arg_required_else_help = true, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run as a replica of the controller; the one that holds the Lease works, the others wait
    Run(RunOptions),
    /// Say why something is as it is
    Explain(ExplainOptions),
    /// Say what would change if pools and advertisements were applied
    Plan(PlanOptions),
}

/// How a replica runs.
#[derive(Debug, Args)]
pub struct RunOptions {
    /// Which Services.
    #[command(flatten)]
    pub class: ClassOptions,

    /// Let cordoned nodes announce addresses
    #[arg(long, env = "BELLWETHER_CORDONED_MAY_ANNOUNCE")]
    pub cordoned_may_announce: bool,

    /// How many writes to the API server may be under way at once
    #[arg(
        long, env = "BELLWETHER_WRITERS", value_name = "N", default_value_t = 32,
        value_parser = clap::value_parser!(u16).range(1..=1000)
    )]
    pub writers: u16,

    /// Where to serve /healthz, /readyz and /log-level; port 0 lets the system choose
    #[arg(
        long,
        env = "BELLWETHER_HEALTH_ADDRESS",
        value_name = "ADDRESS:PORT",
        default_value = "[::]:7471",
        help_heading = "Listening"
    )]
    pub health_address: SocketAddr,

    /// Where to serve /metrics; port 0 lets the system choose
    #[arg(
        long,
        env = "BELLWETHER_METRICS_ADDRESS",
        value_name = "ADDRESS:PORT",
        default_value = "[::]:7470",
        help_heading = "Listening"
    )]
    pub metrics_address: SocketAddr,

    /// The namespace of the Lease by which replicas agree which one works, and of the Secret with
    /// the speakers' keys
    #[arg(
        long, env = "BELLWETHER_NAMESPACE", value_name = "NAMESPACE", default_value = NAMESPACE,
        help_heading = "Replicas"
    )]
    pub namespace: String,

    /// What this replica calls itself in the Lease; must differ between replicas
    #[arg(
        long,
        env = "BELLWETHER_IDENTITY",
        value_name = "NAME",
        help_heading = "Replicas"
    )]
    pub identity: Option<String>,

    /// Which API server.
    #[command(flatten)]
    pub client: ClientOptions,

    /// How to log.
    #[command(flatten)]
    pub log: LogOptions,
}

/// Which Services are served.
#[derive(Clone, Debug, Args)]
pub struct ClassOptions {
    /// The spec.loadBalancerClass of the Services that are served; without it, those without one
    #[arg(long, env = "BELLWETHER_LOAD_BALANCER_CLASS", value_name = "CLASS")]
    pub load_balancer_class: Option<String>,

    /// The class is the default one: Services without a class are served too
    #[arg(
        long,
        env = "BELLWETHER_DEFAULT_CLASS",
        requires = "load_balancer_class"
    )]
    pub default_class: bool,
}

impl ClassOptions {
    /// The settings that say so, and nothing else.
    #[must_use]
    pub fn settings(self) -> Settings {
        Settings {
            class: self.load_balancer_class,
            is_default_class: self.default_class,
            ..Settings::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_help_of_what_people_ask_fits_a_hundred_columns_and_names_the_exit_codes() {
        let mut cli = Cli::command();
        cli.build();
        for words in [&["plan"][..], &["explain", "service"]] {
            let command = words.iter().fold(&mut cli, |command, word| {
                command.find_subcommand_mut(word).expect("a subcommand")
            });
            let help = command.render_long_help().to_string();
            let fits = |line: &str| line.chars().count() <= 100;
            assert!(help.lines().all(fits), "{help}");
            assert!(help.contains("Exit codes: 0 "), "{help}");
        }
    }
}
