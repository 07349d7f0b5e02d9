//! Benchmarks: what `bellwether-lab bench` measures, each in a lab of its own.

use clap::Subcommand;

use crate::error::Result;

pub mod failover;

/// What is measured.
#[derive(Clone, Debug, Subcommand)]
pub enum Bench {
    /// How long clients of an address are without it when something happens to the node that
    /// announces it
    Failover(failover::Options),
}

impl Bench {
    /// Measures it.
    pub async fn run(self) -> Result<()> {
        match self {
            Self::Failover(options) => failover::run(options).await,
        }
    }
}
