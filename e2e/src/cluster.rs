//! What tests and the demo ask of a lab's cluster, in their own words.

use std::net::{IpAddr, SocketAddr};
use std::process::Stdio;
use std::time::Duration;

use bellwether_crds::announcement::{Announcement, name_of};
use bellwether_crds::{IPAddressPool, NAMESPACE, Speaker};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Event, Pod, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use tokio::io::AsyncWriteExt;
use tokio::process::Child;

use crate::audit::{AuditLog, AuditedWrite};
use crate::binaries;
use crate::error::{Context, Error, Result};
use crate::lab::{Lab, wait_for};
use crate::probe::Report;
use crate::process::stdout_of;
use crate::product::way_of_controller;

/// How long is waited for something that takes the cluster a moment.
pub const MOMENT: Duration = Duration::from_secs(15);

/// A pool of 16 IPv4 and 4096 IPv6 addresses of the LAN, and an advertisement of all pools.
pub const LAN_POOL: &str = "\
apiVersion: bellwether.dev/v1beta1
kind: IPAddressPool
metadata: {name: lan}
spec:
  addresses: [192.0.2.128/28, '2001:db8:0:1::1000/116']
---
apiVersion: bellwether.dev/v1beta1
kind: L2Advertisement
metadata: {name: all}
spec: {}
";

/// A Deployment `web` of three pods on port 80.
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
      containers:
      - {name: web, image: web, ports: [{containerPort: 80}]}
";

/// A Service of type LoadBalancer in front of `web`, with these annotations and further fields of
/// the spec, both in YAML's flow style: `a: b, c: d`.
#[must_use]
pub fn load_balancer(name: &str, annotations: &str, spec: &str) -> String {
    let rest = if spec.is_empty() {
        String::new()
    } else {
        format!(", {spec}")
    };
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, annotations: {{{annotations}}}}}\n\
         spec: {{type: LoadBalancer, selector: {{app: web}}, ports: [{{name: tcp, port: 80}}, \
         {{name: udp, protocol: UDP, port: 80}}]{rest}}}\n"
    )
}

/// A probe that runs on a host of the lab.
pub struct RunningProbe(Child);

impl RunningProbe {
    /// Ends it and returns what it saw.
    pub async fn stop(mut self) -> Result<Report> {
        // It ends when its standard input is closed.
        drop(self.0.stdin.take());
        let output = self
            .0
            .wait_with_output()
            .await
            .context(|| "cannot wait for a probe".to_owned())?;
        serde_json::from_slice(&output.stdout)
            .map_err(|error| Error::Unexpected(format!("a probe printed nonsense: {error}")))
    }
}

