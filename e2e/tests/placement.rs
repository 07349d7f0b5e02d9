//! Which node announces: endpoints, faults, links.

use std::net::SocketAddr;
use std::time::Duration;

use bellwether_core::frame::beacon;
use bellwether_crds::condition::{BEACON_PATH_DEGRADED, SERVICE_ANNOUNCED};
use bellwether_e2e::cluster::{LAN_POOL, MOMENT, WEB, load_balancer, node_of};
use bellwether_e2e::fault::{EtherType, Fault, Network};
use bellwether_e2e::lab::wait_for;
use bellwether_e2e::{Lab, Result};

const LAB: &str = env!("CARGO_BIN_EXE_bellwether-lab");

async fn lab_with_web(replicas: &str) -> Result<Lab> {
    let lab = Lab::for_test(LAB, |_| {}).await?;
    lab.apply(LAN_POOL).await?;
    lab.apply(&WEB.replace("replicas: 3", &format!("replicas: {replicas}")))
        .await?;
    Ok(lab)
}

#[tokio::test]
async fn with_policy_local_only_a_node_with_a_ready_endpoint_announces() -> Result<()> {
    let lab = lab_with_web("1").await?;
    lab.apply(&load_balancer("web", "", "externalTrafficPolicy: Local"))
        .await?;
    let address = lab.wait_addresses("web", 1).await?[0];
    lab.wait_condition("web", SERVICE_ANNOUNCED, "True", "Announced")
        .await?;
    let pod = &lab.pods("web").await?[0];
    let (name, node) = (pod.metadata.name.clone().unwrap_or_default(), node_of(pod));
    assert_eq!(lab.wait_announcer(address, None, MOMENT).await?, node);
    lab.wait_traffic(SocketAddr::new(address, 80)).await?;

    // The only endpoint is not ready any more: nobody answers, and the condition says why.
    let unready = ["annotate", "pod", &name, "lab.bellwether.dev/ready=false"];
    lab.kubectl(&unready, "").await?;
    lab.wait_condition("web", SERVICE_ANNOUNCED, "False", "NoReadyEndpoint")
        .await?;
    wait_for("silence", MOMENT, async || {
        match lab.who_has(address).await {
            Ok(None) => Ok(()),
            answer => Err(format!("{answer:?}")),
        }
    })
    .await?;
    let ready = [
        "annotate",
        "--overwrite",
        "pod",
        &name,
        "lab.bellwether.dev/ready=true",
    ];
    lab.kubectl(&ready, "").await?;
    lab.wait_condition("web", SERVICE_ANNOUNCED, "True", "Announced")
        .await?;
    Ok(())
}

#[tokio::test]
async fn the_address_moves_when_its_node_is_cut_off() -> Result<()> {
    let lab = lab_with_web("3").await?;
    lab.apply(&load_balancer("web", "", "")).await?;
    let address = lab.wait_addresses("web", 1).await?[0];
    let node = lab.wait_announcer(address, None, MOMENT).await?;
    lab.fault(&node, Fault::Cut(Network::Both)).await?;
    let next = lab
        .wait_announcer(address, Some(&node), Duration::from_secs(40))
        .await?;
    assert_eq!(
        lab.who_has(address).await?,
        Some(lab.topology().host(&next)?.mac())
    );
    lab.fault(&node, Fault::Heal).await?;
    let speaker = wait_for(
        "the node becoming eligible again",
        Duration::from_secs(30),
        async || {
            let speaker = lab
                .speaker(&node)
                .await
                .map_err(|error| error.to_string())?;
            if speaker.spec.eligible {
                Ok(speaker)
            } else {
                Err(format!("{:?}", speaker.spec))
            }
        },
    );
    // Other speakers reach it on both networks.
    let host = lab.topology().host(&node)?.clone();
    let addresses = [host.management_ipv4(), host.ipv4()].map(|address| address.to_string());
    assert_eq!(
        speaker.await?.status.unwrap_or_default().addresses,
        addresses
    );
    Ok(())
}

#[tokio::test]
async fn an_excluded_or_cordoned_node_announces_nothing() -> Result<()> {
    let lab = lab_with_web("3").await?;
    lab.apply(&load_balancer("web", "", "")).await?;
    let address = lab.wait_addresses("web", 1).await?[0];
    let first = lab.wait_announcer(address, None, MOMENT).await?;
    let label = "node.kubernetes.io/exclude-from-external-load-balancers=";
    lab.kubectl(&["label", "node", &first, label], "").await?;
    let second = lab.wait_announcer(address, Some(&first), MOMENT).await?;
    lab.kubectl(&["cordon", &second], "").await?;
    let third = lab.wait_announcer(address, Some(&second), MOMENT).await?;
    assert_ne!(third, first);
    assert_eq!(
        lab.who_has(address).await?,
        Some(lab.topology().host(&third)?.mac())
    );
    Ok(())
}

#[tokio::test]
async fn a_new_mac_address_is_announced_at_once() -> Result<()> {
    let lab = lab_with_web("3").await?;
    lab.apply(&load_balancer("web", "", "")).await?;
    let address = lab.wait_addresses("web", 1).await?[0];
    let node = lab.wait_announcer(address, None, MOMENT).await?;
    assert!(lab.who_has(address).await?.is_some());
    // Nobody asks: the client's entry changes by the announcement alone.
    let mac = "02:00:00:00:aa:01";
    lab.exec(&node, &["ip", "link", "set", "eth0", "address", mac])
        .await?;
    let text = address.to_string();
    wait_for(
        "the client learning the new MAC address",
        MOMENT,
        async || {
            let shown = lab
                .exec("client", &["ip", "neighbour", "show", &text])
                .await;
            let shown = shown.map_err(|error| error.to_string())?;
            if shown.contains(mac) {
                Ok(())
            } else {
                Err(shown)
            }
        },
    )
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_network_that_drops_beacons_moves_nothing_and_is_named() -> Result<()> {
    let lab = lab_with_web("3").await?;
    lab.apply(&load_balancer("web", "", "")).await?;
    let address = lab.wait_addresses("web", 1).await?[0];
    let owner = lab.wait_announcer(address, None, MOMENT).await?;
    let said = async |status: &'static str, part: &str| {
        let what = format!("{BEACON_PATH_DEGRADED} {status} {part:?} on every Speaker");
        wait_for(&what, MOMENT, async || {
            for node in ["node-a", "node-b", "node-c"] {
                let speaker = lab.speaker(node).await.map_err(|error| error.to_string())?;
                let conditions = speaker.status.unwrap_or_default().conditions;
                let found = conditions
                    .into_iter()
                    .find(|condition| condition.type_ == BEACON_PATH_DEGRADED)
                    .ok_or_else(|| format!("{node} has none"))?;
                if found.status != status || (node != owner && !found.message.contains(part)) {
                    return Err(format!("{node}: {found:?}"));
                }
            }
            Ok(())
        })
        .await
    };
    said("False", "").await?;
    let ether_type = EtherType(beacon::ETHER_TYPE);
    lab.fault(&owner, Fault::Filter { ether_type }).await?;
    said("True", &owner).await?;
    assert_eq!(lab.wait_announcer(address, None, MOMENT).await?, owner);
    assert_eq!(
        lab.who_has(address).await?,
        Some(lab.topology().host(&owner)?.mac())
    );
    lab.fault(&owner, Fault::Heal).await?;
    said("False", "").await?;
    assert_eq!(lab.wait_announcer(address, None, MOMENT).await?, owner);
    Ok(())
}
