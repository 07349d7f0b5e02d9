//! A lab in which an address is announced, and watched.
//!
//! One Service, and behind it a server that no fault touches: it is on the gateway, so that what is
//! measured is the address alone. An observer asks again and again who has the address.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bellwether_core::mac::MacAddr;
use bellwether_core::moment::Moment;
use bellwether_speaker::clock;

use super::failover::observer::Observer;
use super::failover::sightings::{self, Sighting};
use super::failover::traffic::{self, Traffic};
use crate::cluster::LAN_POOL;
use crate::error::{Context, Error, Result};
use crate::lab::{Lab, LabOptions, Lifetime, Profile, wait_for};

/// How long exactly one node has to announce until it counts.
const STEADY: Duration = Duration::from_millis(500);

/// How long a takeover, or a return to health, may take before the benchmark gives up.
const LIMIT: Duration = Duration::from_mins(1);

/// The Service.
pub const SERVICE: &str = "bench";

/// What a lab to be measured is made of.
#[derive(Clone, Copy, Debug)]
pub struct Props {
    /// How many nodes there are.
    pub nodes: u8,
    /// The timers of the speakers.
    pub profile: Profile,
    /// Whether the address is an IPv6 address.
    pub ipv6: bool,
}

/// A lab in which all is ready to be measured.
pub struct Scene {
    /// The lab.
    pub lab: Lab,
    /// Its nodes.
    pub nodes: Vec<String>,
    /// The address of the Service.
    pub address: IpAddr,
    observer: Observer,
}

impl Scene {
    /// Brings it up; `say` hears of each step.
    pub async fn set(props: Props, say: impl Fn(String)) -> Result<Self> {
        let mut lab = LabOptions::named(format!("bench-{}", std::process::id()));
        lab.nodes = props.nodes;
        lab.profile = props.profile;
        let executable = std::env::current_exe().context(|| "cannot find myself".to_owned())?;
        let step = |step: &str| say(format!("bringing a lab up: {step}"));
        let lab = Lab::up(&lab, &executable, Lifetime::WithHandle, step).await?;
        let hosts = lab.topology();
        let nodes = hosts.nodes().take(props.nodes.into());
        let nodes = nodes.map(|host| host.name.clone()).collect();

        say("waiting for the address".to_owned());
        lab.apply(LAN_POOL).await?;
        lab.serve_beside(SERVICE, props.ipv6).await?;
        let address = lab.wait_addresses(SERVICE, 1).await?[0];
        lab.wait_traffic(SocketAddr::new(address, 80)).await?;
        Ok(Self {
            observer: Observer::start(&lab, address)?,
            lab,
            nodes,
            address,
        })
    }

    /// Forgets what was seen before, and watches from now on, as a client does too. Ends with
    /// [`Watch::stop`].
    pub fn watch(&self) -> Result<Watch<'_>> {
        let begin = clock::now();
        self.observer.forget(begin);
        Ok(Watch {
            scene: self,
            begin,
            traffic: Traffic::start(&self.lab, SocketAddr::new(self.address, 80))?,
        })
    }

    /// Waits until another than `from` is the only one to answer.
    pub async fn wait_takeover(&self, from: &str) -> Result<()> {
        let old = self.lab.topology().host(from)?.mac();
        let address = self.address;
        let what = format!("the takeover of {address} from {from}");
        wait_for(&what, LIMIT, async || match self.answerer() {
            Some(mac) if mac.to_string() != old => Ok(()),
            answerer => Err(format!("answers came from {answerer:?}")),
        })
        .await
    }

    /// The one station that has answered lately.
    pub fn answerer(&self) -> Option<MacAddr> {
        let since = clock::now() - STEADY;
        sightings::sole_answerer(&self.observer.since(since), since)
    }

    /// Waits until exactly one node announces, the API says so too, and nothing else is wrong.
    /// Returns the node.
    pub async fn wait_well(&self) -> Result<String> {
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

/// A client and the observer at work.
pub struct Watch<'a> {
    scene: &'a Scene,
    begin: Moment,
    traffic: Traffic,
}

impl Watch<'_> {
    /// Ends it and returns what they saw.
    pub async fn stop(self) -> Result<(traffic::Report, Vec<Sighting>)> {
        let seen = self.traffic.stop().await?;
        Ok((seen, self.scene.observer.since(self.begin)))
    }
}
