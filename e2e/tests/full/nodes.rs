//! The part of the day in which nodes come and go.

use std::net::IpAddr;
use std::time::Duration;

use bellwether_e2e::cluster::MOMENT;
use bellwether_e2e::fault::Fault;
use bellwether_e2e::{Lab, Result};

use crate::cluster::{A_WHILE, keep_web_off, probed, wait_node};

/// The node that announces is drained: not one datagram is lost. None of its pods answers the client:
/// kube-proxy keeps a UDP flow on a pod that ends until the pod is gone, and then takes a moment to
/// notice, whoever announces the address.
pub async fn drain(lab: &Lab, address: IpAddr) -> Result<()> {
    let node = lab.wait_announcer(address, None, MOMENT).await?;
    keep_web_off(lab, &node).await?;
    let report = probed(lab, address, async {
        let drain = [
            "drain",
            &node,
            "--ignore-daemonsets",
            "--delete-emptydir-data",
            "--timeout=90s",
        ];
        lab.kubectl(&drain, "").await?;
        lab.wait_announcer(address, Some(&node), MOMENT).await?;
        Ok(())
    })
    .await?;
    println!(
        "drain of {node}: {} sent, {} lost",
        report.sent, report.lost
    );
    lab.kubectl(&["uncordon", &node], "").await?;
    lab.kubectl(&["taint", "node", &node, "test-"], "").await?;
    wait_node(lab, &node).await?;
    assert_eq!(report.lost, 0, "{report:?}");
    Ok(())
}

/// The power of the node that announces fails, and comes back.
pub async fn power_off(lab: &Lab, address: IpAddr) -> Result<()> {
    let node = lab.wait_announcer(address, None, MOMENT).await?;
    keep_web_off(lab, &node).await?;
    let mut next = String::new();
    let report = probed(lab, address, async {
        assert_eq!(lab.wait_announcer(address, None, MOMENT).await?, node);
        lab.fault(&node, Fault::Crash).await?;
        next = lab
            .wait_announcer(address, Some(&node), Duration::from_secs(30))
            .await?;
        Ok(())
    })
    .await?;
    println!(
        "power-off of {node}: {next} took over; {} sent, {} lost, outage {:.1} ms",
        report.sent, report.lost, report.outage_ms
    );
    assert!(report.lost > 0, "the power did not fail: {report:?}");
    let name = format!("node/{node}");
    let unknown = [
        "wait",
        "--for=condition=Ready=Unknown",
        &name,
        "--timeout=60s",
    ];
    lab.kubectl(&unknown, "").await?;
    lab.fault(&node, Fault::Heal).await?;
    wait_node(lab, &node).await?;
    lab.kubectl(&["taint", "node", &node, "test-"], "").await?;
    let stays = lab.wait_announcer(address, None, A_WHILE).await?;
    assert_eq!(stays, next, "a node that comes back takes nothing");
    Ok(())
}
