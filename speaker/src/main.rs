//! `bellwether-speaker`.

use std::process::ExitCode;

use bellwether_speaker::options::{Cli, Command};
use bellwether_speaker::run::run;
use clap::Parser;

// One thread for all that is not urgent; what is has a thread of its own.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Command::Run(options) = Cli::parse().command;
    bellwether_daemon::exit::code(run(options).await)
}
