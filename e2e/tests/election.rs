//! Which node announces: what operators ask for, what strangers do, and what is told of it.

#![expect(clippy::expect_used, reason = "a test that cannot go on shall panic")]

use std::net::{IpAddr, SocketAddr};
use std::process::Stdio;
use std::time::Duration;

use bellwether_core::election::trace::{Decision, Replay};
use bellwether_core::frame::beacon;
use bellwether_crds::announcement::{Announcement, MOVE_TO, name_of};
use bellwether_crds::condition::{BEACON_PATH_DEGRADED, CONFLICT, LINK_UNPROVEN};
use bellwether_e2e::cluster::{LAN_POOL, MOMENT, load_balancer};
use bellwether_e2e::control::Action;
use bellwether_e2e::error::{Context, Error};
use bellwether_e2e::fault::{EtherType, Fault};
use bellwether_e2e::inspection::Recording;
use bellwether_e2e::lab::wait_for;
use bellwether_e2e::{Lab, Result};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Api;
use serde_json::Value;

const LAB: &str = env!("CARGO_BIN_EXE_bellwether-lab");

const NODES: [&str; 3] = ["node-a", "node-b", "node-c"];

/// Ends a trace, replays it, and returns what was decided: in the trace, and again.
async fn decided(lab: &Lab, trace: Recording) -> Result<Vec<Decision>> {
    let trace = std::fs::read_to_string(trace.stop(lab).await?);
    let trace = trace.context(|| "cannot read a trace".to_owned())?;
    let mut replay = Replay::default();
    let mut decisions = Vec::new();
    for line in trace.lines() {
        let line = serde_json::from_str(line).expect("a line of a trace");
        let taken = replay
            .take(line)
            .expect("what was decided is decided again");
        decisions.extend(taken.map(|(_, decision)| decision));
    }
    assert_eq!(replay.end().1, 0, "lines were lost");
    Ok(decisions)
}

/// How often an address was taken in all of these traces.
async fn owned(lab: &Lab, traces: [Result<Recording>; 3]) -> Result<usize> {
    let mut owned = 0;
    for trace in traces {
        let own = |decision: &Decision| matches!(decision, Decision::Own { .. });
        let decisions = decided(lab, trace?).await?.into_iter();
        owned += decisions.filter(own).count();
    }
    Ok(owned)
}

async fn announcement(lab: &Lab, address: IpAddr) -> Result<Announcement> {
    let api: Api<Announcement> = Api::all(lab.client());
    let name = name_of(address);
    api.get(&name)
        .await
        .context(|| format!("cannot read Announcement {name}"))
}

async fn conflict(lab: &Lab, address: IpAddr) -> Result<Option<Condition>, String> {
    let found = announcement(lab, address).await;
    let status = found.map_err(|error| error.to_string())?.status;
    let mut conditions = status.unwrap_or_default().conditions.into_iter();
    Ok(conditions.find(|condition| condition.type_ == CONFLICT && condition.status == "True"))
}

/// Waits until an Announcement and an event on its Service say that a station uses its address, and
/// name it.
async fn wait_conflict(lab: &Lab, address: IpAddr, mac: &str) -> Result<()> {
    wait_for(
        "the stranger being named",
        MOMENT,
        async || match conflict(lab, address).await? {
            Some(condition) if condition.message.contains(mac) => Ok(()),
            other => Err(format!("{other:?}")),
        },
    )
    .await?;
    wait_for("an event that names it", MOMENT, async || {
        let events = lab.events("web").await.map_err(|error| error.to_string())?;
        let told = |(reason, note): &(String, String)| reason == "Conflict" && note.contains(mac);
        events
            .iter()
            .any(told)
            .then_some(())
            .ok_or(format!("{events:?}"))
    })
    .await
}

/// Waits until a condition of a Speaker has this status and reason, and its message names all of these.
async fn wait_speaker(
    lab: &Lab,
    node: &str,
    [kind, status, reason]: [&str; 3],
    named: &[&str],
) -> Result<()> {
    wait_for(&format!("{kind} of {node}"), MOMENT, async || {
        let speaker = lab.speaker(node).await;
        let found = speaker.map_err(|error| error.to_string())?.status;
        let conditions = found.unwrap_or_default().conditions;
        let told = |condition: &Condition| {
            condition.type_ == kind
                && condition.status == status
                && condition.reason == reason
                && named.iter().all(|name| condition.message.contains(name))
        };
        let is_told = conditions.iter().any(told);
        is_told.then_some(()).ok_or(format!("{conditions:?}"))
    })
    .await
}

/// A Service that clients reach, and the node that announces it.
async fn served(lab: &Lab) -> Result<(SocketAddr, String)> {
    lab.apply(LAN_POOL).await?;
    lab.serve_beside("web", false).await?;
    let target = SocketAddr::new(lab.wait_addresses("web", 1).await?[0], 80);
    lab.wait_traffic(target).await?;
    let first = lab.wait_announcer(target.ip(), None, MOMENT).await?;
    Ok((target, first))
}

