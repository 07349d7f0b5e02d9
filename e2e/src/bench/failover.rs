//! How long clients are without an address when something happens to the node that announces it.
//!
//! A lab of its own, with the product in it, one Service, and behind it a server that no fault
//! touches: it is on the gateway, so that what is measured is the address alone. In each run
//!
//! 1. exactly one node announces, and everything is well;
//! 2. the client begins to talk ([`traffic`]), while the observer asks who has the address
//!    ([`observer`]);
//! 3. something happens to the node that announces ([`strike`]);
//! 4. where another node has to take over, it does; what happened is undone;
//! 5. exactly one node announces again, and everything is well; for a while nothing moves.
//!
//! What the client and the observer saw from 2 to 5 is the [`outcome`].

use std::net::{IpAddr, SocketAddr};
use std::process::Stdio;
use std::time::Duration;

use bellwether_core::mac::MacAddr;
use bellwether_core::moment::Moment;
use bellwether_speaker::clock;
use clap::{Args, Parser, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use crate::cluster::LAN_POOL;
use crate::error::{Context, Error, Result};
use crate::lab::{Lab, LabOptions, Lifetime, Profile, wait_for};

pub mod observer;
pub mod outcome;
pub mod sightings;
pub mod strike;
pub mod traffic;

use observer::Observer;
use outcome::{HEADER, Outcome, Summary};
use strike::{Kind, Strike, Then};
use traffic::Traffic;

/// How long everything goes on before something happens.
const BEFORE: Duration = Duration::from_millis(500);

/// How long exactly one node has to announce until it counts.
const STEADY: Duration = Duration::from_millis(500);

/// How long nothing may move after all is well again.
const AFTER: Duration = Duration::from_secs(1);

/// How long a takeover, or a return to health, may take before the benchmark gives up.
const LIMIT: Duration = Duration::from_mins(1);

/// The port of the server behind the Service.
const BACKEND: u16 = 9000;

/// What to measure, and how often.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// How many times
    #[arg(long, value_name = "N", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,

    /// What happens to the node that announces
    #[arg(long, value_enum, default_value = "crash")]
    fault: Kind,

    /// The timers of the speakers
    #[arg(long, value_enum, default_value = "default")]
    profile: Profile,

    /// How many nodes there are
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=20))]
    nodes: u8,

    /// Measure an IPv6 address
    #[arg(long)]
    ipv6: bool,

    /// How to print it; in either case the last line is JSON
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

/// Measures it. Ctrl-C ends it, and leaves nothing.
pub async fn run(options: Options) -> Result<()> {
    tokio::select! {
        result = measure(&options) => result,
        _ = tokio::signal::ctrl_c() => Err(Error::Unexpected("interrupted".to_owned())),
    }
}

async fn measure(options: &Options) -> Result<()> {
    let bar = progress(options);
    let scene = Scene::set(options, &bar).await?;
    if options.output == Output::Table {
        bar.suspend(|| println!("{HEADER}"));
    }
    let mut outcomes = Vec::new();
    for number in 1..=options.runs {
        let outcome = scene.run(number, &bar).await?;
        let line = match options.output {
            Output::Table => outcome.row(),
            Output::Json => json(&outcome)?,
        };
        bar.suspend(|| println!("{line}"));
        bar.inc(1);
        outcomes.push(outcome);
    }
    bar.finish_and_clear();
    let profile = options.profile.name();
    let summary = Summary::of(options.fault, profile, &outcomes);
    if options.output == Output::Table {
        println!("\n{}", summary.table());
    }
    println!("{}", json(&summary)?);
    Ok(())
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::Unexpected(error.to_string()))
}

