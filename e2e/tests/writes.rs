//! What the product writes, as the audit log of the API server tells it: what is needed, once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::IpAddr;
use std::time::Duration;

use bellwether_crds::Announcement;
use bellwether_crds::condition::SERVICE_ANNOUNCED;
use bellwether_e2e::audit::{AuditLog, AuditedWrite};
use bellwether_e2e::error::Context;
use bellwether_e2e::fault::Fault;
use bellwether_e2e::lab::wait_for;
use bellwether_e2e::{Lab, Result};
use k8s_openapi::api::core::v1::Service;
use kube::Api;
use kube::api::ListParams;

const LAB: &str = env!("CARGO_BIN_EXE_bellwether-lab");

const POOL: &str = "\
apiVersion: bellwether.dev/v1beta1
kind: IPAddressPool
metadata: {name: lan}
spec: {addresses: [192.0.2.128/25]}
---
apiVersion: bellwether.dev/v1beta1
kind: L2Advertisement
metadata: {name: all}
spec: {}
";

const SERVICES: usize = 60;

const LIMIT: Duration = Duration::from_mins(1);

/// Longer than anything that the product does from time to time: gateways are asked every 10 s.
const REST: Duration = Duration::from_secs(12);

fn services() -> String {
    (0..SERVICES).fold(String::new(), |mut all, number| {
        let _infallible = write!(
            all,
            "apiVersion: v1\nkind: Service\nmetadata: {{name: s{number}, labels: \
             {{service.kubernetes.io/service-proxy-name: none}}}}\nspec: {{type: LoadBalancer, \
             allocateLoadBalancerNodePorts: false, ports: [{{port: 80}}]}}\n---\n"
        );
        all
    })
}

async fn wait_all_announced(lab: &Lab) -> Result<()> {
    let api: Api<Service> = Api::namespaced(lab.client(), "default");
    wait_for("all Services being announced", LIMIT, async || {
        let list = api.list(&ListParams::default()).await;
        let list = list.map_err(|error| error.to_string())?;
        let is_announced = |service: &&Service| {
            let status = service.status.iter();
            let mut conditions = status.flat_map(|status| status.conditions.iter().flatten());
            conditions.any(|one| one.type_ == SERVICE_ANNOUNCED && one.status == "True")
        };
        match list.iter().filter(is_announced).count() {
            SERVICES => Ok(()),
            count => Err(format!("{count} are")),
        }
    })
    .await
}

/// Who announces each address.
async fn announcers(lab: &Lab) -> Result<BTreeMap<IpAddr, String>> {
    let api: Api<Announcement> = Api::all(lab.client());
    let list = api.list(&ListParams::default()).await;
    let list = list.context(|| "cannot list Announcements".to_owned())?;
    let node = |one: Announcement| Some((one.spec.address, one.status?.node?));
    Ok(list.into_iter().filter_map(node).collect())
}

async fn wait_nobody_on(lab: &Lab, gone: &[&str]) -> Result<BTreeMap<IpAddr, String>> {
    let what = format!("nothing being announced by {gone:?}");
    wait_for(&what, LIMIT, async || {
        let now = announcers(lab).await.map_err(|error| error.to_string())?;
        let left = now.values().filter(|node| gone.contains(&node.as_str()));
        match (left.count(), now.len()) {
            (0, SERVICES) => Ok(now),
            (left, all) => Err(format!("{left} of {all} are")),
        }
    })
    .await
}

async fn wait_ineligible(lab: &Lab, node: &str) -> Result<()> {
    wait_for("the node being no candidate any more", LIMIT, async || {
        let speaker = lab.speaker(node).await.map_err(|error| error.to_string())?;
        (!speaker.spec.eligible)
            .then_some(())
            .ok_or_else(|| "it is eligible".to_owned())
    })
    .await
}

/// How often each thing was written, refused or not, by resource and verb.
fn counts(writes: &[AuditedWrite]) -> BTreeMap<(&str, &str), usize> {
    let mut counts = BTreeMap::new();
    for write in writes {
        *counts.entry((&*write.resource, &*write.verb)).or_default() += 1;
    }
    counts
}