/// The nodes but that one.
fn others(first: &str) -> [&'static str; 2] {
    let mut others = NODES.into_iter().filter(|&node| node != first);
    [(); 2].map(|()| others.next().expect("there are three"))
}

async fn move_to(lab: &Lab, address: IpAddr, node: &str) -> Result<()> {
    let (name, wish) = (name_of(address), format!("{MOVE_TO}={node}"));
    let words = ["annotate", "--overwrite", "announcement", &name, &wish];
    lab.kubectl(&words, "").await.map(drop)
}

#[tokio::test]
async fn an_operator_moves_an_address_without_a_gap_and_all_of_it_can_be_replayed() -> Result<()> {
    let lab = Lab::for_test(LAB, |_| {}).await?;
    let traces = NODES.map(|node| lab.record(node));
    let (target, first) = served(&lab).await?;
    let address = target.ip();

    let probe = lab.probe(target)?;
    let [wish, _] = others(&first);
    move_to(&lab, address, wish).await?;
    assert_eq!(
        lab.wait_announcer(address, Some(&first), MOMENT).await?,
        wish
    );
    let status = announcement(&lab, address)
        .await?
        .status
        .unwrap_or_default();
    assert_eq!(status.previous_node.as_deref(), Some(first.as_str()));
    assert_eq!(status.reason.as_deref(), Some("HandedOver"));
    assert_eq!(status.takeover_milliseconds, Some(0));
    let report = probe.stop().await?;
    assert_eq!(report.lost, 0, "{report:?}");
    wait_for("an event that tells of the move", MOMENT, async || {
        let events = lab.events("web").await.map_err(|error| error.to_string())?;
        let told = |(reason, note): &(String, String)| {
            reason == "Moved" && note.contains(&first) && note.contains(wish)
        };
        events
            .iter()
            .any(told)
            .then_some(())
            .ok_or(format!("{events:?}"))
    })
    .await?;

    assert_eq!(
        owned(&lab, traces).await?,
        2,
        "the first claim, and the move"
    );
    Ok(())
}

/// The network drops the beacons of one node, and an address moves between the two others. The one hears of
/// that by datagram, and asks the wire before it would take the address too.
#[tokio::test]
async fn who_misses_beacons_does_not_take_what_another_one_has_taken_over() -> Result<()> {
    let lab = Lab::for_test(LAB, |_| {}).await?;
    let traces = NODES.map(|node| lab.record(node));
    let (target, first) = served(&lab).await?;
    let address = target.ip();
    let [hidden, other] = others(&first);

    let ether_type = EtherType(beacon::ETHER_TYPE);
    lab.fault(hidden, Fault::Filter { ether_type }).await?;
    let lost = [BEACON_PATH_DEGRADED, "True", "BeaconsLost"];
    wait_speaker(&lab, hidden, lost, &[&first, other]).await?;
    let probe = lab.probe(target)?;
    move_to(&lab, address, other).await?;
    assert_eq!(
        lab.wait_announcer(address, Some(&first), MOMENT).await?,
        other
    );
    // Several times as long as it would take to count the new owner as down.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let report = probe.stop().await?;
    assert_eq!(report.lost, 0, "{report:?}");
    assert_eq!(
        owned(&lab, traces).await?,
        2,
        "the first claim, and the move"
    );
    Ok(())
}

/// R15: where beacons never came, speakers meet by datagram. It is said of whom, and who starts there
/// knows by datagram whose an address is, and leaves it there.
#[tokio::test]
async fn a_speaker_whose_beacons_never_came_is_named_until_they_come() -> Result<()> {
    let lab = Lab::for_test(LAB, |_| {}).await?;
    let (target, first) = served(&lab).await?;
    let [hidden, other] = others(&first);
    let heard = [LINK_UNPROVEN, "False", "BeaconsHeard"];
    wait_speaker(&lab, hidden, heard, &[]).await?;

    let ether_type = EtherType(beacon::ETHER_TYPE);
    lab.fault(hidden, Fault::Filter { ether_type }).await?;
    let probe = lab.probe(target)?;
    for action in [Action::Stop, Action::Start] {
        lab.act(&format!("speaker-{hidden}"), action).await?;
    }
    let unheard = [LINK_UNPROVEN, "True", "NeverHeard"];
    wait_speaker(&lab, hidden, unheard, &[&first, other]).await?;
    wait_for("the owner being known all the same", MOMENT, async || {
        let said = lab.speaker_status(hidden, &["--output=json"]).await;
        let said = said.map_err(|error| error.to_string())?;
        let status: Value = serde_json::from_str(&said).map_err(|error| error.to_string())?;
        let owner = status["addresses"][0]["owner"].as_str();
        (owner == Some(&first)).then_some(()).ok_or(said)
    })
    .await?;
    lab.fault(hidden, Fault::Heal).await?;
    wait_speaker(&lab, hidden, heard, &[]).await?;
    let report = probe.stop().await?;
    assert_eq!(report.lost, 0, "{report:?}");
    assert_eq!(lab.announcer(target.ip()).await?, Some(first));
    Ok(())
}

