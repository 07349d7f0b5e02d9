//! What happens to the node that announces, and how it is undone.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use bellwether_core::frame::beacon;
use clap::ValueEnum;
use serde::Serialize;

use crate::control::Action;
use crate::error::Result;
use crate::fault::{Direction, EtherType, Fault, Network};
use crate::lab::{Lab, wait_for};

/// What happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ValueEnum)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// It loses power: everything on it ends, and both its cables are dead
    Crash,
    /// Its speaker is killed (SIGKILL)
    Kill,
    /// Its speaker is stopped where it is (SIGSTOP) for 50 ms to 10 s
    Pause,
    /// Its cable to the LAN is cut
    Cut,
    /// Its speaker ends in order (SIGTERM) and is started again
    Restart,
    /// The speakers of all nodes are restarted, one after another
    Rolling,
    /// It is cordoned, and labelled to take no traffic from outside
    Drain,
    /// It is labelled to take no traffic from outside
    Exclude,
    /// Nothing that it sends on the LAN arrives
    Mute,
    /// Nothing that is sent to it on the LAN arrives
    Deaf,
    /// The nodes fall apart into two halves that do not hear each other's beacons; all else passes
    Filter,
    /// The LAN falls apart into two halves, and comes together again
    Split,
}

/// What decides how a run goes on after the strike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Another node has to take over.
    Takeover,
    /// It is over; nothing has to move.
    Over,
}

/// The shortest pause.
const SHORTEST: Duration = Duration::from_millis(50);

/// How many times longer the longest is.
const PAUSES: f64 = 200.0;

/// How long a split lasts after whoever is cut off from the client has been replaced: enough for the
/// far half to elect one of its own.
const APART: Duration = Duration::from_secs(3);

/// How long a node stays mute or deaf after it was replaced, and for how long beacons are filtered:
/// several times what it takes to find out.
const IMPAIRED: Duration = Duration::from_secs(2);

/// How long a speaker may take until it is ready.
const READY: Duration = Duration::from_secs(15);

/// The label by which a user takes a node out of service.
const EXCLUDE: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

/// One strike, with all that chance has to decide.
#[derive(Clone, Debug)]
pub struct Strike {
    kind: Kind,
    owner: String,
    nodes: Vec<String>,
    pause: Duration,
    far: Vec<String>,
    /// How long after the traffic has begun it comes, beyond what all wait: so that it meets
    /// beacons and refreshes at any time between two of them.
    pub phase: Duration,
}

impl Strike {
    /// The strike of run `number` at `owner`, one of `nodes`. The same run draws the same lots each
    /// time, so that two benchmarks can be compared.
    #[must_use]
    pub fn draw(kind: Kind, owner: &str, nodes: &[String], number: u32) -> Self {
        let lot = |what, lots| draw(kind, number, what, lots);
        // Uniform in its logarithm: as many pauses from 50 to 500 ms as from 0.5 to 5 s.
        let power = f64::from(lot("pause", 1001)) / 1000.0;
        // Of all ways to choose from the nodes, without none of them and all of them.
        let ways = 1_u32 << nodes.len().min(20);
        let chosen = 1 + lot("half", ways.saturating_sub(2).max(1));
        Self {
            kind,
            owner: owner.to_owned(),
            nodes: nodes.to_vec(),
            pause: SHORTEST.mul_f64(PAUSES.powf(power)),
            far: far_half(nodes, chosen),
            phase: Duration::from_millis(lot("phase", 200).into()),
        }
    }

    /// What chance has decided, for people.
    #[must_use]
    pub fn detail(&self) -> String {
        match self.kind {
            Kind::Pause => format!("for {:.0} ms", self.pause.as_secs_f64() * 1000.0),
            Kind::Split | Kind::Filter => format!("off: {}", self.far.join(" ")),
            _ => String::new(),
        }
    }

    /// Strikes.
    pub async fn strike(&self, lab: &Lab) -> Result<Then> {
        let speaker = format!("speaker-{}", self.owner);
        match self.kind {
            Kind::Crash => lab.fault(&self.owner, Fault::Crash).await?,
            Kind::Kill => lab.act(&speaker, Action::Kill).await?,
            Kind::Cut => lab.fault(&self.owner, Fault::Cut(Network::Lan)).await?,
            Kind::Pause => {
                lab.act(&speaker, Action::Pause).await?;
                tokio::time::sleep(self.pause).await;
                lab.act(&speaker, Action::Resume).await?;
                return Ok(Then::Over);
            }
            Kind::Restart => {
                lab.act(&speaker, Action::Stop).await?;
                lab.act(&speaker, Action::Start).await?;
                return Ok(Then::Over);
            }
            Kind::Rolling => {
                for node in &self.nodes {
                    restart(lab, node).await?;
                }
                return Ok(Then::Over);
            }
            Kind::Drain => {
                lab.kubectl(&["cordon", &self.owner], "").await?;
                self.label(lab, "=").await?;
            }
            Kind::Exclude => self.label(lab, "=").await?,
            Kind::Mute => self.lose(lab, Direction::Sending).await?,
            Kind::Deaf => self.lose(lab, Direction::Receiving).await?,
            Kind::Filter => {
                let ether_type = EtherType(beacon::ETHER_TYPE);
                lab.fault_all(&self.far(), Fault::Sieve { ether_type })
                    .await?;
                tokio::time::sleep(IMPAIRED).await;
                return Ok(Then::Over);
            }
            Kind::Split => {
                lab.fault_all(&self.far(), Fault::Split).await?;
                if !self.far.contains(&self.owner) {
                    tokio::time::sleep(APART).await;
                    return Ok(Then::Over);
                }
            }
        }
        Ok(Then::Takeover)
    }

