//! The faults that the bridge plays: each does what it says, and nothing else, and can be healed.

use std::process::Stdio;

use bellwether_e2e::cluster::MOMENT;
use bellwether_e2e::error::{Context, Error};
use bellwether_e2e::fault::{Direction, EtherType, Fault};
use bellwether_e2e::lab::wait_for;
use bellwether_e2e::network::Host;
use bellwether_e2e::probe::Report;
use bellwether_e2e::{Lab, Result};
use tokio::process::Child;

const LAB: &str = env!("CARGO_BIN_EXE_bellwether-lab");

/// Hosts without addresses of Services, each of which answers on its own address. All know each
/// other's MAC address for good, so that no loss of ARP mixes in.
struct Network {
    lab: Lab,
    _servers: Vec<Child>,
}

impl Network {
    async fn up() -> Result<Self> {
        let lab = Lab::for_test(LAB, |options| options.bare = true).await?;
        let hosts: Vec<Host> = lab.topology().hosts;
        let hosts: Vec<Host> = hosts
            .into_iter()
            .filter(|host| exists(&host.name))
            .collect();
        let mut servers = Vec::new();
        for host in &hosts {
            for other in hosts.iter().filter(|other| other.name != host.name) {
                let (ip, mac) = (other.ipv4().to_string(), other.mac());
                let words = [
                    "ip",
                    "neighbour",
                    "replace",
                    &ip,
                    "lladdr",
                    &mac,
                    "dev",
                    "eth0",
                ];
                lab.exec(&host.name, &[&words[..], &["nud", "permanent"]].concat())
                    .await?;
            }
            let address = host.ipv4().to_string();
            let server = lab
                .command(&host.name, LAB)
                .args([
                    "pod",
                    "--name",
                    &host.name,
                    "--address",
                    &address,
                    "--port=9000",
                ])
                .stdin(Stdio::null())
                .spawn()
                .context(|| "cannot start a server".to_owned())?;
            servers.push(server);
        }
        let this = Self {
            lab,
            _servers: servers,
        };
        for host in &hosts {
            let what = format!("{} answering", host.name);
            wait_for(&what, MOMENT, async || {
                match this.lost("gateway", &host.name).await {
                    Ok(0) => Ok(()),
                    other => Err(format!("{other:?}")),
                }
            })
            .await?;
        }
        Ok(this)
    }

    /// What a second of datagrams from one host to another comes to.
    async fn ask(&self, from: &str, to: &str) -> Result<Report> {
        let target = format!("{}:9000", self.lab.topology().host(to)?.ipv4());
        let printed = self
            .lab
            .exec(from, &[LAB, "probe", &target, "--seconds", "1"])
            .await?;
        serde_json::from_str(&printed).map_err(|error| Error::Unexpected(error.to_string()))
    }

    /// How many of a hundred datagrams from one host to another are not answered.
    async fn lost(&self, from: &str, to: &str) -> Result<u64> {
        let report = self.ask(from, to).await?;
        Ok(report.lost * 100 / report.sent)
    }

    /// How many frames a host has received.
    async fn received(&self, host: &str) -> Result<u64> {
        let count = self
            .lab
            .exec(host, &["ip", "-j", "-s", "link", "show", "eth0"])
            .await?;
        let count: serde_json::Value =
            serde_json::from_str(&count).map_err(|error| Error::Unexpected(error.to_string()))?;
        count[0]["stats64"]["rx"]["packets"]
            .as_u64()
            .ok_or_else(|| Error::Unexpected(count.to_string()))
    }
}

fn exists(host: &str) -> bool {
    ["node-a", "node-b", "node-c", "client", "gateway"].contains(&host)
}

#[tokio::test]
async fn frames_are_lost_as_the_faults_say_and_no_others() -> Result<()> {
    let network = Network::up().await?;
    let lab = &network.lab;
    let lose = |direction, percent| Fault::Lose { direction, percent };

    // Some, one way: of a thousand answers three hundred, give or take six standard deviations.
    lab.fault("node-b", lose(Direction::Sending, 30)).await?;
    let percent = network.lost("client", "node-b").await?;
    assert!((21..=39).contains(&percent), "{percent} of 100");
    assert_eq!(network.lost("client", "node-a").await?, 0);
    lab.fault("node-b", Fault::Heal).await?;
    assert_eq!(network.lost("client", "node-b").await?, 0);

    // All, each way: what is sent to it arrives, or does not.
    for (direction, arrives) in [(Direction::Sending, true), (Direction::Receiving, false)] {
        lab.fault("node-b", lose(direction, 100)).await?;
        let before = network.received("node-b").await?;
        let report = network.ask("client", "node-b").await?;
        assert_eq!(report.lost, report.sent, "{direction:?}");
        let received = network.received("node-b").await? - before;
        assert_eq!(
            received >= report.sent,
            arrives,
            "{direction:?}: {received}"
        );
        lab.fault("node-b", Fault::Heal).await?;
    }
    assert_eq!(network.lost("client", "node-b").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_filter_drops_one_kind_and_a_split_keeps_halves_apart() -> Result<()> {
    let network = Network::up().await?;
    let lab = &network.lab;
    let filter = |number| Fault::Filter {
        ether_type: EtherType(number),
    };

    // ARP passes and IPv4 does not; then the other way round.
    let forget = async |host: &str| {
        let address = lab.topology().host(host)?.ipv4().to_string();
        let words = ["ip", "neighbour", "del", &address, "dev", "eth0"];
        lab.exec("client", &words).await
    };
    let who_has = async |host: &str| {
        let address = lab.topology().host(host)?.ipv4();
        lab.who_has(address.into()).await
    };
    lab.fault("node-b", filter(0x0800)).await?;
    assert_eq!(network.lost("client", "node-b").await?, 100);
    forget("node-b").await?;
    let mac = lab.topology().host("node-b")?.mac();
    assert_eq!(who_has("node-b").await?, Some(mac));
    lab.fault("node-b", Fault::Heal).await?;
    lab.fault("node-c", filter(0x0806)).await?;
    assert_eq!(network.lost("client", "node-c").await?, 0);
    forget("node-c").await?;
    assert_eq!(who_has("node-c").await?, None);
    lab.fault("node-c", Fault::Heal).await?;
    assert!(who_has("node-c").await?.is_some());

    let far = ["node-b", "node-c"];
    lab.fault_all(&far, Fault::Split).await?;
    let rows = [
        ("client", "node-a", 0),
        ("node-a", "gateway", 0),
        ("node-b", "node-c", 0),
        ("client", "node-b", 100),
        ("node-a", "node-c", 100),
        ("node-c", "gateway", 100),
    ];
    for (from, to, lost) in rows {
        assert_eq!(network.lost(from, to).await?, lost, "{from} to {to}");
    }
    lab.fault_all(&far, Fault::Heal).await?;
    for (from, to, _) in rows {
        assert_eq!(network.lost(from, to).await?, 0, "{from} to {to}");
    }
    Ok(())
}
