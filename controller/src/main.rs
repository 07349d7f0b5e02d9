//! `bellwether-controller`.

use std::process::ExitCode;

use bellwether_controller::options::{Cli, Command};
use bellwether_controller::run::run;
use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    let Command::Run(options) = Cli::parse().command;
    bellwether_daemon::exit::code(run(options).await)
}