/// On standard error, and only if that is a terminal.
fn progress(options: &Options) -> ProgressBar {
    let bar = ProgressBar::new(options.runs.into());
    let template = "{bar:20} {pos}/{len} runs, {elapsed}: {msg}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// A lab in which all is ready to be measured.
struct Scene {
    lab: Lab,
    kind: Kind,
    nodes: Vec<String>,
    address: IpAddr,
    observer: Observer,
}

impl Scene {
    async fn set(options: &Options, bar: &ProgressBar) -> Result<Self> {
        #[derive(Parser)]
        struct Defaults {
            #[command(flatten)]
            options: LabOptions,
        }
        let Defaults { options: mut lab } = Defaults::parse_from(["bench"]);
        lab.name = format!("bench-{}", std::process::id());
        lab.nodes = options.nodes;
        lab.profile = options.profile;
        let executable = std::env::current_exe().context(|| "cannot find myself".to_owned())?;
        let step = |step: &str| bar.set_message(format!("bringing a lab up: {step}"));
        let lab = Lab::up(&lab, &executable, Lifetime::WithHandle, step).await?;
        let hosts = lab.topology();
        let nodes = hosts.nodes().take(options.nodes.into());
        let nodes = nodes.map(|host| host.name.clone()).collect();

        bar.set_message("waiting for the address");
        let server = hosts.host("gateway")?;
        let backend = if options.ipv6 {
            IpAddr::from(server.ipv6())
        } else {
            server.ipv4().into()
        };
        lab.command("gateway", &executable)
            .args(["pod", "--name=server", "--address", &backend.to_string()])
            .arg(format!("--port={BACKEND}"))
            .stdin(Stdio::null())
            // The lab ends it.
            .kill_on_drop(false)
            .spawn()
            .context(|| "cannot start the server".to_owned())?;
        lab.apply(LAN_POOL).await?;
        lab.apply(&service(backend)).await?;
        let address = lab.wait_addresses("bench", 1).await?[0];
        lab.wait_traffic(SocketAddr::new(address, 80)).await?;
        Ok(Self {
            observer: Observer::start(&lab, address)?,
            lab,
            kind: options.fault,
            nodes,
            address,
        })
    }

    async fn run(&self, number: u32, bar: &ProgressBar) -> Result<Outcome> {
        bar.set_message("waiting until all is well");
        let from = self.wait_well().await?;
        let begin = clock::now();
        self.observer.forget(begin);
        let strike = Strike::draw(self.kind, &from, &self.nodes, number);
        let traffic = Traffic::start(&self.lab, SocketAddr::new(self.address, 80))?;
        tokio::time::sleep(BEFORE + strike.phase).await;

        bar.set_message(format!("{:?} of {from} {}", self.kind, strike.detail()));
        if strike.strike(&self.lab).await? == Then::Takeover {
            self.wait_takeover(number, &from).await?;
        }
        strike.heal(&self.lab).await?;

        bar.set_message("waiting until all is well again");
        self.wait_well().await?;
        tokio::time::sleep(AFTER).await;
        let to = self.wait_well().await?;
        let seen = traffic.stop().await?;
        let sightings = self.observer.since(begin);
        Ok(Outcome::new(
            number,
            [from, to],
            strike.detail(),
            &seen,
            &sightings,
        ))
    }

    /// Waits until another than `from` is the only one to answer.
    async fn wait_takeover(&self, number: u32, from: &str) -> Result<()> {
        let old = self.lab.topology().host(from)?.mac();
        let address = self.address;
        let what = format!("in run {number} the takeover of {address} from {from}");
        wait_for(&what, LIMIT, async || match self.answerer() {
            Some(mac) if mac.to_string() != old => Ok(()),
            answerer => Err(format!("answers came from {answerer:?}")),
        })
        .await
    }

    /// The one station that has answered lately.
    fn answerer(&self) -> Option<MacAddr> {
        let since = clock::now() - STEADY;
        sightings::sole_answerer(&self.observer.since(since), since)
    }

    /// Waits until exactly one node announces, the API says so too, and nothing else is wrong.
    /// Returns the node.
    async fn wait_well(&self) -> Result<String> {
        let what = format!(
            "exactly one of all healthy nodes announcing {}",
            self.address
        );
        let since = clock::now();
        wait_for(&what, LIMIT, async || self.well(since).await).await
    }

    async fn well(&self, since: Moment) -> Result<String, String> {
        let text = |error: Error| error.to_string();
        // What came before does not count.
        if clock::now().since(since) < STEADY {
            return Err("not long enough".to_owned());
        }
        let mac = self.answerer().ok_or("nobody answers, or several do")?;
        let mac = mac.to_string();
        let hosts = self.lab.topology();
        let node = hosts.nodes().find(|host| host.mac() == mac);
        let node = node.ok_or_else(|| format!("a stranger answers: {mac}"))?;
        let announcer = self.lab.announcer(self.address).await.map_err(text)?;
        if announcer.as_deref() != Some(&node.name) {
            return Err(format!(
                "{} answers, and the API says {announcer:?}",
                node.name
            ));
        }
        let status = self.lab.status().await.map_err(text)?;
        if let Some(dead) = status.programs.iter().find(|program| !program.alive) {
            return Err(format!("{} has ended", dead.name));
        }
        for node in &self.nodes {
            let speaker = self.lab.speaker(node).await.map_err(text)?;
            if !speaker.spec.eligible {
                return Err(format!("{node} is not eligible: {:?}", speaker.spec.reason));
            }
            self.lab.check_speaker(node).await.map_err(text)?;
        }
        Ok(node.name.clone())
    }
}

/// A Service whose only endpoint is at `backend`, which is no pod.
fn service(backend: IpAddr) -> String {
    let family = if backend.is_ipv4() { "IPv4" } else { "IPv6" };
    format!(
        "apiVersion: v1
kind: Service
metadata: {{name: bench}}
spec:
  type: LoadBalancer
  ipFamilies: [{family}]
  ipFamilyPolicy: SingleStack
  ports:
  - {{name: tcp, port: 80, targetPort: {BACKEND}}}
  - {{name: udp, port: 80, targetPort: {BACKEND}, protocol: UDP}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: bench-server, labels: {{kubernetes.io/service-name: bench}}}}
addressType: {family}
ports:
- {{name: tcp, port: {BACKEND}}}
- {{name: udp, port: {BACKEND}, protocol: UDP}}
endpoints:
- {{addresses: ['{backend}'], conditions: {{ready: true}}}}
"
    )
}
