//! The lab plays kubelet: it registers the nodes, renews their Leases, and runs a process behind
//! every pod that is bound to one of them.
//!
//! A node that has no power, or cannot reach the API server, is not played any more, so that the
//! control plane sees it fail as it would see a real one fail.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::core::DynamicObject;
use kube::discovery::ApiResource;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use crate::error::{Context, Result};
use crate::network::{Host, run};
use crate::process::{Program, Running};

/// The annotation by which a test makes a pod unready: `"false"`.
pub const READY_ANNOTATION: &str = "lab.bellwether.dev/ready";

/// How often a node's Lease is renewed.
const RENEWAL: Duration = Duration::from_secs(2);

/// One node, as the API server sees it.
pub struct Kubelet {
    /// The node.
    pub host: Host,
    /// How it is. Pods run as long as there is power; the API server hears of the node as long as
    /// its kubelet can reach it.
    pub health: NodeHealth,
    /// A client with all rights.
    pub client: Client,
    /// Where pods log.
    pub logs: PathBuf,
}

/// How a node is. Clones share it.
#[derive(Clone, Debug)]
pub struct NodeHealth(Arc<[AtomicBool; 2]>);

impl NodeHealth {
    /// A node that is well.
    #[must_use]
    pub fn well() -> Self {
        Self(Arc::new([true, true].map(AtomicBool::new)))
    }

    /// Whether it has power.
    pub fn set_power(&self, on: bool) {
        self.0[0].store(on, Ordering::Relaxed);
    }

    /// Whether its kubelet runs and reaches the API server.
    pub fn set_connected(&self, on: bool) {
        self.0[1].store(on, Ordering::Relaxed);
    }

    fn has_power(&self) -> bool {
        self.0[0].load(Ordering::Relaxed)
    }

    fn is_connected(&self) -> bool {
        self.has_power() && self.0[1].load(Ordering::Relaxed)
    }
}

/// A pod that runs.
struct RunningPod {
    uid: String,
    addresses: [IpAddr; 2],
    ready: bool,
    process: Running,
}

impl Kubelet {
    /// Plays kubelet until it is dropped.
    pub async fn run(self) {
        let heartbeat = async {
            loop {
                if self.health.is_connected()
                    && let Err(error) = self.beat().await
                {
                    eprintln!("{}: {error}", self.host.name);
                }
                tokio::time::sleep(RENEWAL).await;
            }
        };
        tokio::join!(heartbeat, self.run_pods());
    }

