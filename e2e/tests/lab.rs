//! The lab itself: it comes up, breaks as it is told, and leaves nothing behind.

use std::net::SocketAddr;
use std::time::Duration;

use bellwether_e2e::cluster::{MOMENT, WEB};
use bellwether_e2e::fault::{Fault, Network};
use bellwether_e2e::lab::{down, wait_for};
use bellwether_e2e::remains::{self, Part};
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

#[tokio::test]
async fn nothing_stays_behind_when_the_supervisor_or_the_keeper_is_killed() -> Result<()> {
    for victim in [Part::Supervisor, Part::Keeper] {
        let lab = bare().await?;
        let folder = lab.folder().clone();
        assert!(!remains::processes(&folder).is_empty());
        remains::kill(victim, &folder)?;
        wait_for(
            "every process of the lab ending",
            Duration::from_secs(20),
            async || {
                let left = remains::processes(&folder);
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
        down(folder.lab()).await?;
        assert_eq!(remains::all(&folder), Vec::<String>::new());
    }
    Ok(())
}
