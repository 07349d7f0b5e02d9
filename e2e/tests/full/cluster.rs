//! What the tests ask of a cluster with real pods.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bellwether_crds::announcement::Announcement;
use bellwether_e2e::cluster::node_of;
use bellwether_e2e::error::Context;
use bellwether_e2e::lab::{ProxyMode, wait_for};
use bellwether_e2e::probe::Report;
use bellwether_e2e::{Lab, Result};
use kube::{Api, ResourceExt};

pub const LAB: &str = env!("CARGO_BIN_EXE_bellwether-lab");

/// How long is waited for what pods have to be started or ended for.
pub const A_WHILE: Duration = Duration::from_mins(2);

/// The namespace of the product, as an option of kubectl.
pub const IN_PRODUCT: &str = "--namespace=bellwether-system";

/// Three pods that answer on port 80. One that ends serves for its grace period, as a server should
/// that others still send to. It has a share of the processor, because without one it is the last on
/// its node to get any: while other pods start it then sleeps until its socket is full, and what the
/// probe misses was lost by the server.
pub const WEB: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 8
      containers:
      - name: web
        image: lab.bellwether.dev/web:1
        ports: [{containerPort: 80}]
        resources: {requests: {cpu: 250m}}
        readinessProbe: {tcpSocket: {port: 80}, periodSeconds: 1}
";

/// A full lab with Kubernetes alone.
pub async fn bare(mode: ProxyMode) -> Result<Lab> {
    Lab::for_test(LAB, |options| {
        options.kubelet = true;
        options.bare = true;
        options.proxy_mode = mode;
    })
    .await
}

/// Waits until all pods of `what` are ready, and none of another revision is left.
pub async fn rolled_out(lab: &Lab, what: &str, namespace: &str) -> Result<()> {
    let wait = ["rollout", "status", what, "--timeout=120s", namespace];
    lab.kubectl(&wait, "").await.map(drop)
}

/// Waits until the product runs everywhere.
pub async fn product_ready(lab: &Lab) -> Result<()> {
    for what in [
        "deployment/bellwether-controller",
        "daemonset/bellwether-speaker",
    ] {
        rolled_out(lab, what, IN_PRODUCT).await?;
    }
    Ok(())
}

/// What a client hears over HTTP.
pub async fn curl(lab: &Lab, args: &[&str]) -> Result<String> {
    let curl = [
        &[
            "curl",
            "--silent",
            "--show-error",
            "--fail",
            "--max-time",
            "5",
        ],
        args,
    ]
    .concat();
    lab.exec("client", &curl)
        .await
        .map(|text| text.trim().to_owned())
}

/// The address of `web`, once it is announced and answers.
pub async fn web_address(lab: &Lab) -> Result<IpAddr> {
    let address = lab.wait_addresses("web", 1).await?[0];
    lab.wait_traffic(SocketAddr::new(address, 80)).await?;
    Ok(address)
}

/// Probes `web` a thousand times a second while `change` is under way, and a second on either side.
pub async fn probed(
    lab: &Lab,
    address: IpAddr,
    change: impl Future<Output = Result<()>>,
) -> Result<Report> {
    let target = SocketAddr::new(address, 80);
    lab.wait_traffic(target).await?;
    let probe = lab.probe(target)?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    change.await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    probe.stop().await
}

/// Waits until a node is Ready, its speaker is, and it may announce.
pub async fn wait_node(lab: &Lab, node: &str) -> Result<()> {
    let name = format!("node/{node}");
    let ready = ["wait", "--for=condition=Ready", &name, "--timeout=60s"];
    lab.kubectl(&ready, "").await?;
    wait_for(
        &format!("the speaker of {node} being eligible"),
        A_WHILE,
        async || {
            let speaker = lab.speaker(node).await.map_err(|error| error.to_string())?;
            lab.check_speaker(node)
                .await
                .map_err(|error| error.to_string())?;
            if speaker.spec.eligible {
                Ok(())
            } else {
                Err(format!("{:?}", speaker.spec.reason))
            }
        },
    )
    .await
}

/// Lets no pod of `web` be on a node, so that what is measured is the address alone.
pub async fn keep_web_off(lab: &Lab, node: &str) -> Result<()> {
    lab.kubectl(&["taint", "node", node, "test=away:NoSchedule"], "")
        .await?;
    for pod in lab
        .pods("web")
        .await?
        .iter()
        .filter(|pod| node_of(pod) == node)
    {
        lab.kubectl(&["delete", "pod", &pod.name_any(), "--wait=true"], "")
            .await?;
    }
    rolled_out(lab, "deployment/web", "--namespace=default").await
}

/// Who announces which address, and in which term.
pub async fn owners(lab: &Lab) -> Result<Vec<(String, Option<String>, Option<i64>)>> {
    let api: Api<Announcement> = Api::all(lab.client());
    let all = api.list(&kube::api::ListParams::default()).await;
    let all = all.context(|| "cannot list Announcements".to_owned())?;
    let owner = |announcement: Announcement| {
        let name = announcement.name_any();
        let status = announcement.status.unwrap_or_default();
        (name, status.node, status.term)
    };
    Ok(all.items.into_iter().map(owner).collect())
}
