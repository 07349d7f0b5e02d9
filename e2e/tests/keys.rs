//! The keys that speakers sign their beacons with: made by the controller, changed by the operator.

use bellwether_crds::beacon_keys::SECRET;
use bellwether_e2e::cluster::{LAN_POOL, MOMENT, load_balancer};
use bellwether_e2e::control::Action;
use bellwether_e2e::lab::wait_for;
use bellwether_e2e::{Lab, Result};

const LAB: &str = env!("CARGO_BIN_EXE_bellwether-lab");

const NODES: [&str; 3] = ["node-a", "node-b", "node-c"];

/// Waits until every speaker knows this many keys and signs with that one.
async fn wait_keys(lab: &Lab, known: u16, signing: u16) -> Result<()> {
    let what = format!("every speaker knowing {known} keys and signing with key {signing}");
    let wanted = [
        format!("bellwether_speaker_beacon_keys {known}"),
        format!("bellwether_speaker_beacon_signing_key {signing}"),
    ];
    wait_for(&what, MOMENT, async || {
        for node in NODES {
            let fetch = [LAB, "fetch", "127.0.0.1:7472", "/metrics"];
            let metrics = lab.exec(node, &fetch).await;
            let metrics = metrics.map_err(|error| error.to_string())?;
            let keys = metrics.lines().filter(|line| line.contains("_beacon_"));
            let keys: Vec<&str> = keys.filter(|line| !line.starts_with('#')).collect();
            if !wanted.iter().all(|line| keys.contains(&line.as_str())) {
                return Err(format!("{node}: {keys:?}"));
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn weakness_4_50_the_key_is_made_once_and_changed_in_three_sweeps_without_a_restart()
-> Result<()> {
    let lab = Lab::for_test(LAB, |_| {}).await?;
    wait_keys(&lab, 1, 1).await?;
    let here = ["--namespace", "bellwether-system"];
    let kubectl = async |args: &[&str]| lab.kubectl(&[&here[..], args].concat(), "").await;
    let cluster = "jsonpath={.metadata.annotations.bellwether\\.dev/cluster}";
    let uid = [
        "get",
        "namespace",
        "kube-system",
        "--output",
        "jsonpath={.metadata.uid}",
    ];
    assert_eq!(
        kubectl(&["get", "secret", SECRET, "--output", cluster]).await?,
        lab.kubectl(&uid, "").await?
    );

    let second = "{\"stringData\":{\"2\":\"a key of at least thirty-two octets\"}}";
    kubectl(&["patch", "secret", SECRET, "--patch", second]).await?;
    wait_keys(&lab, 2, 1).await?;
    let sign = [
        "annotate",
        "--overwrite",
        "secret",
        SECRET,
        "bellwether.dev/signing-key=2",
    ];
    kubectl(&sign).await?;
    wait_keys(&lab, 2, 2).await?;
    let remove = "{\"data\":{\"1\":null}}";
    kubectl(&["patch", "secret", SECRET, "--patch", remove]).await?;
    wait_keys(&lab, 1, 2).await?;

    // Another leader looks, and leaves it as it is.
    for controller in ["controller-0", "controller-1"] {
        lab.act(controller, Action::Stop).await?;
    }
    lab.act("controller-0", Action::Start).await?;
    lab.apply(LAN_POOL).await?;
    lab.apply(&load_balancer("web", "", "")).await?;
    lab.wait_addresses("web", 1).await?;
    wait_keys(&lab, 1, 2).await?;
    let writes = lab.product_writes()?;
    let secrets: Vec<_> = writes
        .iter()
        .filter(|write| write.resource == "secrets")
        .collect();
    assert_eq!(secrets.len(), 1, "{secrets:?}");
    Ok(())
}
