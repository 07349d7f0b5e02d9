//! The API server and the controller are away while nodes crash and return.
//!
//! Addresses follow the nodes, and nothing else changes; when the API server is back it soon says what
//! is true. A speaker that starts while the API server is away knows no keys and no addresses, so it
//! takes nothing until then: of N nodes N - 1 are crashed, one after another.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use bellwether_crds::announcement::Announcement;
use clap::Args;
use k8s_openapi::api::core::v1::Service;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use serde::Serialize;
use tokio::time::Instant;

use super::failover::outcome::ms;
use super::scene::{Props, Scene};
use super::{Minutes, json};
use crate::cluster::ingress;
use crate::control::Action;
use crate::error::{Context, Error, Result};
use crate::fault::Fault;
use crate::lab::{Lab, Profile, wait_for};

/// How long a crashed node is without power.
const DARK: Duration = Duration::from_secs(5);

/// How many addresses there are beside the one that is watched.
const OTHERS: usize = 12;

/// How long the API server may take to come back, and to tell the truth, before this gives up.
const LIMIT: Duration = Duration::from_mins(2);

/// How long the control plane is away.
#[derive(Clone, Debug, Args)]
pub struct Options {
    #[command(flatten)]
    minutes: Minutes,

    /// How many nodes there are
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=20))]
    nodes: u8,
}

/// What it came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct Summary {
    minutes: f64,
    nodes: u8,
    crashes: u32,
    /// Changes of the announcer of the address that is watched: as many as there are crashes, if
    /// nothing moves but what has to.
    moves: usize,
    outage_ms_max: f64,
    overlap_ms_max: f64,
    lost_probes: u64,
    /// Addresses of which another node than before answers though theirs was well, or of which nobody
    /// does.
    misplaced: usize,
    /// Services that show another address than before.
    readdressed: usize,
    /// From the first answer of the API server until it says who announces each address.
    truth_ms: f64,
}

/// Measures it.
pub async fn run(options: &Options) -> Result<()> {
    let props = Props {
        nodes: options.nodes,
        profile: Profile::Default,
        ipv6: false,
    };
    let scene = Scene::set(props, |_| {}).await?;
    let lab = &scene.lab;
    for number in 1..=OTHERS {
        lab.apply(&other(number)).await?;
    }
    for number in 1..=OTHERS {
        lab.wait_addresses(&format!("other-{number}"), 1).await?;
    }
    scene.wait_well().await?;
    let addresses = addresses(lab).await?;
    let before = wait_for("every address being announced", LIMIT, async || {
        announcers(lab).await.and_then(all_announced)
    })
    .await?;

    let mut summary = Summary {
        minutes: options.minutes.minutes,
        nodes: options.nodes,
        ..Summary::default()
    };
    let controllers = ["controller-0", "controller-1"];
    for program in ["kube-apiserver"].iter().chain(&controllers) {
        lab.act(program, Action::Kill).await?;
    }
    let crashed = crashes(&scene, options, &mut summary).await?;

    let truth = answerers(&scene, before.keys()).await?;
    summary.misplaced = before
        .iter()
        .filter(|&(address, node)| match truth.get(address) {
            Some(now) if crashed.contains(node) => crashed.last() == Some(now),
            now => now != Some(node),
        })
        .count();

    for program in ["kube-apiserver"].iter().chain(&controllers) {
        lab.act(program, Action::Start).await?;
    }
    summary.truth_ms = wait_for_truth(lab, &truth).await?;
    let after = self::addresses(lab).await?;
    let changed = |(name, had): &(&String, &Vec<IpAddr>)| after.get(*name) != Some(*had);
    summary.readdressed = addresses.iter().filter(changed).count();
    scene.wait_well().await?;
    println!("{}", json(&summary)?);
    Ok(())
}

/// Crashes the node that announces, again and again, spread over the time. Returns which, in order.
async fn crashes(scene: &Scene, options: &Options, summary: &mut Summary) -> Result<Vec<String>> {
    let count = u32::from(options.nodes) - 1;
    let share = options.minutes.duration() / (count + 1);
    let mut crashed = Vec::new();
    for _ in 0..count {
        let quiet = scene.watch()?;
        tokio::time::sleep(share.saturating_sub(DARK)).await;
        note(summary, quiet.stop().await?, "nothing happened");

        let node = owner(scene)?;
        let watch = scene.watch()?;
        tokio::time::sleep(Duration::from_millis(500)).await;
        scene.lab.fault(&node, Fault::Crash).await?;
        scene.wait_takeover(&node).await?;
        tokio::time::sleep(DARK).await;
        scene.lab.fault(&node, Fault::Heal).await?;
        note(
            summary,
            watch.stop().await?,
            &format!("{node} crashed and returned"),
        );
        summary.crashes += 1;
        crashed.push(node);
    }
    let quiet = scene.watch()?;
    tokio::time::sleep(share).await;
    note(summary, quiet.stop().await?, "nothing happened");
    Ok(crashed)
}

