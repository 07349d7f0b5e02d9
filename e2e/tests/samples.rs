//! The samples of `manifests/samples` do what `docs/addresses.md` says of them.

use std::net::IpAddr;
use std::path::Path;

use bellwether_crds::condition::{READY, SERVICE_ALLOCATED};
use bellwether_crds::{IPAddressPool, L2Advertisement};
use bellwether_e2e::cluster::MOMENT;
use bellwether_e2e::error::{Context, Error};
use bellwether_e2e::lab::wait_for;
use bellwether_e2e::{Lab, Result};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

const LAB: &str = env!("CARGO_BIN_EXE_bellwether-lab");

fn samples() -> Result<Vec<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/samples");
    let failed = || format!("cannot read {}", folder.display());
    let entries = std::fs::read_dir(&folder).context(failed)?;
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<Vec<_>>>()
        .context(failed)?;
    paths.sort();
    paths
        .iter()
        .map(|path| std::fs::read_to_string(path).context(failed))
        .collect()
}

/// Whether one of `conditions` says that the object does what it is for.
fn is_ready(conditions: Vec<Condition>) -> std::result::Result<(), String> {
    let ready = conditions
        .into_iter()
        .find(|condition| condition.type_ == READY);
    match ready {
        Some(ready) if ready.status == "True" => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

#[tokio::test]
async fn each_sample_is_taken_and_does_what_it_says() -> Result<()> {
    let lab = Lab::for_test(LAB, |_| {}).await?;
    let samples = samples()?;
    assert!(samples.len() >= 5, "there are samples");
    for sample in &samples {
        lab.apply(sample).await?;
    }
    let client = lab.client();
    let pools: kube::Api<IPAddressPool> = kube::Api::all(client.clone());
    let advertisements: kube::Api<L2Advertisement> = kube::Api::all(client);
    for name in ["lan", "reserved"] {
        wait_for(&format!("pool {name} ready"), MOMENT, async || {
            let pool = pools.get(name).await.map_err(|error| error.to_string())?;
            is_ready(pool.status.unwrap_or_default().conditions)
        })
        .await?;
    }
    for name in ["all", "reserved"] {
        wait_for(&format!("advertisement {name} ready"), MOMENT, async || {
            let found = advertisements.get(name).await;
            let found = found.map_err(|error| error.to_string())?;
            is_ready(found.status.unwrap_or_default().conditions)
        })
        .await?;
    }
    let parse = |text: &str| {
        text.parse::<IpAddr>()
            .map_err(|error| Error::Unexpected(error.to_string()))
    };
    lab.wait_condition("web", SERVICE_ALLOCATED, "True", "Allocated")
        .await?;
    assert_eq!(
        lab.wait_addresses("web", 2).await?,
        [parse("192.0.2.210")?, parse("2001:db8::1010")?]
    );
    let udp = lab.wait_addresses("dns-udp", 1).await?;
    wait_for("both on one address", MOMENT, async || {
        let tcp = lab.wait_addresses("dns-tcp", 1).await;
        let tcp = tcp.map_err(|error| error.to_string())?;
        (tcp == udp)
            .then_some(())
            .ok_or(format!("{tcp:?} and {udp:?}"))
    })
    .await
}
