//! The full lab itself: it comes up, breaks as it is told, and leaves nothing behind.

use bellwether_e2e::fault::Fault;
use bellwether_e2e::lab::{ProxyMode, down, wait_for};
use bellwether_e2e::remains::{self, Part};
use bellwether_e2e::{Lab, Result};

use crate::cluster::{A_WHILE, WEB, bare, rolled_out};

/// Waits until a pod of `web` answers there, or none does.
async fn wait_web(lab: &Lab, address: &str, answers: bool) -> Result<()> {
    let what = format!("a pod answering at {address}: {answers}");
    wait_for(&what, A_WHILE, async || {
        let url = format!("http://{address}/");
        let curl = ["curl", "--silent", "--max-time", "2", &url];
        let said = lab.exec("node-a", &curl).await;
        let answered = said.as_ref().is_ok_and(|said| said.starts_with("web-"));
        if answered == answers {
            Ok(())
        } else {
            Err(format!("{said:?}"))
        }
    })
    .await
}

async fn web_over_its_service(lab: &Lab) -> Result<()> {
    let query = [
        "get",
        "service",
        "web",
        "--output=jsonpath={.spec.clusterIP}",
    ];
    let address = lab.kubectl(&query, "").await?;
    wait_web(lab, &address, true).await
}

/// The same of the pod on a node.
async fn wait_pod(lab: &Lab, node: &str, answers: bool) -> Result<()> {
    let only = format!("--field-selector=spec.nodeName={node}");
    let query = [
        "get",
        "pods",
        &only,
        "--output=jsonpath={.items[0].status.podIP}",
    ];
    let address = lab.kubectl(&query, "").await?;
    wait_web(lab, &address, answers).await
}

#[tokio::test]
async fn pods_are_containers_and_a_node_comes_back_after_its_power_did() -> Result<()> {
    let lab = bare(ProxyMode::Nftables).await?;
    lab.apply(WEB).await?;
    lab.kubectl(&["expose", "deployment", "web", "--port=80"], "")
        .await?;
    rolled_out(&lab, "deployment/web", "--namespace=default").await?;
    web_over_its_service(&lab).await?;
    let images = lab
        .exec(
            "node-b",
            &["ctr", "--namespace=k8s.io", "containers", "list"],
        )
        .await?;
    assert!(images.contains("lab.bellwether.dev/web:1"), "{images}");

    // What runs in containers stops too, though they have PID namespaces of their own.
    wait_pod(&lab, "node-b", true).await?;
    lab.fault("node-b", Fault::Pause).await?;
    wait_pod(&lab, "node-b", false).await?;
    lab.fault("node-b", Fault::Heal).await?;
    wait_pod(&lab, "node-b", true).await?;

    lab.fault("node-b", Fault::Crash).await?;
    let unknown = [
        "wait",
        "--for=condition=Ready=Unknown",
        "node/node-b",
        "--timeout=60s",
    ];
    lab.kubectl(&unknown, "").await?;
    lab.fault("node-b", Fault::Heal).await?;
    let ready = [
        "wait",
        "--for=condition=Ready",
        "node/node-b",
        "--timeout=60s",
    ];
    lab.kubectl(&ready, "").await?;
    rolled_out(&lab, "deployment/web", "--namespace=default").await?;
    web_over_its_service(&lab).await?;

    let folder = lab.folder().clone();
    drop(lab);
    assert_eq!(remains::all(&folder), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn nothing_of_the_nodes_stays_behind_when_the_lab_is_killed() -> Result<()> {
    for victim in [Part::Supervisor, Part::Keeper] {
        let lab = bare(ProxyMode::Nftables).await?;
        lab.apply(WEB).await?;
        rolled_out(&lab, "deployment/web", "--namespace=default").await?;
        let folder = lab.folder().clone();
        remains::kill(victim, &folder)?;
        drop(lab);
        // A keeper that was killed cannot tidy up: the next `down` does.
        down(folder.lab()).await?;
        // What ran in the lab ends by itself, as soon as the kernel has got round to it.
        wait_for("everything being gone", A_WHILE, async || {
            let left = remains::all(&folder);
            if left.is_empty() {
                Ok(())
            } else {
                Err(format!("{victim:?}: {left:?}"))
            }
        })
        .await?;
    }
    Ok(())
}
