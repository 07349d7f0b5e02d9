//! What becomes of addresses while Services, pools and nodes change.

use std::net::IpAddr;

use bellwether_crds::condition::{SERVICE_ALLOCATED, SERVICE_ANNOUNCED};
use bellwether_e2e::cluster::{LAN_POOL, MOMENT, WEB, load_balancer};
use bellwether_e2e::lab::wait_for;
use bellwether_e2e::{Lab, Result};

const LAB: &str = env!("CARGO_BIN_EXE_bellwether-lab");

async fn lab_with_pool() -> Result<Lab> {
    let lab = Lab::for_test(LAB, |_| {}).await?;
    lab.apply(LAN_POOL).await?;
    lab.apply(WEB).await?;
    Ok(lab)
}

#[tokio::test]
async fn a_service_moves_when_it_asks_to_and_the_annotation_is_removed() -> Result<()> {
    let lab = lab_with_pool().await?;
    lab.apply(&load_balancer("web", "", "")).await?;
    let before = lab.wait_addresses("web", 1).await?;
    let note = "example.com/note=stays";
    let ask = [
        "annotate",
        "service",
        "web",
        "bellwether.dev/reallocate=true",
        note,
    ];
    lab.kubectl(&ask, "").await?;
    wait_for("the annotation to go", MOMENT, async || {
        let service = lab
            .service("web")
            .await
            .map_err(|error| error.to_string())?;
        let annotations = service.metadata.annotations.unwrap_or_default();
        let is_done = !annotations.contains_key("bellwether.dev/reallocate")
            && annotations.contains_key("example.com/note");
        is_done.then_some(()).ok_or(format!("{annotations:?}"))
    })
    .await?;
    let after = lab.wait_addresses("web", 1).await?;
    assert_ne!(after, before);
    lab.wait_condition("web", SERVICE_ALLOCATED, "True", "Allocated")
        .await?;
    lab.wait_condition("web", SERVICE_ANNOUNCED, "True", "Announced")
        .await?;
    // Who asks for the old one gets it.
    let old: IpAddr = before[0];
    let wanted = format!("bellwether.dev/loadBalancerIPs: {old}");
    lab.apply(&load_balancer("other", &wanted, "")).await?;
    assert_eq!(lab.wait_addresses("other", 1).await?, [old]);
    Ok(())
}
