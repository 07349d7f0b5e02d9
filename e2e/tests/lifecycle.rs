//! What becomes of addresses while Services, pools and nodes change.

use std::net::IpAddr;

use bellwether_crds::condition::{SERVICE_ALLOCATED, SERVICE_ANNOUNCED};
use bellwether_e2e::cluster::{LAN_POOL, MOMENT, WEB, load_balancer};
use bellwether_e2e::control::Action;
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

/// A pool that only those get addresses of who ask for it.
fn pool(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: bellwether.dev/v1beta1\nkind: IPAddressPool\nmetadata: {{name: {name}}}\n\
         spec: {{{spec}, autoAssign: false}}\n"
    )
}

/// Waits until the pool has the condition `kind` with `reason`, and returns its message.
async fn wait_pool(lab: &Lab, name: &str, kind: &str, reason: &str) -> Result<String> {
    wait_for(&format!("{reason} of pool {name}"), MOMENT, async || {
        let pool = lab.pool(name).await.map_err(|error| error.to_string())?;
        let conditions = pool.status.unwrap_or_default().conditions;
        let found = conditions.iter().find(|condition| condition.type_ == kind);
        match found {
            Some(condition) if condition.reason == reason => Ok(condition.message.clone()),
            _ => Err(format!("{conditions:?}")),
        }
    })
    .await
}

#[tokio::test]
async fn a_pool_tells_of_overlaps_and_of_addresses_that_it_does_not_give_any_more() -> Result<()> {
    let lab = lab_with_pool().await?;
    lab.apply(&pool("old", "addresses: [192.0.2.192/30]"))
        .await?;
    wait_pool(&lab, "old", "Ready", "Valid").await?;
    let from_old = "bellwether.dev/address-pool: old";
    lab.apply(&load_balancer("web", from_old, "")).await?;
    let before = lab.wait_addresses("web", 1).await?;

    lab.apply(&pool("young", "addresses: [192.0.2.192/29]"))
        .await?;
    for (name, other) in [("old", "young"), ("young", "old")] {
        let message = wait_pool(&lab, name, "Overlapping", "Overlap").await?;
        let expected = format!("pool {other} has 192.0.2.192/30 too");
        assert!(message.starts_with(&expected), "{name}: {message}");
    }
    lab.kubectl(&["delete", "ipaddresspool", "young"], "")
        .await?;
    wait_pool(&lab, "old", "Overlapping", "NoOverlap").await?;

    // The pool loses the address that is in use: nobody loses it, and both say so.
    lab.apply(&pool("old", "addresses: [198.51.100.0/30]"))
        .await?;
    let message = wait_pool(&lab, "old", "HasStrays", "Strays").await?;
    let stray = format!("{} of Service default/web", before[0]);
    assert!(message.contains(&stray), "{message}");
    lab.wait_condition("web", SERVICE_ALLOCATED, "True", "AddressOutsidePools")
        .await?;
    assert_eq!(lab.wait_addresses("web", 1).await?, before);
    let ask = [
        "annotate",
        "service",
        "web",
        "bellwether.dev/reallocate=true",
    ];
    lab.kubectl(&ask, "").await?;
    wait_pool(&lab, "old", "HasStrays", "NoStrays").await?;
    lab.wait_condition("web", SERVICE_ALLOCATED, "True", "Allocated")
        .await?;
    let table = lab.kubectl(&["get", "pools"], "").await?;
    // What tells at a glance fits a terminal; the list of addresses comes last.
    let header = table.lines().next().unwrap_or_default();
    let glance = header.find("ADDRESSES").unwrap_or(usize::MAX);
    assert!(glance < 100, "{table}");
    for column in ["IPV4 USED", "IPV6 FREE", "READY", "OVERLAPS", "NEARLY FULL"] {
        assert!(header.contains(column), "{table}");
    }
    Ok(())
}

