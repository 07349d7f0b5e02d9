//! What people ask a running speaker for.

use std::net::IpAddr;

use bellwether_e2e::cluster::{LAN_POOL, MOMENT, load_balancer};
use bellwether_e2e::error::Error;
use bellwether_e2e::lab::wait_for;
use bellwether_e2e::{Lab, Result};
use serde_json::{Value, json};

const LAB: &str = env!("CARGO_BIN_EXE_bellwether-lab");

const NODES: [&str; 3] = ["node-a", "node-b", "node-c"];

/// How many Services are announced.
const SERVICES: u8 = 3;

/// Services that get an address each, and the nodes that announce them, in the order of addresses.
async fn announced(lab: &Lab) -> Result<Vec<(IpAddr, String)>> {
    lab.apply(LAN_POOL).await?;
    let mut announced = Vec::new();
    for number in 0..SERVICES {
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
    let announced = announced(&lab).await?;
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