/// How often each object of a resource was written.
fn by_name<'a>(writes: &'a [AuditedWrite], resource: &str) -> BTreeMap<&'a str, usize> {
    let mut counts = BTreeMap::new();
    for write in writes.iter().filter(|write| write.resource == resource) {
        *counts.entry(&*write.name).or_default() += 1;
    }
    counts
}

fn assert_paced(writes: &[AuditedWrite], resource: &str) {
    let mut last: BTreeMap<&str, _> = BTreeMap::new();
    for write in writes.iter().filter(|write| write.resource == resource) {
        if let Some(before) = last.insert(&write.name, write.at) {
            // The pace is kept from the end of one write to the begin of the next.
            let pause = write.at.duration_since(before).as_millis();
            assert!(pause >= 1000, "{} was written after {pause} ms", write.name);
        }
    }
}

/// Nothing is written but the leader's own Lease, which the log leaves out.
async fn assert_rest(audit: &mut AuditLog) -> Result<()> {
    audit.settle().await?;
    let before = audit.read()?.len();
    tokio::time::sleep(REST).await;
    assert_eq!(audit.read()?[before..], []);
    Ok(())
}

#[tokio::test]
async fn what_is_needed_is_written_once_and_nothing_at_rest() -> Result<()> {
    let lab = Lab::for_test(LAB, |_| {}).await?;
    lab.apply(POOL).await?;
    let mut audit = AuditLog::of(lab.folder());
    audit.settle().await?;
    let before = audit.read()?.len();
    lab.apply(&services()).await?;
    wait_all_announced(&lab).await?;
    assert_rest(&mut audit).await?;

    let born = &audit.read()?[before..];
    let refused: Vec<_> = born.iter().filter(|write| !write.took_effect()).collect();
    assert!(refused.is_empty(), "{refused:?}");
    let per_object = [
        // The address with its condition, and that it is announced.
        ("services/status", 2),
        ("announcements/status", 1),
    ];
    for (resource, count) in per_object {
        let found = by_name(born, resource);
        assert_eq!(found.len(), SERVICES, "{resource}: {found:?}");
        let others: Vec<_> = found.iter().filter(|(_, found)| **found != count).collect();
        assert!(others.is_empty(), "{resource}: {others:?}");
    }
    let mut found = counts(born);
    for counters in ["ipaddresspools/status", "l2advertisements/status"] {
        assert_paced(born, counters);
        found.remove(&(counters, "patch"));
    }
    let expected = BTreeMap::from([
        (("announcements", "create"), SERVICES),
        (("announcements/status", "patch"), SERVICES),
        (("events", "create"), SERVICES),
        (("services/status", "patch"), 2 * SERVICES),
    ]);
    assert_eq!(found, expected);

    // A node fails: what it announced moves, and nothing else is touched.
    let before = audit.read()?.len();
    let was = announcers(&lab).await?;
    let gone = was.values().next().cloned().unwrap_or_default();
    lab.fault(&gone, Fault::Crash).await?;
    let is = wait_nobody_on(&lab, &[&gone]).await?;
    wait_ineligible(&lab, &gone).await?;
    audit.settle().await?;
    let failed = &audit.read()?[before..];
    let moved: BTreeSet<String> = is
        .iter()
        .filter(|(address, node)| was.get(address) != Some(node))
        .map(|(address, _)| address.to_string())
        .collect();
    let written = by_name(failed, "announcements/status");
    let written_once: BTreeMap<&str, usize> = moved.iter().map(|name| (&**name, 1)).collect();
    assert_eq!(written, written_once);
    let mut found = counts(failed);
    found.remove(&("announcements/status", "patch"));
    // Each move is told once.
    assert_eq!(found.remove(&("events", "create")), Some(moved.len()));
    // Its Speaker, the advertisement's nodes, and what the other two say of their links.
    let rest: usize = found.values().sum();
    assert!(rest <= 8, "{found:?}");

    // The last node is alone, and keeps all.
    let next = is.values().find(|node| **node != gone).cloned();
    let next = next.unwrap_or_default();
    lab.fault(&next, Fault::Crash).await?;
    wait_nobody_on(&lab, &[&gone, &next]).await?;
    assert_rest(&mut audit).await
}
