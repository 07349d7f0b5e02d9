//! The full lab itself: it comes up, breaks as it is told, and leaves nothing behind.

use std::path::Path;

use bellwether_e2e::fault::Fault;
use bellwether_e2e::lab::{ProxyMode, down, wait_for};
use bellwether_e2e::{Lab, Result};

use crate::cluster::{A_WHILE, WEB, bare, rolled_out};

/// What of a lab is left on the machine: control groups, mounts, and processes in its groups.
pub fn left_behind(folder: &Path) -> Vec<String> {
    let name = folder
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let lab = name.splitn(4, '-').nth(3).unwrap_or_default();
    let mut left = Vec::new();
    let hierarchies = std::fs::read_dir("/sys/fs/cgroup")
        .into_iter()
        .flatten()
        .flatten();
    for hierarchy in hierarchies {
        let group = hierarchy.path().join(format!("bellwether-lab-{lab}"));
        if group.exists() {
            left.push(group.display().to_string());
        }
    }
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    left.extend(
        mounts
            .lines()
            .filter(|line| line.contains(name))
            .map(ToOwned::to_owned),
    );
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    left.extend(processes.filter_map(|entry| {
        let read = |file| std::fs::read(entry.path().join(file)).ok();
        let text = [read("cmdline")?, read("cgroup").unwrap_or_default()].concat();
        let text = String::from_utf8_lossy(&text).replace('\0', " ");
        (text.contains(name) || text.contains(&format!("bellwether-lab-{lab}/"))).then_some(text)
    }));
    if folder.exists() {
        left.push(folder.display().to_string());
    }
    left
}

async fn web_over_its_service(lab: &Lab) -> Result<()> {
    let query = [
        "get",
        "service",
        "web",
        "--output=jsonpath={.spec.clusterIP}",
    ];
    let address = lab.kubectl(&query, "").await?;
    wait_for("a pod answering over its Service", A_WHILE, async || {
        let url = format!("http://{address}/");
        let curl = ["curl", "--silent", "--max-time", "2", &url];
        let answer = lab
            .exec("node-a", &curl)
            .await
            .map_err(|error| error.to_string())?;
        if answer.starts_with("web-") {
            Ok(())
        } else {
            Err(answer)
        }
    })
    .await
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

    let folder = lab.folder().path().to_owned();
    drop(lab);
    assert_eq!(left_behind(&folder), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn nothing_of_the_nodes_stays_behind_when_the_lab_is_killed() -> Result<()> {
    for victim in ["supervise", "keep"] {
        let lab = bare(ProxyMode::Nftables).await?;
        lab.apply(WEB).await?;
        rolled_out(&lab, "deployment/web", "--namespace=default").await?;
        let folder = lab.folder().path().to_owned();
        let name = folder.display().to_string();
        let name = name.splitn(4, '-').nth(3).unwrap_or_default().to_owned();
        let pattern = format!("{victim} .*{name}");
        let killed = std::process::Command::new("pkill")
            .args(["-KILL", "-f", &pattern])
            .status();
        assert!(
            killed.is_ok_and(|status| status.success()),
            "nothing to kill: {pattern}"
        );
        drop(lab);
        // A keeper that was killed cannot tidy up: the next `down` does.
        down(&name).await?;
        // What ran in the lab ends by itself, as soon as the kernel has got round to it.
        wait_for("everything being gone", A_WHILE, async || {
            let left = left_behind(&folder);
            if left.is_empty() {
                Ok(())
            } else {
                Err(format!("{victim}: {left:?}"))
            }
        })
        .await?;
    }
    Ok(())
}
