//! What people ask a running speaker for: its status, and a trace of what it is told and decides.

use std::net::IpAddr;
use std::path::Path;
use std::process::{Output, Stdio};

use bellwether_crds::announcement::{MOVE_TO, name_of};
use bellwether_e2e::cluster::{LAN_POOL, MOMENT, load_balancer};
use bellwether_e2e::error::{Context, Error};
use bellwether_e2e::lab::wait_for;
use bellwether_e2e::process::stdout_of;
use bellwether_e2e::{Lab, Result};
use serde_json::{Value, json};

const LAB: &str = env!("CARGO_BIN_EXE_bellwether-lab");

const NODES: [&str; 3] = ["node-a", "node-b", "node-c"];

/// So many Services that get an address each, and the nodes that announce them, in the order of addresses.
async fn announced(lab: &Lab, services: u8) -> Result<Vec<(IpAddr, String)>> {
    lab.apply(LAN_POOL).await?;
    let mut announced = Vec::new();
    for number in 0..services {
        let name = format!("web-{number}");
        lab.apply(&load_balancer(&name, "", "ipFamilies: [IPv4]"))
            .await?;
        let address = lab.wait_addresses(&name, 1).await?[0];
        announced.push((address, lab.wait_announcer(address, None, MOMENT).await?));
    }
    announced.sort();
    Ok(announced)
}

/// Of a status as JSON what does not change from one moment to the next.
fn facts(status: &Value) -> Value {
    let each = |value: &Value, of: &dyn Fn(&Value) -> Value| -> Value {
        value.as_array().into_iter().flatten().map(of).collect()
    };
    let link = |link: &Value| json!([link["name"], link["mac"], link["carrier"]]);
    let way = |path: &Value| {
        let is_link = path["channel"]["link"] == status["links"][0]["index"];
        let channel = if is_link {
            &status["links"][0]["name"]
        } else {
            &path["channel"]
        };
        json!([channel, path["mac"], path["up"]])
    };
    let peer = |peer: &Value| json!([peer["node"], peer["proven"], each(&peer["paths"], &way)]);
    let address = |address: &Value| {
        let own = address["own"]["address"] == address["address"];
        json!([address["address"], address["owner"], own])
    };
    json!({
        "node": status["node"],
        "key": status["signingKey"],
        "links": each(&status["links"], &link),
        "peers": each(&status["peers"], &peer),
        "addresses": each(&status["addresses"], &address),
    })
}

/// The same as they are to be on `node`.
fn expected(lab: &Lab, node: &str, announced: &[(IpAddr, String)]) -> Result<Value> {
    let mac = |node: &str| Ok::<_, Error>(lab.topology().host(node)?.mac());
    let mut peers = Vec::new();
    for other in NODES.into_iter().filter(|&other| other != node) {
        let ways = json!([["eth0", mac(other)?, true], ["unicast", null, true]]);
        peers.push(json!([other, true, ways]));
    }
    let addresses = announced
        .iter()
        .map(|(address, owner)| json!([address, owner, owner == node]));
    Ok(json!({
        "node": node,
        "key": 1,
        "links": [["eth0", mac(node)?, true]],
        "peers": peers,
        "addresses": addresses.collect::<Value>(),
    }))
}

/// How lines of the same as tables begin, with one space between words.
fn rows(lab: &Lab, node: &str, announced: &[(IpAddr, String)]) -> Result<Vec<String>> {
    let mac = lab.topology().host(node)?.mac();
    let mut rows = vec![
        format!("Speaker of {node}, version {}", env!("CARGO_PKG_VERSION")),
        "LINK MAC STATE SENT RECEIVED REJECTED".to_owned(),
        format!("eth0 {mac} answering "),
        "unicast datagrams ".to_owned(),
        "PEER LINK STATE ".to_owned(),
    ];
    for other in NODES.into_iter().filter(|&other| other != node) {
        rows.push(format!("{other} eth0 up "));
        rows.push(format!("{other} unicast up "));
    }
    rows.push("ADDRESS OWNER TERM REASON ".to_owned());
    for (address, owner) in announced {
        let reason = if owner == node { " Unclaimed " } else { "" };
        rows.push(format!("{address} {owner} 1{reason}"));
    }
    Ok(rows)
}

