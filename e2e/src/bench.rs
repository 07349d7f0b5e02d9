//! Benchmarks: what `bellwether-lab bench` measures, each in a lab of its own.

use clap::Subcommand;

use crate::error::{Error, Result};

pub mod allocate;
pub mod calm;
pub mod failover;
pub mod outage;
pub mod scene;
pub mod sizes;

/// What is measured.
#[derive(Clone, Debug, Subcommand)]
pub enum Bench {
    /// How long clients of an address are without it when something happens to the node that
    /// announces it
    Failover(failover::Options),
    /// How long a Service waits for its address, and what that costs the API server
    Allocate(allocate::Options),
    /// Whether anything moves while nothing is wrong
    Calm(calm::Options),
    /// Whether addresses follow their nodes while the API server and the controller are away, and how
    /// soon the API tells the truth after they are back
    Outage(outage::Options),
    /// How much memory the pods of the product take when nothing happens
    Sizes(sizes::Options),
}

impl Bench {
    /// Measures it. Ctrl-C ends it, and leaves nothing.
    pub async fn run(self) -> Result<()> {
        let measure = async {
            match self {
                Self::Failover(options) => failover::run(&options).await,
                Self::Allocate(options) => allocate::run(&options).await,
                Self::Calm(options) => calm::run(&options).await,
                Self::Outage(options) => outage::run(&options).await,
                Self::Sizes(options) => sizes::run(&options).await,
            }
        };
        tokio::select! {
            result = measure => result,
            _ = tokio::signal::ctrl_c() => Err(Error::Unexpected("interrupted".to_owned())),
        }
    }
}

/// For how long something goes on.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Minutes {
    /// For how many minutes, such as 30 or 0.5
    #[arg(long, value_name = "MINUTES", default_value_t = 10.0, value_parser = minutes)]
    minutes: f64,
}

fn minutes(text: &str) -> Result<f64, &'static str> {
    match text.parse() {
        Ok(minutes) if (0.1..=10_000.0).contains(&minutes) => Ok(minutes),
        _ => Err("a number from 0.1 to 10000"),
    }
}

impl Minutes {
    fn duration(self) -> std::time::Duration {
        std::time::Duration::from_secs_f64(self.minutes * 60.0)
    }
}

/// The last line of each benchmark is this.
fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::Unexpected(error.to_string()))
}
