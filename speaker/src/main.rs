//! `bellwether-speaker`.

use std::process::ExitCode;

use bellwether_speaker::options::{Cli, Command};
use bellwether_speaker::run::run;
use bellwether_speaker::status::show;
use bellwether_speaker::trace::record;
use clap::Parser;

// One thread for all that is not urgent; what is has a thread of its own.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(options) => bellwether_daemon::exit::code(run(*options).await),
        Command::Status(options) => bellwether_daemon::exit::code(show(&options).await),
        Command::Trace(options) => bellwether_daemon::exit::code(record(&options).await),
    }
}
