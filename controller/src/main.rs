//! `bellwether-controller`.

use std::process::ExitCode;

use bellwether_controller::explain;
use bellwether_controller::options::{Cli, Command};
use bellwether_controller::plan;
use bellwether_controller::run::run;
use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(options) => bellwether_daemon::exit::code(run(options).await),
        Command::Explain(options) => bellwether_daemon::exit::code(explain::run(options).await),
        Command::Plan(options) => match plan::run(options).await {
            Ok(true) => ExitCode::from(2),
            Ok(false) => ExitCode::SUCCESS,
            Err(error) => bellwether_daemon::exit::code(Err(error)),
        },
    }
}
