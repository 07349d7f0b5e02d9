//! How long a Service waits for its address, and what that costs the API server.
//!
//! A lab of its own with one node and one controller. What is measured is done from within the lab
//! ([`measure()`]), on the shortest way to the API server, because the controller has it too. The
//! same client first does by itself what the controller has to do ([`writes`]): no controller can be
//! quicker than these writes. Figures of speed are of Services that nobody announces, so that
//! speakers do not write at the same time; what is written per Service is counted of some that are.

use std::process::Stdio;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

mod measure;
mod watching;
mod writes;

pub use measure::{Orders, measure};

use super::json;
use crate::error::{Context, Error, Result};
use crate::lab::{Lab, LabOptions, Lifetime};
use crate::process::stdout_of;

/// What to measure.
///
/// Figures count only with release builds of the daemons and of the lab, which take minutes to
/// build: cargo build --release --bins; target/release/bellwether-lab bench allocate. Other daemons
/// than those beside the lab are named in `BELLWETHER_BIN`. 10,000 Services take many minutes,
/// because the API server itself becomes slow.
#[derive(Clone, Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Options {
    /// How many Services there are: waiting at the start, and existing at the restart
    #[arg(long, value_name = "N", default_value_t = 1000)]
    #[arg(value_parser = clap::value_parser!(u32).range(10..=20_000))]
    services: u32,

    /// How to print it
    #[arg(long, value_enum, default_value = "table")]
    output: Output,
}

/// What was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// How many Services there were.
    pub services: u32,
    /// POST of a Service, create of its Announcement and PATCH of its status, one after the other,
    /// by the benchmark's own client.
    pub api_p50_ms: f64,
    /// The same of the slowest in a hundred, which a busy disk makes slow too.
    pub api_p99_ms: f64,
    /// From the POST of a Service to its address, one Service at a time: half do not exceed it.
    pub p50_ms: f64,
    /// The same, which 99 of 100 do not exceed.
    pub p99_ms: f64,
    /// `p50_ms` beyond `api_p50_ms`.
    pub over_api_p50_ms: f64,
    /// `p99_ms` beyond `api_p99_ms`: what slows one write in a hundred slows those of both.
    pub over_api_p99_ms: f64,
    /// From the start of the controller until the last of the waiting Services has its address.
    pub cold_s: f64,
    /// The benchmark's own client, for as many Announcements and statuses, with as many in flight.
    pub own_s: f64,
    /// `cold_s` / `own_s`.
    pub cold_over_api: f64,
    /// From accepted to address in a burst: half do not exceed it.
    pub burst_lag_p50_ms: f64,
    /// The same, which 99 of 100 do not exceed.
    pub burst_lag_p99_ms: f64,
    /// From the start of the controller, with all Services existing, until a new one has its
    /// address.
    pub restart_ms: f64,
    /// The resident memory of the controller with all Services, the larger of before and after its
    /// restart.
    pub rss_mib: f64,
    /// Writes of the Service and its Announcement until it is announced, the speaker's included.
    pub writes_per_service: f64,
    /// Those of the controller alone.
    pub controller_writes_per_service: f64,
    /// Events beside them.
    pub events_per_service: f64,
    /// All writes when one of the Services is deleted.
    pub writes_per_delete: usize,
    /// Writes at the restart of what had not changed.
    pub writes_at_restart: usize,
    /// All writes in ten seconds in which nothing happens.
    pub writes_at_rest: usize,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    Table,
    /// A line of JSON.
    Json,
}

/// Measures it.
pub async fn run(options: &Options) -> Result<()> {
    let figures = in_lab(options).await?;
    match options.output {
        Output::Json => println!("{}", json(&figures)?),
        Output::Table => print!("{}", figures.table()),
    }
    Ok(())
}

async fn in_lab(options: &Options) -> Result<Figures> {
    let mut lab = LabOptions::named(format!("bench-{}", std::process::id()));
    lab.nodes = 1;
    lab.controllers = 1;
    let executable = std::env::current_exe().context(|| "cannot find myself".to_owned())?;
    let say = |step: &str| eprintln!("bringing a lab up: {step}");
    let lab = Lab::up(&lab, &executable, Lifetime::WithHandle, say).await?;
    let orders = Orders {
        folder: lab.folder().path().to_owned(),
        services: options.services,
    };
    let output = lab
        .command("control-plane", &executable)
        .args(["measure-allocation", &json(&orders)?])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .await
        .context(|| "cannot measure".to_owned())?;
    let printed = stdout_of("measure-allocation", &output)?;
    serde_json::from_str(&printed).map_err(|error| Error::Unexpected(error.to_string()))
}

impl Figures {
    fn table(&self) -> String {
        let rows = [
            (
                "the API's own cost of a Service, p50",
                self.api_p50_ms,
                "ms",
            ),
            (
                "the API's own cost of a Service, p99",
                self.api_p99_ms,
                "ms",
            ),
            ("one by one: address after, p50", self.p50_ms, "ms"),
            ("one by one: address after, p99", self.p99_ms, "ms"),
            (
                "  beyond the API's own cost, p50",
                self.over_api_p50_ms,
                "ms",
            ),
            (
                "  beyond the API's own cost, p99",
                self.over_api_p99_ms,
                "ms",
            ),
            ("cold: the last has its address after", self.cold_s, "s"),
            ("  the same writes by the benchmark", self.own_s, "s"),
            ("  times that", self.cold_over_api, ""),
            (
                "burst: accepted to address, p50",
                self.burst_lag_p50_ms,
                "ms",
            ),
            (
                "burst: accepted to address, p99",
                self.burst_lag_p99_ms,
                "ms",
            ),
            ("restart: a new one served after", self.restart_ms, "ms"),
            ("memory of the controller", self.rss_mib, "MiB"),
            ("writes per announced Service", self.writes_per_service, ""),
            (
                "  by the controller",
                self.controller_writes_per_service,
                "",
            ),
            ("  events beside them", self.events_per_service, ""),
        ];
        let counts = [
            ("writes when one is deleted", self.writes_per_delete),
            (
                "writes at a restart, of the unchanged",
                self.writes_at_restart,
            ),
            ("writes in ten seconds of rest", self.writes_at_rest),
        ];
        let row = |(what, value, unit): (&str, f64, &str)| {
            format!("{what:40} {value:>10.2} {unit}")
                .trim_end()
                .to_owned()
                + "\n"
        };
        let count = |(what, value): (&str, usize)| format!("{what:40} {value:>10}\n");
        let head = format!("{} Services\n", self.services);
        head + &rows.into_iter().map(row).collect::<String>()
            + &counts.into_iter().map(count).collect::<String>()
    }
}
