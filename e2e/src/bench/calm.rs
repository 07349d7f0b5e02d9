//! Nothing is wrong, for a long time: nothing may move, and no datagram may be lost.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tokio::time::Instant;

use super::failover::outcome::{HEADER, Outcome};
use super::scene::{Props, Scene};
use super::{Minutes, json};
use crate::error::Result;
use crate::lab::Profile;

/// Client and observer are begun anew this often, so that what they saw stays small.
const SLICE: Duration = Duration::from_mins(1);

/// How often the speakers are asked how late they are.
const SAMPLE: Duration = Duration::from_secs(5);

/// How long to watch, and what.
#[derive(Clone, Debug, Args)]
pub struct Options {
    #[command(flatten)]
    minutes: Minutes,

    /// The timers of the speakers
    #[arg(long, value_enum, default_value = "default")]
    profile: Profile,

    /// How many nodes there are
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=20))]
    nodes: u8,
}

/// What it came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct Summary {
    minutes: f64,
    profile: &'static str,
    /// Changes of the announcer that were seen, or claims that were made, whichever are more.
    moves: u64,
    lost_probes: u64,
    connections_failed: u64,
    long_broken: u64,
    unanswered: u64,
    answered_twice: usize,
    overlap_ms_max: f64,
    /// The most that a speaker said that it is late at times: of 1,000 beacons 999 were less late.
    beacon_lateness_ms_max: f64,
    beacons_rejected: u64,
}

impl Summary {
    fn add(&mut self, seen: &Outcome) {
        self.moves += seen.moves as u64 + u64::from(seen.from != seen.to);
        self.lost_probes += seen.lost_probes;
        self.connections_failed += seen.connections_failed;
        self.long_broken += seen.long_broken;
        self.unanswered += seen.unanswered;
        self.answered_twice += seen.answered_twice;
        self.overlap_ms_max = self.overlap_ms_max.max(seen.overlap_ms);
    }
}

/// Measures it.
pub async fn run(options: &Options) -> Result<()> {
    let props = Props {
        nodes: options.nodes,
        profile: options.profile,
        ipv6: false,
    };
    let scene = Scene::set(props, |_| {}).await?;
    let mut from = scene.wait_well().await?;
    let before = Counted::of(&scene).await?;
    let mut summary = Summary {
        minutes: options.minutes.minutes,
        profile: options.profile.name(),
        ..Summary::default()
    };
    println!("{HEADER}");
    let end = Instant::now() + options.minutes.duration();
    for number in 1.. {
        let (seen, late) = slice(&scene, number, &from, end).await?;
        println!("{}", seen.row());
        summary.add(&seen);
        summary.beacon_lateness_ms_max = summary.beacon_lateness_ms_max.max(late);
        from = seen.to;
        if Instant::now() >= end {
            break;
        }
    }
    let after = Counted::of(&scene).await?;
    summary.moves = summary.moves.max(after.claims - before.claims);
    summary.beacons_rejected = after.rejected - before.rejected;
    println!("{}", json(&summary)?);
    Ok(())
}

/// A minute at most. Returns what was seen, and how late speakers were, in milliseconds.
async fn slice(scene: &Scene, number: u32, from: &str, end: Instant) -> Result<(Outcome, f64)> {
    let watch = scene.watch()?;
    let over = end.min(Instant::now() + SLICE);
    let mut late: f64 = 0.0;
    while Instant::now() < over {
        tokio::time::sleep_until(over.min(Instant::now() + SAMPLE)).await;
        late = late.max(lateness(scene).await?);
    }
    let (seen, sightings) = watch.stop().await?;
    let nodes = [from.to_owned(), scene.wait_well().await?];
    let detail = format!("late: {late:.1} ms");
    Ok((Outcome::new(number, nodes, detail, &seen, &sightings), late))
}

/// How late any speaker says that it is at times, in milliseconds.
async fn lateness(scene: &Scene) -> Result<f64> {
    let mut most: f64 = 0.0;
    for node in &scene.nodes {
        let metrics = scene.lab.speaker_metrics(node).await?;
        let late = metrics.of("bellwether_speaker_peer_lateness_seconds");
        most = late.fold(most, f64::max);
    }
    Ok(most * 1000.0)
}

/// What all speakers together have counted.
struct Counted {
    claims: u64,
    rejected: u64,
}

impl Counted {
    async fn of(scene: &Scene) -> Result<Self> {
        let (mut claims, mut rejected) = (0, 0);
        for node in &scene.nodes {
            let metrics = scene.lab.speaker_metrics(node).await?;
            claims += metrics.count("bellwether_speaker_claims_total");
            rejected += metrics.count("bellwether_speaker_beacons_rejected_total");
        }
        Ok(Self { claims, rejected })
    }
}