#[tokio::test]
async fn weakness_4_20_a_speaker_tells_of_a_link_that_is_named_and_that_its_node_lacks()
-> Result<()> {
    let lab = lab_with_pool().await?;
    lab.apply(
        "apiVersion: bellwether.dev/v1beta1\nkind: L2Advertisement\nmetadata: {name: all}\n\
         spec: {interfaces: [eth0, eth7]}\n",
    )
    .await?;
    lab.apply(&load_balancer("web", "", "")).await?;
    lab.wait_condition("web", SERVICE_ANNOUNCED, "True", "Announced")
        .await?;
    wait_for("the missing link being told", MOMENT, async || {
        let speaker = lab
            .speaker("node-a")
            .await
            .map_err(|error| error.to_string())?;
        let conditions = speaker.status.unwrap_or_default().conditions;
        let told = conditions.iter().any(|condition| {
            condition.type_ == "InterfacesMissing" && condition.message.contains("eth7")
        });
        told.then_some(()).ok_or(format!("{conditions:?}"))
    })
    .await
}

#[tokio::test]
async fn a_freed_address_goes_on_resting_when_the_controller_restarts() -> Result<()> {
    let lab = lab_with_pool().await?;
    let spec = "addresses: [192.0.2.200/32], cooldown: 1h";
    lab.apply(&pool("one", spec)).await?;
    let from_one = "bellwether.dev/address-pool: one";
    lab.apply(&load_balancer("first", from_one, "")).await?;
    let before = lab.wait_addresses("first", 1).await?;
    lab.kubectl(&["delete", "service", "first"], "").await?;
    wait_for("the address resting", MOMENT, async || {
        let pool = lab.pool("one").await.map_err(|error| error.to_string())?;
        let status = pool.status.unwrap_or_default();
        let rests = status.resting_ipv4 == 1 && status.resting.len() == 1;
        rests.then_some(()).ok_or(format!("{status:?}"))
    })
    .await?;
    for controller in ["controller-0", "controller-1"] {
        lab.act(controller, Action::Stop).await?;
    }
    lab.act("controller-0", Action::Start).await?;
    // Another Service waits for it; the one that had it gets it back at once.
    lab.apply(&load_balancer("second", from_one, "")).await?;
    lab.wait_condition("second", SERVICE_ALLOCATED, "False", "Exhausted")
        .await?;
    lab.apply(&load_balancer("first", from_one, "")).await?;
    assert_eq!(lab.wait_addresses("first", 1).await?, before);
    Ok(())
}

#[tokio::test]
async fn a_namespace_goes_while_no_controller_runs_and_its_address_comes_back() -> Result<()> {
    let lab = lab_with_pool().await?;
    lab.apply(&pool("one", "addresses: [192.0.2.200/32]"))
        .await?;
    let from_one = "bellwether.dev/address-pool: one";
    lab.kubectl(&["create", "namespace", "shop"], "").await?;
    let gone = load_balancer("web", from_one, "");
    let apply = ["apply", "--namespace=shop", "--filename", "-"];
    lab.kubectl(&apply, &gone).await?;
    lab.apply(&load_balancer("waits", from_one, "")).await?;
    lab.wait_condition("waits", SERVICE_ALLOCATED, "False", "Exhausted")
        .await?;
    for controller in ["controller-0", "controller-1"] {
        lab.act(controller, Action::Stop).await?;
    }
    // Nothing of ours holds it up: kubectl waits until it is gone.
    let delete = ["delete", "namespace", "shop", "--timeout=60s"];
    lab.kubectl(&delete, "").await?;
    assert_eq!(lab.addresses("waits").await?, Vec::<IpAddr>::new());
    lab.act("controller-0", Action::Start).await?;
    let address = lab.wait_addresses("waits", 1).await?;
    assert_eq!(address, [IpAddr::from([192, 0, 2, 200])]);
    lab.wait_condition("waits", SERVICE_ANNOUNCED, "True", "Announced")
        .await?;
    Ok(())
}