#[tokio::test]
async fn each_speaker_says_its_links_its_peers_and_who_has_each_address() -> Result<()> {
    let lab = Lab::for_test(LAB, |_| {}).await?;
    let announced = announced(&lab, 3).await?;
    for node in NODES {
        let what = format!("the status of {node} as JSON");
        let expected = expected(&lab, node, &announced)?;
        wait_for(&what, MOMENT, async || {
            let said = lab.speaker_status(node, &["--output=json"]).await;
            let said = said.map_err(|error| error.to_string())?;
            let status: Value = serde_json::from_str(&said).map_err(|error| error.to_string())?;
            let facts = facts(&status);
            if facts == expected {
                return Ok(());
            }
            Err(format!("{facts}, not {expected}"))
        })
        .await?;
        let what = format!("the status of {node} as tables");
        let rows = rows(&lab, node, &announced)?;
        wait_for(&what, MOMENT, async || {
            let said = lab.speaker_status(node, &[]).await;
            let said = said.map_err(|error| error.to_string())?;
            let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
            let lines: Vec<String> = said.lines().map(words).collect();
            let missing = |row: &&String| !lines.iter().any(|line| line.starts_with(*row));
            rows.iter().find(missing).map_or(Ok(()), |row| {
                Err(format!("no line begins with {row:?} in\n{said}"))
            })
        })
        .await?;
    }
    Ok(())
}

/// `bellwether-simulate --replay` of a trace.
async fn replay(lab: &Lab, trace: &Path) -> Result<Output> {
    let simulate = lab.executable().with_file_name("bellwether-simulate");
    let mut command = tokio::process::Command::new(&simulate);
    let output = command.arg("--replay").arg(trace).stdin(Stdio::null());
    let output = output.output().await;
    output.context(|| format!("cannot run {}", simulate.display()))
}

/// Each node's part in a claim and a move of it, as each line that is printed ends.
fn told(node: &str, address: IpAddr, [from, to]: [&str; 2]) -> Vec<String> {
    let mut told = Vec::new();
    if node == from {
        told.push(format!("{node} owns {address}, term 1: Unclaimed"));
        told.push(format!("{node} releases {address}: HandedOver"));
    } else if node == to {
        told.push(format!("{node} owns {address}, term 2: HandedOver"));
    }
    let decisions = told.len();
    told.push(format!(
        "{decisions} decisions, all the same; 0 lines of the trace were lost"
    ));
    told
}

#[tokio::test]
async fn what_running_speakers_were_told_is_replayed_and_they_decide_the_same() -> Result<()> {
    let lab = Lab::for_test(LAB, |_| {}).await?;
    let recordings = NODES.map(|node| lab.record(node));
    let (address, from) = announced(&lab, 1).await?.remove(0);
    let to = if from == NODES[0] { NODES[1] } else { NODES[0] };
    let (name, wish) = (name_of(address), format!("{MOVE_TO}={to}"));
    lab.kubectl(&["annotate", "announcement", &name, &wish], "")
        .await?;
    let moved = lab.wait_announcer(address, Some(&from), MOMENT).await?;
    assert_eq!(moved, to);

    for (node, recording) in NODES.into_iter().zip(recordings) {
        let trace = recording?.stop(&lab).await?;
        let printed = stdout_of("bellwether-simulate", &replay(&lab, &trace).await?)?;
        let expected = told(node, address, [&from, to]);
        let lines: Vec<&str> = printed.lines().collect();
        let same = |(line, end): (&&str, &String)| line.ends_with(end.as_str());
        assert!(
            lines.len() == expected.len() && lines.iter().zip(&expected).all(same),
            "{node}: {printed}, not {expected:?}"
        );
        if node != from {
            continue;
        }
        // As if it had found the address with another one.
        let failed = || "cannot change a trace".to_owned();
        let text = std::fs::read_to_string(&trace).context(failed)?;
        let other = text.replace("\"reason\":\"Unclaimed\"", "\"reason\":\"OwnerReleased\"");
        assert_ne!(text, other);
        std::fs::write(&trace, other).context(failed)?;
        let output = replay(&lab, &trace).await?;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && said.contains("the speaker decided"),
            "{output:?}"
        );
    }
    Ok(())
}
