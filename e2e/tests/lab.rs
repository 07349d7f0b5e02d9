//! The lab itself: it comes up, breaks as it is told, and leaves nothing behind.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use bellwether_e2e::cluster::{MOMENT, WEB};
use bellwether_e2e::control::Folder;
use bellwether_e2e::fault::{Fault, Network};
use bellwether_e2e::lab::wait_for;
use bellwether_e2e::{Lab, Result};

const LAB: &str = env!("CARGO_BIN_EXE_bellwether-lab");

async fn bare() -> Result<Lab> {
    Lab::for_test(LAB, |options| options.bare = true).await
}

#[tokio::test]
async fn pods_answer_behind_a_service_and_a_cut_node_is_out_of_reach() -> Result<()> {
    let lab = bare().await?;
    lab.apply(WEB).await?;
    lab.kubectl(
        &["expose", "deployment", "web", "--port=80", "--protocol=UDP"],
        "",
    )
    .await?;
    lab.kubectl(
        &[
            "wait",
            "--for=condition=Available",
            "deployment/web",
            "--timeout=20s",
        ],
        "",
    )
    .await?;
    let cluster_ip = lab.kubectl(
        &["get", "svc", "web", "-o", "jsonpath={.spec.clusterIP}"],
        "",
    );
    let target = SocketAddr::new(cluster_ip.await?.parse().unwrap_or([0, 0, 0, 0].into()), 80);
    let target = target.to_string();
    wait_for("a pod answering on node-a", MOMENT, async || {
        let probe = ["probe", &target, "--seconds", "1"];
        let report = lab.exec("node-a", &[&[LAB], &probe[..]].concat()).await;
        let report = report.map_err(|error| error.to_string())?;
        if report.contains("\"lost\":0") {
            Ok(())
        } else {
            Err(report)
        }
    })
    .await?;

    let reach = async || lab.who_has([192, 0, 2, 12].into()).await;
    assert_eq!(reach().await?, Some("02:00:00:00:00:0c".to_owned()));
    lab.fault("node-b", Fault::Cut(Network::Lan)).await?;
    assert_eq!(reach().await?, None);
    lab.fault("node-b", Fault::Heal).await?;
    wait_for("node-b answering again", MOMENT, async || {
        match reach().await {
            Ok(Some(_)) => Ok(()),
            answer => Err(format!("{answer:?}")),
        }
    })
    .await?;
    Ok(())
}

/// The processes of the machine whose command line names the lab.
fn processes_of(name: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let line = std::fs::read(entry.path().join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            line.contains(name).then_some(line)
        })
        .collect()
}

#[tokio::test]
async fn nothing_stays_behind_when_the_supervisor_or_the_keeper_is_killed() -> Result<()> {
    for victim in ["supervise", "keep"] {
        let lab = bare().await?;
        let name = name_of(lab.folder().path());
        assert!(!processes_of(&name).is_empty());
        let pattern = format!("{victim} .*{name}");
        let killed = std::process::Command::new("pkill")
            .args(["-KILL", "-f", &pattern])
            .status();
        assert!(
            killed.is_ok_and(|status| status.success()),
            "nothing to kill: {pattern}"
        );
        wait_for(
            "every process of the lab ending",
            Duration::from_secs(20),
            async || {
                let left = processes_of(&name);
                if left.is_empty() {
                    Ok(())
                } else {
                    Err(format!("{left:?}"))
                }
            },
        )
        .await?;
        drop(lab);
        // A keeper that was killed cannot tidy up: the next `down` does.
        bellwether_e2e::lab::down(&name).await?;
        assert!(!Folder::of(&name).path().exists());
    }
    Ok(())
}

/// The lab's name, from its folder's.
fn name_of(folder: &Path) -> String {
    let name = folder
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    name.splitn(4, '-').nth(3).unwrap_or_default().to_owned()
}