fn note(
    summary: &mut Summary,
    (seen, sightings): (
        super::failover::traffic::Report,
        Vec<super::failover::sightings::Sighting>,
    ),
    what: &str,
) {
    use super::failover::outcome::tenths;
    use super::failover::sightings::{moves, overlap};
    let (moves, overlap) = (
        moves(&sightings),
        overlap(&sightings).as_secs_f64() * 1000.0,
    );
    println!(
        "{what}: {moves} moves, outage {:.1} ms, {} datagrams lost, overlap {overlap:.1} ms",
        seen.udp.outage_ms, seen.udp.lost
    );
    summary.moves += moves;
    let outage = tenths(seen.udp.outage_ms);
    summary.outage_ms_max = summary.outage_ms_max.max(outage);
    summary.overlap_ms_max = summary.overlap_ms_max.max(overlap);
    summary.lost_probes += seen.udp.lost;
}

/// The node that answers.
fn owner(scene: &Scene) -> Result<String> {
    let mac = scene.answerer();
    let mac = mac.ok_or_else(|| Error::Unexpected("nobody answers, or several do".to_owned()))?;
    node_of(scene, &mac.to_string())
}

fn node_of(scene: &Scene, mac: &str) -> Result<String> {
    let hosts = scene.lab.topology();
    let node = hosts.nodes().find(|host| host.mac() == mac);
    node.map(|host| host.name.clone())
        .ok_or_else(|| Error::Unexpected(format!("a stranger answers: {mac}")))
}

/// The node that answers the client's kernel, for each address that any answers for.
async fn answerers(
    scene: &Scene,
    addresses: impl Iterator<Item = &IpAddr>,
) -> Result<BTreeMap<IpAddr, String>> {
    let mut found = BTreeMap::new();
    for &address in addresses {
        if let Some(mac) = scene.lab.who_has(address).await? {
            found.insert(address, node_of(scene, &mac)?);
        }
    }
    Ok(found)
}

/// How long it takes from the API server's first answer until it says what is true, in milliseconds.
async fn wait_for_truth(lab: &Lab, truth: &BTreeMap<IpAddr, String>) -> Result<f64> {
    wait_for("the API server answering", LIMIT, async || {
        announcers(lab).await.map(drop)
    })
    .await?;
    let back = Instant::now();
    wait_for("the API telling the truth", LIMIT, async || {
        let said = announcers(lab).await.and_then(all_announced)?;
        let wrong = truth
            .iter()
            .filter(|&(address, node)| said.get(address) != Some(node));
        match wrong.count() {
            0 => Ok(()),
            wrong => Err(format!(
                "{wrong} wrong: {said:?} is said, {truth:?} is true"
            )),
        }
    })
    .await?;
    Ok(ms(back.elapsed()))
}

/// The node that announces each address, as the API says.
async fn announcers(lab: &Lab) -> Result<BTreeMap<IpAddr, Option<String>>, String> {
    let api: Api<Announcement> = Api::all(lab.client());
    let params = ListParams::default();
    let listing = tokio::time::timeout(Duration::from_secs(2), api.list(&params));
    let list = listing
        .await
        .map_err(|_| "no answer".to_owned())?
        .map_err(|error| error.to_string())?;
    let pairs = list.into_iter().map(|found| {
        let node = found.status.and_then(|status| status.node);
        (found.spec.address, node)
    });
    Ok(pairs.collect())
}

fn all_announced(
    said: BTreeMap<IpAddr, Option<String>>,
) -> Result<BTreeMap<IpAddr, String>, String> {
    let pairs = said.into_iter().map(|(address, node)| match node {
        Some(node) => Ok((address, node)),
        None => Err(format!("nobody announces {address}")),
    });
    pairs.collect()
}

/// The addresses that each Service shows.
async fn addresses(lab: &Lab) -> Result<BTreeMap<String, Vec<IpAddr>>> {
    let api: Api<Service> = Api::namespaced(lab.client(), "default");
    let list = api
        .list(&ListParams::default())
        .await
        .context(|| "cannot list Services".to_owned())?;
    let pairs = list
        .iter()
        .map(|service| (service.name_any(), ingress(service)));
    Ok(pairs.collect())
}

/// A Service without endpoints, which kube-proxy leaves alone.
fn other(number: usize) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: other-{number}, labels: \
         {{service.kubernetes.io/service-proxy-name: none}}}}\nspec: {{type: LoadBalancer, \
         ipFamilies: [IPv4], allocateLoadBalancerNodePorts: false, ports: [{{port: 80}}]}}\n"
    )
}
