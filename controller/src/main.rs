//! `bellwether-controller`.

use std::process::ExitCode;

use bellwether_controller::explain;
use bellwether_controller::options::{Cli, Command};
use bellwether_controller::plan;
use bellwether_controller::run::run;
use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Not 2, as the parser would end: that means of a plan that something would change.
        Err(error) => {
            let is_wrong = error.use_stderr();
            let _nobody_may_listen = error.print();
            return if is_wrong {
                ExitCode::FAILURE
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    match cli.command {
        Command::Run(options) => bellwether_daemon::exit::code(run(options).await),
        Command::Explain(options) => bellwether_daemon::exit::code(explain::run(options).await),
        Command::Plan(options) => match plan::run(options).await {
            Ok(true) => ExitCode::from(2),
            Ok(false) => ExitCode::SUCCESS,
            Err(error) => bellwether_daemon::exit::code(Err(error)),
        },
    }
}
