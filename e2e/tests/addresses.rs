//! Services get addresses on a real Kubernetes, and real frames lead to them.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

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

/// The MAC address of the node that says that it announces `address`.
async fn mac_of_announcer(lab: &Lab, address: IpAddr) -> Result<Option<String>> {
    let node = lab.wait_announcer(address, None, MOMENT).await?;
    Ok(Some(lab.topology().host(&node)?.mac()))
}

#[tokio::test]
async fn every_family_gets_an_address_that_answers_and_serves() -> Result<()> {
    let lab = lab_with_pool().await?;
    let rows = [
        (
            "four",
            "ipFamilyPolicy: SingleStack, ipFamilies: [IPv4]",
            &[true][..],
        ),
        (
            "six",
            "ipFamilyPolicy: SingleStack, ipFamilies: [IPv6]",
            &[false],
        ),
        (
            "both",
            "ipFamilyPolicy: RequireDualStack, ipFamilies: [IPv6, IPv4]",
            &[false, true],
        ),
        ("single", "ipFamilyPolicy: PreferDualStack", &[true, false]),
    ];
    for (name, spec, is_ipv4) in rows {
        lab.apply(&load_balancer(name, "", spec)).await?;
        let addresses = lab.wait_addresses(name, is_ipv4.len()).await?;
        let families: Vec<bool> = addresses.iter().map(IpAddr::is_ipv4).collect();
        assert_eq!(families, is_ipv4, "{name}: {addresses:?}");
        lab.wait_condition(name, SERVICE_ANNOUNCED, "True", "Announced")
            .await?;
        for address in addresses {
            assert_eq!(
                lab.who_has(address).await?,
                mac_of_announcer(&lab, address).await?
            );
            lab.wait_traffic(SocketAddr::new(address, 80)).await?;
        }
        lab.kubectl(&["delete", "service", name], "").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_pool_and_an_address_can_be_asked_for_and_what_cannot_be_met_is_said_and_heals()
-> Result<()> {
    let lab = lab_with_pool().await?;
    let wanted = "bellwether.dev/loadBalancerIPs: 192.0.2.140";
    lab.apply(&load_balancer("wanted", wanted, "")).await?;
    assert_eq!(
        lab.wait_addresses("wanted", 1).await?,
        [IpAddr::from([192, 0, 2, 140])]
    );

    let rows = [
        (
            "taken",
            "metallb.io/loadBalancerIPs: 192.0.2.140",
            "AddressInUse",
            "default/wanted",
        ),
        (
            "outside",
            "bellwether.dev/loadBalancerIPs: 203.0.113.9",
            "AddressOutsidePools",
            "203.0.113.9",
        ),
        (
            "family",
            "bellwether.dev/loadBalancerIPs: '2001:db8:0:1::1001'",
            "FamilyMismatch",
            "IPv4",
        ),
        (
            "unknown",
            "bellwether.dev/address-pool: blue",
            "PoolNotFound",
            "blue",
        ),
        (
            "contradicting",
            "bellwether.dev/address-pool: blue, metallb.io/address-pool: lan",
            "ContradictingAnnotations",
            "metallb.io/address-pool",
        ),
    ];
    for (name, annotation, reason, part) in rows {
        lab.apply(&load_balancer(name, annotation, "")).await?;
        let message = lab
            .wait_condition(name, SERVICE_ALLOCATED, "False", reason)
            .await?;
        assert!(message.contains(part), "{name}: {message}");
        // The event is written after the condition.
        wait_for("the event of a refusal", MOMENT, async || {
            let events = lab.events(name).await.map_err(|error| error.to_string())?;
            let said = events.iter().any(|(said, _)| said == reason);
            said.then_some(()).ok_or(format!("{name}: {events:?}"))
        })
        .await?;
    }
    // Another Service is served meanwhile.
    lab.apply(&load_balancer("other", "", "")).await?;
    lab.wait_addresses("other", 1).await?;

    // Each heals by itself once its obstacle is gone.
    lab.kubectl(&["delete", "service", "wanted"], "").await?;
    assert_eq!(
        lab.wait_addresses("taken", 1).await?,
        [IpAddr::from([192, 0, 2, 140])]
    );
    let blue = "apiVersion: bellwether.dev/v1beta1\nkind: IPAddressPool\n\
                metadata: {name: blue}\nspec: {addresses: [203.0.113.0/28], autoAssign: false}\n";
    lab.apply(blue).await?;
    assert_eq!(
        lab.wait_addresses("outside", 1).await?,
        [IpAddr::from([203, 0, 113, 9])]
    );
    let unknown = lab.wait_addresses("unknown", 1).await?;
    assert!(
        unknown[0].to_string().starts_with("203.0.113."),
        "{unknown:?}"
    );
    let drop = [
        "annotate",
        "service",
        "family",
        "bellwether.dev/loadBalancerIPs-",
    ];
    lab.kubectl(&drop, "").await?;
    lab.wait_addresses("family", 1).await?;
    Ok(())
}

#[tokio::test]
async fn an_exhausted_pool_says_so_and_a_freed_address_goes_to_the_one_that_waits() -> Result<()> {
    let lab = lab_with_pool().await?;
    lab.apply(
        "apiVersion: bellwether.dev/v1beta1\nkind: IPAddressPool\nmetadata: {name: one}\n\
         spec: {addresses: [192.0.2.200/32], autoAssign: false}\n",
    )
    .await?;
    let from_one = "bellwether.dev/address-pool: one";
    lab.apply(&load_balancer("first", from_one, "")).await?;
    let address = lab.wait_addresses("first", 1).await?[0];
    lab.apply(&load_balancer("second", from_one, "")).await?;
    lab.wait_condition("second", SERVICE_ALLOCATED, "False", "Exhausted")
        .await?;
    wait_for("the pool counting", MOMENT, async || {
        let status = lab
            .pool("one")
            .await
            .map_err(|error| error.to_string())?
            .status;
        let status = status.unwrap_or_default();
        let is_full = status
            .conditions
            .iter()
            .any(|c| c.type_ == "Exhausted" && c.status == "True");
        if status.assigned_ipv4 == 1 && status.available_ipv4 == 0 && is_full {
            Ok(())
        } else {
            Err(format!("{status:?}"))
        }
    })
    .await?;
    // It is freed by a change of type, not only by deletion.
    let patch = [
        "patch",
        "service",
        "first",
        "--patch",
        "{\"spec\":{\"type\":\"ClusterIP\"}}",
    ];
    lab.kubectl(&patch, "").await?;
    assert_eq!(lab.wait_addresses("second", 1).await?, [address]);
    let first = lab.service("first").await?.status.unwrap_or_default();
    assert!(
        first.conditions.unwrap_or_default().is_empty(),
        "nothing of ours stays"
    );
    Ok(())
}

#[tokio::test]
async fn nobody_answers_for_the_address_of_a_deleted_service() -> Result<()> {
    let lab = lab_with_pool().await?;
    lab.apply(&load_balancer("web", "", "ipFamilyPolicy: PreferDualStack"))
        .await?;
    let addresses = lab.wait_addresses("web", 2).await?;
    lab.wait_condition("web", SERVICE_ANNOUNCED, "True", "Announced")
        .await?;
    for &address in &addresses {
        assert!(lab.who_has(address).await?.is_some(), "{address}");
    }
    lab.kubectl(&["delete", "service", "web"], "").await?;
    for address in addresses {
        let what = format!("silence about {address}");
        // Each question waits a second for an answer: the first that gets none ends the wait.
        wait_for(&what, Duration::from_secs(2), async || {
            match lab.who_has(address).await {
                Ok(None) => Ok(()),
                answer => Err(format!("{answer:?}")),
            }
        })
        .await?;
    }
    Ok(())
}
