//! How long clients are without an address when something happens to the node that announces it.
//!
//! In each run, in a lab of its own ([`super::scene`]),
//!
//! 1. exactly one node announces, and everything is well;
//! 2. the client begins to talk ([`traffic`]), while the observer asks who has the address
//!    ([`observer`]);
//! 3. something happens to the node that announces ([`strike`]);
//! 4. where another node has to take over, it does; what happened is undone;
//! 5. exactly one node announces again, and everything is well; for a while nothing moves.
//!
//! What the client and the observer saw from 2 to 5 is the [`outcome`].

use std::time::Duration;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{Interval, MissedTickBehavior};

use super::json;
use super::scene::{Props, Scene};
use crate::error::{Error, Result};
use crate::lab::Profile;

pub mod observer;
pub mod outcome;
pub mod sightings;
pub mod strike;
pub mod traffic;

use outcome::{HEADER, Outcome, Summary};
use strike::{Kind, Strike, Then};

/// How long everything goes on before something happens.
const BEFORE: Duration = Duration::from_millis(500);

/// From the beginning of a run to that of the next at least: more than three moves of an address in
/// 15 s are flapping, after which speakers take more time (R13).
const PACE: Duration = Duration::from_secs(6);

/// How long nothing may move after all is well again.
const AFTER: Duration = Duration::from_secs(1);

/// What to measure, and how often.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// How many times for each fault
    #[arg(long, value_name = "N", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,

    /// What happens to the node that announces; several, separated by commas, are measured one after
    /// another in one lab
    #[arg(long, value_enum, default_value = "crash", value_delimiter = ',')]
    fault: Vec<Kind>,

    /// The timers of the speakers
    #[arg(long, value_enum, default_value = "default")]
    profile: Profile,

    /// How many nodes there are
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=20))]
    nodes: u8,

    /// Measure an IPv6 address
    #[arg(long)]
    ipv6: bool,

    /// How to print it; in either case the last line of each fault is JSON
    #[arg(long, value_enum, default_value = "table")]
    output: Output,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    Table,
    /// A line of JSON for each run.
    Json,
}

/// Measures it.
pub async fn run(options: &Options) -> Result<()> {
    let bar = progress(options);
    let props = Props {
        nodes: options.nodes,
        profile: options.profile,
        ipv6: options.ipv6,
    };
    let scene = Scene::set(props, |step| bar.set_message(step)).await?;
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for &fault in &options.fault {
        measure(&scene, options, fault, &mut pace, &bar).await?;
    }
    bar.finish_and_clear();
    Ok(())
}

/// Measures one fault.
async fn measure(
    scene: &Scene,
    options: &Options,
    fault: Kind,
    pace: &mut Interval,
    bar: &ProgressBar,
) -> Result<()> {
    if options.output == Output::Table {
        bar.suspend(|| println!("{HEADER}"));
    }
    let mut outcomes = Vec::new();
    for number in 1..=options.runs {
        pace.tick().await;
        let outcome = once(scene, fault, number, bar)
            .await
            .map_err(|error| Error::Unexpected(format!("in run {number}: {error}")))?;
        let line = match options.output {
            Output::Table => outcome.row(),
            Output::Json => json(&outcome)?,
        };
        bar.suspend(|| println!("{line}"));
        bar.inc(1);
        outcomes.push(outcome);
    }
    let summary = Summary::of(fault, options.profile.name(), &outcomes);
    let line = json(&summary)?;
    bar.suspend(|| {
        if options.output == Output::Table {
            println!("\n{}", summary.table());
        }
        println!("{line}");
    });
    Ok(())
}

/// On standard error, and only if that is a terminal.
fn progress(options: &Options) -> ProgressBar {
    let faults = u64::try_from(options.fault.len()).unwrap_or(u64::MAX);
    let bar = ProgressBar::new(u64::from(options.runs).saturating_mul(faults));
    let template = "{bar:20} {pos}/{len} runs, {elapsed}: {msg}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// One run.
async fn once(scene: &Scene, kind: Kind, number: u32, bar: &ProgressBar) -> Result<Outcome> {
    bar.set_message("waiting until all is well");
    let from = scene.wait_well().await?;
    let strike = Strike::draw(kind, &from, &scene.nodes, number);
    let watch = scene.watch()?;
    tokio::time::sleep(BEFORE + strike.phase).await;

    bar.set_message(format!("{kind:?} of {from} {}", strike.detail()));
    if strike.strike(&scene.lab).await? == Then::Takeover {
        scene.wait_takeover(&from).await?;
    }
    strike.heal(&scene.lab).await?;

    bar.set_message("waiting until all is well again");
    scene.wait_well().await?;
    tokio::time::sleep(AFTER).await;
    let to = scene.wait_well().await?;
    let (seen, sightings) = watch.stop().await?;
    Ok(Outcome::new(
        number,
        [from, to],
        strike.detail(),
        &seen,
        &sightings,
    ))
}