    /// Renews the Lease, and puts the node's status right if the control plane took it for lost.
    async fn beat(&self) -> Result<()> {
        let name = &self.host.name;
        let params = PatchParams::apply("bellwether-lab").force();
        let now = k8s_openapi::jiff::Timestamp::now();
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": name, "namespace": "kube-node-lease"},
            "spec": {
                "holderIdentity": name, "leaseDurationSeconds": 8,
                "renewTime": format!("{now:.6}"),
            },
        });
        let resource = ApiResource::erase::<k8s_openapi::api::coordination::v1::Lease>(&());
        let leases: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), "kube-node-lease", &resource);
        leases
            .patch(name, &params, &Patch::Apply(lease))
            .await
            .context(|| "cannot renew a node's Lease".to_owned())?;

        let nodes: Api<Node> = Api::all(self.client.clone());
        let node = nodes
            .get_opt(name)
            .await
            .context(|| "cannot read a node".to_owned())?;
        let is_ready = node.as_ref().is_some_and(|node| {
            let conditions = node
                .status
                .iter()
                .flat_map(|status| status.conditions.iter().flatten());
            conditions
                .into_iter()
                .any(|c| c.type_ == "Ready" && c.status == "True")
        });
        if is_ready {
            return Ok(());
        }
        if node.is_none() {
            let labels = json!({"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"});
            let node = json!({
                "apiVersion": "v1", "kind": "Node",
                "metadata": {"name": name, "labels": labels},
            });
            nodes
                .patch(name, &params, &Patch::Apply(node))
                .await
                .context(|| "cannot register a node".to_owned())?;
        }
        let amounts = json!({"cpu": "8", "memory": "16Gi", "pods": "250"});
        let condition = json!({
            "type": "Ready", "status": "True", "reason": "KubeletReady",
            "message": "the lab plays kubelet",
            "lastHeartbeatTime": now.to_string(), "lastTransitionTime": now.to_string(),
        });
        let status = json!({
            "status": {
                "capacity": amounts, "allocatable": amounts, "conditions": [condition],
                "addresses": [
                    {"type": "InternalIP", "address": self.host.ipv4()},
                    {"type": "InternalIP", "address": self.host.ipv6()},
                    {"type": "Hostname", "address": name},
                ],
            },
        });
        nodes
            .patch_status(name, &PatchParams::default(), &Patch::Merge(status))
            .await
            .context(|| "cannot report a node".to_owned())?;
        Ok(())
    }

    async fn run_pods(&self) {
        let pods: Api<Pod> = Api::all(self.client.clone());
        let config =
            watcher::Config::default().fields(&format!("spec.nodeName={}", self.host.name));
        let mut stream = watcher(pods, config).default_backoff().boxed();
        let mut wanted: BTreeMap<String, Pod> = BTreeMap::new();
        let mut running: BTreeMap<String, RunningPod> = BTreeMap::new();
        let mut tick = tokio::time::interval(Duration::from_millis(500));
        loop {
            let event = tokio::select! {
                event = stream.next() => event,
                _ = tick.tick() => None,
            };
            match event {
                Some(Ok(Event::Apply(pod) | Event::InitApply(pod))) => {
                    wanted.insert(key(&pod), pod);
                }
                Some(Ok(Event::Delete(pod))) => {
                    wanted.remove(&key(&pod));
                }
                Some(Ok(Event::Init)) => wanted.clear(),
                Some(Ok(Event::InitDone)) | None => {}
                Some(Err(error)) => eprintln!("{}: {error}", self.host.name),
            }
            if !self.health.has_power() {
                // What ran here is gone.
                running.clear();
            }
            if !self.health.is_connected() {
                continue;
            }
            if let Err(error) = self.converge(&wanted, &mut running).await {
                eprintln!("{}: {error}", self.host.name);
            }
        }
    }

    async fn converge(
        &self,
        wanted: &BTreeMap<String, Pod>,
        running: &mut BTreeMap<String, RunningPod>,
    ) -> Result<()> {
        let stale: Vec<String> = running
            .iter()
            .filter(|(key, pod)| {
                wanted
                    .get(*key)
                    .is_none_or(|wanted| wanted.uid().as_deref() != Some(&pod.uid))
            })
            .map(|(key, _)| key.clone())
            .collect();
        for key in stale {
            self.stop(running.remove(&key)).await?;
        }
        for (key, pod) in wanted {
            if pod.metadata.deletion_timestamp.is_some() {
                self.stop(running.remove(key)).await?;
                self.forget(pod).await?;
                continue;
            }
            let ready = pod
                .annotations()
                .get(READY_ANNOTATION)
                .is_none_or(|value| value != "false");
            let known = running.get(key).map(|pod| pod.ready);
            if known == Some(ready) {
                continue;
            }
            if known.is_none() {
                let started = self.start(pod, running).await?;
                running.insert(key.clone(), started);
            }
            if let Some(entry) = running.get_mut(key) {
                self.report(pod, entry.addresses, ready).await?;
                entry.ready = ready;
            }
        }
        Ok(())
    }

    async fn start(&self, pod: &Pod, others: &BTreeMap<String, RunningPod>) -> Result<RunningPod> {
        let taken = |n: u8| {
            let address = IpAddr::from(self.host.pod_ipv4(n));
            others
                .values()
                .any(|other| other.addresses.contains(&address))
        };
        let number = (1..=u8::MAX).find(|&n| !taken(n)).unwrap_or(u8::MAX);
        let addresses = [
            IpAddr::from(self.host.pod_ipv4(number)),
            IpAddr::from(self.host.pod_ipv6(number)),
        ];
        for address in addresses {
            let address = address.to_string();
            run(
                "ip",
                &[
                    "-n",
                    &self.host.name,
                    "addr",
                    "replace",
                    &address,
                    "dev",
                    "lo",
                ],
            )
            .await?;
        }
        let name = pod.name_any();
        let mut args = vec!["pod".to_owned(), "--name".to_owned(), name.clone()];
        for address in addresses {
            args.extend(["--address".to_owned(), address.to_string()]);
        }
        let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
        for port in containers.flat_map(|container| container.ports.iter().flatten()) {
            args.extend(["--port".to_owned(), port.container_port.to_string()]);
        }
        let executable = std::env::current_exe().context(|| "cannot find myself".to_owned())?;
        let program = Program::new(&format!("pod-{name}"), &executable, args).on(&self.host.name);
        Ok(RunningPod {
            uid: pod.uid().unwrap_or_default(),
            addresses,
            ready: false,
            process: program.start(&self.logs)?,
        })
    }

    async fn stop(&self, pod: Option<RunningPod>) -> Result<()> {
        let Some(mut pod) = pod else { return Ok(()) };
        pod.process.signal(nix::sys::signal::Signal::SIGKILL)?;
        pod.process.wait().await?;
        for address in pod.addresses {
            let address = address.to_string();
            run(
                "ip",
                &["-n", &self.host.name, "addr", "del", &address, "dev", "lo"],
            )
            .await?;
        }
        Ok(())
    }

    async fn report(&self, pod: &Pod, addresses: [IpAddr; 2], ready: bool) -> Result<()> {
        let status = if ready { "True" } else { "False" };
        let condition = |kind: &str| json!({"type": kind, "status": status});
        let started = k8s_openapi::jiff::Timestamp::now().to_string();
        let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
        let containers: Vec<_> = containers
            .map(|container| {
                json!({
                    "name": container.name, "image": container.image, "imageID": "",
                    "ready": ready, "restartCount": 0,
                    "state": {"running": {"startedAt": started}},
                })
            })
            .collect();
        let patch = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": pod.name_any()},
            "status": {
                "phase": "Running",
                "podIP": addresses[0],
                "podIPs": addresses.map(|address| json!({"ip": address})),
                "conditions": [condition("Ready"), condition("ContainersReady")],
                "containerStatuses": containers,
            },
        });
        self.pods_of(pod)
            .patch_status(
                &pod.name_any(),
                &PatchParams::apply("bellwether-lab").force(),
                &Patch::Apply(patch),
            )
            .await
            .context(|| format!("cannot report pod {}", pod.name_any()))?;
        Ok(())
    }

    async fn forget(&self, pod: &Pod) -> Result<()> {
        let params = DeleteParams::default().grace_period(0);
        match self.pods_of(pod).delete(&pod.name_any(), &params).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            result => {
                result.context(|| format!("cannot delete pod {}", pod.name_any()))?;
                Ok(())
            }
        }
    }

    fn pods_of(&self, pod: &Pod) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &pod.namespace().unwrap_or_default())
    }
}

fn key(pod: &Pod) -> String {
    format!("{}/{}", pod.namespace().unwrap_or_default(), pod.name_any())
}
