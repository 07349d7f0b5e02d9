//! The control plane fails, restarts, changes its leader: no address changes, none is given twice.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bellwether_crds::condition::SERVICE_ANNOUNCED;
use bellwether_e2e::cluster::{LAN_POOL, WEB, ingress, load_balancer};
use bellwether_e2e::control::Action;
use bellwether_e2e::error::Context;
use bellwether_e2e::lab::wait_for;
use bellwether_e2e::{Lab, Result};
use k8s_openapi::api::core::v1::Service;
use kube::api::ListParams;
use kube::{Api, ResourceExt};

const LAB: &str = env!("CARGO_BIN_EXE_bellwether-lab");

const LARGE_POOL: &str = "\
apiVersion: bellwether.dev/v1beta1
kind: IPAddressPool
metadata: {name: large}
spec: {addresses: [198.51.100.0/24]}
";

/// Every address that a Service shows.
async fn all_addresses(lab: &Lab) -> Result<BTreeMap<String, Vec<IpAddr>>> {
    let api: Api<Service> = Api::all(lab.client());
    let list = api
        .list(&ListParams::default())
        .await
        .context(|| "cannot list Services".to_owned())?;
    Ok(list
        .iter()
        .map(|service| (service.name_any(), ingress(service)))
        .collect())
}

async fn wait_all_served(lab: &Lab, count: usize) -> Result<BTreeMap<String, Vec<IpAddr>>> {
    wait_for(
        "every Service showing an address",
        Duration::from_mins(1),
        async || {
            let all = all_addresses(lab)
                .await
                .map_err(|error| error.to_string())?;
            let served = all
                .values()
                .filter(|addresses| !addresses.is_empty())
                .count();
            if served == count {
                Ok(all)
            } else {
                Err(format!("{served} of {count}"))
            }
        },
    )
    .await
}

fn assert_distinct(all: &BTreeMap<String, Vec<IpAddr>>) {
    let addresses: Vec<IpAddr> = all.values().flatten().copied().collect();
    let distinct: BTreeSet<IpAddr> = addresses.iter().copied().collect();
    assert_eq!(
        addresses.len(),
        distinct.len(),
        "an address was given twice: {all:?}"
    );
}

/// Services without endpoints and node ports, which kube-proxy leaves alone.
fn many(range: std::ops::Range<u32>) -> String {
    let one = |number: u32| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: s{number}, labels: \
             {{service.kubernetes.io/service-proxy-name: none}}}}\nspec: {{type: LoadBalancer, \
             allocateLoadBalancerNodePorts: false, ports: [{{port: 80}}]}}\n---\n"
        )
    };
    range.map(one).collect()
}

#[tokio::test]
async fn two_hundred_services_keep_their_addresses_when_the_controller_restarts_or_dies()
-> Result<()> {
    let lab = Lab::for_test(LAB, |_| {}).await?;
    lab.apply(LARGE_POOL).await?;
    lab.apply(&many(0..200)).await?;
    let before = wait_all_served(&lab, 200).await?;
    assert_distinct(&before);

    // In order: the Lease is given back, and the other takes over at once.
    lab.act("controller-0", Action::Stop).await?;
    lab.apply(&many(200..201)).await?;
    wait_all_served(&lab, 201).await?;
    lab.act("controller-0", Action::Start).await?;
    // Not in order: the Lease has to run out.
    lab.act("controller-1", Action::Kill).await?;
    lab.apply(&many(201..205)).await?;
    let after = wait_all_served(&lab, 205).await?;
    assert_distinct(&after);
    for (name, addresses) in before {
        assert_eq!(after[&name], addresses, "{name} has moved");
    }
    Ok(())
}

#[tokio::test]
async fn complaint_3_1_30_announcing_goes_on_while_the_api_server_is_away_and_nothing_is_lost_after()
-> Result<()> {
    let lab = Lab::for_test(LAB, |_| {}).await?;
    lab.apply(LAN_POOL).await?;
    lab.apply(WEB).await?;
    lab.apply(&load_balancer("web", "", "")).await?;
    let address = lab.wait_addresses("web", 1).await?[0];
    lab.wait_condition("web", SERVICE_ANNOUNCED, "True", "Announced")
        .await?;
    lab.wait_traffic(SocketAddr::new(address, 80)).await?;

    lab.act("kube-apiserver", Action::Kill).await?;
    let probe = lab.probe(SocketAddr::new(address, 80))?;
    tokio::time::sleep(Duration::from_secs(30)).await;
    // Before asking anew, which makes the client forget the address for a moment.
    let report = probe.stop().await?;
    assert_eq!(report.lost, 0, "{report:?}");
    assert!(lab.who_has(address).await?.is_some(), "nobody answers");
    lab.act("kube-apiserver", Action::Start).await?;

    wait_for(
        "a new Service being served",
        Duration::from_mins(1),
        async || {
            let service = load_balancer("late", "", "");
            lab.apply(&service).await.map_err(|error| error.to_string())
        },
    )
    .await?;
    wait_for("its address", Duration::from_mins(1), async || {
        let late = lab
            .addresses("late")
            .await
            .map_err(|error| error.to_string())?;
        if late.len() == 1 {
            Ok(())
        } else {
            Err(format!("{late:?}"))
        }
    })
    .await?;
    assert_eq!(lab.addresses("web").await?, [address]);
    Ok(())
}

#[tokio::test]
async fn nothing_is_written_at_rest_and_what_cannot_be_decoded_stops_nothing() -> Result<()> {
    let lab = Lab::for_test(LAB, |_| {}).await?;
    lab.apply(LAN_POOL).await?;
    lab.apply(WEB).await?;
    // The schema lets it pass, but no address can be read from it.
    lab.apply(
        "apiVersion: bellwether.dev/v1beta1\nkind: Announcement\nmetadata: {name: foreign}\n\
         spec: {address: nonsense, pool: lan, services: []}\n",
    )
    .await?;
    for name in ["web", "mail"] {
        lab.apply(&load_balancer(name, "", "ipFamilyPolicy: PreferDualStack"))
            .await?;
        lab.wait_addresses(name, 2).await?;
        lab.wait_condition(name, SERVICE_ANNOUNCED, "True", "Announced")
            .await?;
    }
    // Counters follow at most a second later.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let before = lab.product_writes()?.len();
    assert!(before > 0, "the audit log shows nothing");
    tokio::time::sleep(Duration::from_mins(1)).await;
    let writes = lab.product_writes()?;
    assert_eq!(writes[before..], [], "written at rest");
    Ok(())
}