    /// Undoes it.
    pub async fn heal(&self, lab: &Lab) -> Result<()> {
        match self.kind {
            Kind::Crash | Kind::Cut => lab.fault(&self.owner, Fault::Heal).await,
            Kind::Kill => {
                let speaker = format!("speaker-{}", self.owner);
                lab.act(&speaker, Action::Start).await
            }
            Kind::Pause | Kind::Restart | Kind::Rolling => Ok(()),
            Kind::Drain => {
                self.label(lab, "-").await?;
                lab.kubectl(&["uncordon", &self.owner], "").await?;
                Ok(())
            }
            Kind::Exclude => self.label(lab, "-").await,
            Kind::Mute | Kind::Deaf => {
                tokio::time::sleep(IMPAIRED).await;
                lab.fault(&self.owner, Fault::Heal).await
            }
            Kind::Filter => lab.fault_all(&self.far(), Fault::Heal).await,
            Kind::Split => {
                if self.far.contains(&self.owner) {
                    tokio::time::sleep(APART).await;
                }
                lab.fault_all(&self.far(), Fault::Heal).await
            }
        }
    }

    fn far(&self) -> Vec<&str> {
        self.far.iter().map(String::as_str).collect()
    }

    /// Puts the label on the owner (`=`), or takes it off (`-`).
    async fn label(&self, lab: &Lab, change: &str) -> Result<()> {
        let label = format!("{EXCLUDE}{change}");
        lab.kubectl(&["label", "node", &self.owner, &label], "")
            .await
            .map(drop)
    }

    async fn lose(&self, lab: &Lab, direction: Direction) -> Result<()> {
        let percent = 100;
        lab.fault(&self.owner, Fault::Lose { direction, percent })
            .await
    }
}

/// Restarts the speaker of a node, and waits until it is ready, as a rolling update does.
async fn restart(lab: &Lab, node: &str) -> Result<()> {
    let speaker = format!("speaker-{node}");
    lab.act(&speaker, Action::Stop).await?;
    lab.act(&speaker, Action::Start).await?;
    wait_for(&format!("{speaker} being ready"), READY, async || {
        let checked = lab.check_speaker(node).await;
        checked.map_err(|error| error.to_string())
    })
    .await
}

/// The lot from 0 to `lots` - 1 that this run draws for `what`.
fn draw(kind: Kind, number: u32, what: &str, lots: u32) -> u32 {
    let mut hasher = DefaultHasher::new();
    (kind, number, what).hash(&mut hasher);
    u32::try_from(hasher.finish() % u64::from(lots)).unwrap_or_default()
}

/// Some of the nodes, at least one and not all: those at the bits of `chosen`.
fn far_half(nodes: &[String], chosen: u32) -> Vec<String> {
    let bits = (0..).map(|bit| chosen >> bit & 1 == 1);
    let far = nodes.iter().zip(bits).filter(|&(_, is_far)| is_far);
    far.map(|(node, _)| node.clone()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn nodes() -> Vec<String> {
        ["node-a", "node-b", "node-c"].map(str::to_owned).into()
    }

    #[test]
    fn every_half_comes_up_and_none_is_empty_or_all() {
        let halves: BTreeSet<Vec<String>> = (0..100)
            .map(|number| Strike::draw(Kind::Split, "node-a", &nodes(), number).far)
            .collect();
        assert_eq!(halves.len(), 6);
        assert!(halves.iter().all(|half| (1..=2).contains(&half.len())));
    }

    #[test]
    fn pauses_are_from_50_milliseconds_to_10_seconds_and_the_same_each_time() {
        let pauses = || -> Vec<Duration> {
            let draw = |number| Strike::draw(Kind::Pause, "node-a", &nodes(), number).pause;
            (0..200).map(draw).collect()
        };
        let drawn = pauses();
        assert_eq!(drawn, pauses());
        assert!(
            drawn
                .iter()
                .all(|pause| *pause >= SHORTEST && pause.as_millis() <= 10_001)
        );
        let short = drawn.iter().filter(|pause| pause.as_millis() < 707).count();
        assert!((70..=130).contains(&short), "{short} of 200");
    }
}