#[tokio::test]
async fn a_target_that_is_gone_gets_nothing_and_who_returns_takes_nothing() -> Result<()> {
    let lab = Lab::for_test(LAB, |_| {}).await?;
    let (target, first) = served(&lab).await?;
    let address = target.ip();
    let [gone, other] = others(&first);

    lab.act(&format!("speaker-{gone}"), Action::Kill).await?;
    let probe = lab.probe(target)?;
    move_to(&lab, address, gone).await?;
    // The next wish is met, so the first one was read before; it moved nothing.
    move_to(&lab, address, other).await?;
    assert_eq!(
        lab.wait_announcer(address, Some(&first), MOMENT).await?,
        other
    );
    let report = probe.stop().await?;
    assert_eq!(report.lost, 0, "{report:?}");

    // A wish that stands would bring it back.
    let (name, no_wish) = (name_of(address), format!("{MOVE_TO}-"));
    let words = ["annotate", "announcement", &name, &no_wish];
    lab.kubectl(&words, "").await?;

    // Its owner fails: the third is dead, so the first has it again, and keeps it.
    lab.fault(other, Fault::Crash).await?;
    assert_eq!(
        lab.wait_announcer(address, Some(other), MOMENT).await?,
        first
    );
    let probe = lab.probe(target)?;
    lab.fault(other, Fault::Heal).await?;
    lab.act(&format!("speaker-{gone}"), Action::Start).await?;
    for node in [other, gone] {
        wait_for(&format!("{node} being ready"), MOMENT, async || {
            let checked = lab.check_speaker(node).await;
            checked.map_err(|error| error.to_string())
        })
        .await?;
    }
    // Before asking anew, which makes the client forget the address for a moment.
    let report = probe.stop().await?;
    assert_eq!(report.lost, 0, "{report:?}");
    assert_eq!(lab.announcer(address).await?.as_deref(), Some(&*first));
    let mac = lab.topology().host(&first)?.mac();
    assert_eq!(lab.who_has(address).await?, Some(mac));
    Ok(())
}

#[tokio::test]
async fn a_stranger_is_named_and_its_address_is_not_announced_until_it_is_gone() -> Result<()> {
    let lab = Lab::for_test(LAB, |_| {}).await?;
    lab.apply(LAN_POOL).await?;
    let address: IpAddr = "192.0.2.130".parse().expect("an address");
    let own = format!("{address}/32");
    let stranger = lab.topology().host("gateway")?.mac();
    lab.exec("gateway", &["ip", "addr", "add", &own, "dev", "eth0"])
        .await?;
    let wish = format!("bellwether.dev/loadBalancerIPs: {address}");
    lab.apply(&load_balancer("web", &wish, "ipFamilies: [IPv4]"))
        .await?;
    lab.wait_addresses("web", 1).await?;
    wait_conflict(&lab, address, &stranger).await?;
    assert_eq!(lab.announcer(address).await?, None);
    assert_eq!(lab.who_has(address).await?, Some(stranger.clone()));
    // It is asked for again after a minute.
    lab.exec("gateway", &["ip", "addr", "del", &own, "dev", "eth0"])
        .await?;
    let limit = Duration::from_secs(90);
    let node = lab.wait_announcer(address, None, limit).await?;
    wait_for("the conflict being over", limit, async || {
        match conflict(&lab, address).await? {
            None => Ok(()),
            Some(condition) => Err(format!("{condition:?}")),
        }
    })
    .await?;

    // One that comes later is named too, and takes nothing away.
    lab.exec("gateway", &["ip", "addr", "add", &own, "dev", "eth0"])
        .await?;
    let notify = ["sysctl", "-w", "net.ipv4.conf.eth0.arp_notify=1"];
    lab.exec("gateway", &notify).await?;
    // So it tells everybody when its MAC address changes.
    let stranger = "02:00:00:00:00:ee";
    let change = ["ip", "link", "set", "eth0", "address", stranger];
    lab.exec("gateway", &change).await?;
    wait_conflict(&lab, address, stranger).await?;
    assert_eq!(lab.announcer(address).await?, Some(node));
    Ok(())
}

/// The same at its full length: `bellwether-lab bench outage --minutes 10`.
#[tokio::test]
async fn addresses_follow_their_nodes_while_the_control_plane_is_away() -> Result<()> {
    let output = tokio::process::Command::new(LAB)
        .args(["bench", "outage", "--minutes=0.5"])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context(|| "cannot run the benchmark".to_owned())?;
    let printed = bellwether_e2e::process::stdout_of("bench outage", &output)?;
    let summary = printed.lines().last().unwrap_or_default();
    let summary: Value = serde_json::from_str(summary)
        .map_err(|error| Error::Unexpected(format!("{error}: {printed}")))?;
    assert_eq!(summary["crashes"], 2, "{printed}");
    assert_eq!(summary["moves"], 2, "{printed}");
    assert_eq!(summary["misplaced"], 0, "{printed}");
    assert_eq!(summary["readdressed"], 0, "{printed}");
    assert!(summary["truth_ms"].as_f64() < Some(5000.0), "{printed}");
    Ok(())
}