impl Lab {
    /// Runs kubectl as the administrator, with `input` on its standard input.
    pub async fn kubectl(&self, args: &[&str], input: &str) -> Result<String> {
        let programs = binaries::find_or_build()?;
        let kubectl = programs
            .get("kubectl")
            .ok_or_else(|| Error::Unexpected("there is no kubectl".to_owned()))?;
        let failed = || "cannot run kubectl".to_owned();
        let mut child = tokio::process::Command::new(kubectl)
            .env("KUBECONFIG", self.folder().kubeconfig())
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context(failed)?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes()).await.context(failed)?;
        }
        let output = child.wait_with_output().await.context(failed)?;
        stdout_of(&format!("kubectl {}", args.join(" ")), &output)
    }

    /// Applies YAML, as `kubectl apply --filename -` does.
    pub async fn apply(&self, yaml: &str) -> Result<()> {
        self.kubectl(&["apply", "--filename", "-"], yaml)
            .await
            .map(drop)
    }

    /// A Service, by its name in the namespace `default`.
    pub async fn service(&self, name: &str) -> Result<Service> {
        let api: Api<Service> = Api::namespaced(self.client(), "default");
        api.get(name)
            .await
            .context(|| format!("cannot read Service {name}"))
    }

    /// The addresses that a Service shows.
    pub async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>> {
        Ok(ingress(&self.service(name).await?))
    }

    /// Waits until a Service shows `count` addresses.
    pub async fn wait_addresses(&self, name: &str, count: usize) -> Result<Vec<IpAddr>> {
        let what = format!("Service {name} showing {count} addresses");
        wait_for(&what, MOMENT, async || {
            let service = self
                .service(name)
                .await
                .map_err(|error| error.to_string())?;
            let addresses = ingress(&service);
            if addresses.len() == count {
                Ok(addresses)
            } else {
                Err(format!("{addresses:?}, {:?}", conditions(&service)))
            }
        })
        .await
    }

    /// Waits until a condition of a Service has this status and reason, and returns its message.
    pub async fn wait_condition(
        &self,
        name: &str,
        kind: &str,
        status: &str,
        reason: &str,
    ) -> Result<String> {
        let what = format!("the condition {kind} of Service {name} becoming {status}, {reason}");
        wait_for(&what, MOMENT, async || {
            let service = self
                .service(name)
                .await
                .map_err(|error| error.to_string())?;
            let all = conditions(&service);
            all.iter()
                .find(|found| {
                    found.type_ == kind && found.status == status && found.reason == reason
                })
                .map(|found| found.message.clone())
                .ok_or_else(|| format!("{all:?}"))
        })
        .await
    }

    /// The node that announces an address, as its Announcement says.
    pub async fn announcer(&self, address: IpAddr) -> Result<Option<String>> {
        let api: Api<Announcement> = Api::all(self.client());
        let found = api
            .get_opt(&name_of(address))
            .await
            .context(|| format!("cannot read the Announcement of {address}"))?;
        Ok(found
            .and_then(|found| found.status)
            .and_then(|status| status.node))
    }

    /// Waits until a node announces an address that is not `other`.
    pub async fn wait_announcer(
        &self,
        address: IpAddr,
        other: Option<&str>,
        limit: Duration,
    ) -> Result<String> {
        let what = format!("{address} being announced by a node that is not {other:?}");
        wait_for(&what, limit, async || {
            let node = self
                .announcer(address)
                .await
                .map_err(|error| error.to_string())?;
            match node {
                Some(node) if Some(node.as_str()) != other => Ok(node),
                node => Err(format!("{node:?}")),
            }
        })
        .await
    }

    /// Forgets who has `address` on the client, asks, and returns the MAC address of who answers
    /// within a second. The kernel's own ARP and NDP ask.
    pub async fn who_has(&self, address: IpAddr) -> Result<Option<String>> {
        let text = address.to_string();
        let flush = ["ip", "neighbour", "flush", "dev", "eth0", "to", &text];
        self.exec("client", &flush).await?;
        let target = SocketAddr::new(address, 9).to_string();
        let executable = self.executable().display().to_string();
        let knock = [&executable, "knock", &target];
        self.exec("client", &knock).await?;
        let deadline = tokio::time::Instant::now() + Duration::from_secs(1);
        loop {
            let shown = self
                .exec("client", &["ip", "neighbour", "show", &text])
                .await?;
            let mut words = shown.split_whitespace();
            if let Some(mac) = words.by_ref().skip_while(|&word| word != "lladdr").nth(1) {
                return Ok(Some(mac.to_owned()));
            }
            if tokio::time::Instant::now() >= deadline {
                return Ok(None);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Starts a probe on the client: a datagram each millisecond.
    pub fn probe(&self, target: SocketAddr) -> Result<RunningProbe> {
        let child = self
            .command("client", self.executable())
            .args(["probe", &target.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context(|| "cannot start a probe".to_owned())?;
        Ok(RunningProbe(child))
    }

    /// Waits until a probe of half a second loses nothing, so that kube-proxy has caught up.
    pub async fn wait_traffic(&self, target: SocketAddr) -> Result<Report> {
        wait_for(
            &format!("traffic to {target} being answered"),
            MOMENT,
            async || {
                let probe = self.probe(target).map_err(|error| error.to_string())?;
                tokio::time::sleep(Duration::from_millis(500)).await;
                let report = probe.stop().await.map_err(|error| error.to_string())?;
                if report.lost == 0 && report.sent > 0 {
                    Ok(report)
                } else {
                    Err(format!("{report:?}"))
                }
            },
        )
        .await
    }

    /// The pods with this value of the label `app`.
    pub async fn pods(&self, app: &str) -> Result<Vec<Pod>> {
        let api: Api<Pod> = Api::namespaced(self.client(), "default");
        let params = ListParams::default().labels(&format!("app={app}"));
        Ok(api
            .list(&params)
            .await
            .context(|| "cannot list pods".to_owned())?
            .items)
    }

    /// The notes of all events on a Service, with their reasons.
    pub async fn events(&self, service: &str) -> Result<Vec<(String, String)>> {
        let api: Api<Event> = Api::namespaced(self.client(), "default");
        let params = ListParams::default().fields(&format!("involvedObject.name={service}"));
        let events = api
            .list(&params)
            .await
            .context(|| "cannot list events".to_owned())?;
        let text = |event: Event| {
            (
                event.reason.unwrap_or_default(),
                event.message.unwrap_or_default(),
            )
        };
        Ok(events.items.into_iter().map(text).collect())
    }

    /// What the product has written since the lab came up, the leader's Lease apart, in order.
    pub fn product_writes(&self) -> Result<Vec<AuditedWrite>> {
        let mut log = AuditLog::of(self.folder());
        log.read()?;
        Ok(log.into_writes())
    }

    /// Cuts a replica of the controller off the API server: what it sends goes nowhere, unsaid.
    pub async fn cut_controller(&self, number: u16) -> Result<()> {
        let way = way_of_controller(number);
        let rules = format!(
            "table ip cut-{number} {{ chain input {{ type filter hook input priority 0; \
             ip daddr {way} drop; ip saddr {way} drop; }}; }}"
        );
        self.exec("control-plane", &["nft", &rules]).await.map(drop)
    }

    /// Undoes [`Self::cut_controller`].
    pub async fn join_controller(&self, number: u16) -> Result<()> {
        let table = format!("cut-{number}");
        let delete = ["nft", "delete", "table", "ip", &table];
        self.exec("control-plane", &delete).await.map(drop)
    }

    /// The replica of the controller that holds the Lease.
    pub async fn leader(&self) -> Result<Option<String>> {
        let api: Api<Lease> = Api::namespaced(self.client(), NAMESPACE);
        let lease = api
            .get_opt("bellwether-controller")
            .await
            .context(|| "cannot read the Lease of the controller".to_owned())?;
        let holder = lease.and_then(|lease| lease.spec?.holder_identity);
        Ok(holder.filter(|holder| !holder.is_empty()))
    }

    /// A pool.
    pub async fn pool(&self, name: &str) -> Result<IPAddressPool> {
        let api: Api<IPAddressPool> = Api::all(self.client());
        api.get(name)
            .await
            .context(|| format!("cannot read pool {name}"))
    }

    /// Makes sure that the speaker of a node says that it is ready.
    pub async fn check_speaker(&self, node: &str) -> Result<()> {
        let executable = self.executable().display().to_string();
        let fetch = [&executable, "fetch", "127.0.0.1:7473", "/readyz"];
        self.exec(node, &fetch).await.map(drop)
    }

    /// A Speaker.
    pub async fn speaker(&self, node: &str) -> Result<Speaker> {
        let api: Api<Speaker> = Api::all(self.client());
        api.get(node)
            .await
            .context(|| format!("cannot read Speaker {node}"))
    }
}

/// The addresses that a Service shows.
#[must_use]
pub fn ingress(service: &Service) -> Vec<IpAddr> {
    let status = service
        .status
        .as_ref()
        .and_then(|status| status.load_balancer.as_ref());
    let entries = status.and_then(|status| status.ingress.as_ref());
    entries
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ip.as_deref()?.parse().ok())
        .collect()
}

fn conditions(service: &Service) -> Vec<Condition> {
    service
        .status
        .as_ref()
        .and_then(|status| status.conditions.clone())
        .unwrap_or_default()
}

/// The node that a pod runs on.
#[must_use]
pub fn node_of(pod: &Pod) -> String {
    let spec = pod.spec.as_ref();
    spec.and_then(|spec| spec.node_name.clone())
        .unwrap_or_else(|| format!("{} is pending", pod.name_any()))
}
