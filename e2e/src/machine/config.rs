//! What the programs of a machine are configured by.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::cgroup;
use crate::control_plane::{ControlPlane, Credentials, api_url};
use crate::error::{Context, Result};
use crate::image;
use crate::network::Host;

/// Where the container runtime listens, on each machine.
const SOCKET: &str = "/run/containerd/containerd.sock";

/// Where Debian and Ubuntu keep the CNI plugins.
pub const PLUGINS: &str = "/usr/lib/cni";

fn write(folder: &Path, name: &str, content: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    fs::write(&path, content).context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// The configuration of containerd, and that of the pods' network beside it.
pub fn containerd(disk: &Path, host: &Host) -> Result<PathBuf> {
    let networks = disk.join("networks");
    fs::create_dir_all(&networks).context(|| format!("cannot create {}", networks.display()))?;
    write(&networks, "10-lab.conflist", &network(host))?;
    let config = format!(
        r#"version = 2
root = "/var/lib/containerd"
state = "/run/containerd"

[grpc]
  address = "{SOCKET}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  # Where the lab may not lower it, every pod would fail.
  restrict_oom_score_adj = true
  tolerate_missing_hugetlb_controller = true

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{PLUGINS}"
    conf_dir = "{networks}"

  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
"#,
        pause = image::PAUSE,
        networks = networks.display(),
    );
    write(disk, "containerd.toml", &config)
}

/// Each pod has a link of its own to the node, which routes. On a bridge a pod that asks a Service
/// which is served beside it would need the kernel's `br_netfilter`, which not every kernel has.
fn network(host: &Host) -> String {
    let subnet = |address: String, length: u8| json!([{"subnet": format!("{address}/{length}")}]);
    json!({
        "cniVersion": "1.0.0", "name": "lab",
        "plugins": [
            {
                "type": "ptp", "ipMasq": false,
                "ipam": {
                    "type": "host-local",
                    // Gone with the power, like the pods that had the addresses.
                    "dataDir": "/run/addresses",
                    "ranges": [
                        subnet(host.pod_ipv4(0).to_string(), 24),
                        subnet(host.pod_ipv6(0).to_string(), 64),
                    ],
                    "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    })
    .to_string()
}

/// What a kubelet is configured by.
pub struct KubeletFiles {
    /// Its configuration.
    pub config: PathBuf,
    /// How it reaches the API server.
    pub kubeconfig: PathBuf,
}

/// The configuration of kubelet.
pub fn kubelet(
    disk: &Path,
    host: &Host,
    lab: &str,
    control_plane: &ControlPlane,
) -> Result<KubeletFiles> {
    let authority = control_plane.authority();
    let user = format!("system:node:{}", host.name);
    let client = authority.client(&user, Some("system:nodes"))?;
    let kubeconfig = control_plane.kubeconfig(&api_url(), &Credentials::Certificate(client));
    let (ipv4, ipv6) = (host.ipv4().to_string(), host.ipv6().to_string());
    let server = authority.server(&[&host.name, &ipv4, &ipv6])?;
    let certificate = write(disk, "kubelet.crt", &server.certificate)?;
    let key = write(disk, "kubelet.key", &server.key)?;
    let ca = write(disk, "ca.crt", &authority.certificate())?;
    let config = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": ca},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": certificate, "tlsPrivateKeyFile": key,
        "containerRuntimeEndpoint": format!("unix://{SOCKET}"),
        "cgroupDriver": "cgroupfs", "cgroupRoot": cgroup::of_node(lab, &host.name),
        "failCgroupV1": false, "enforceNodeAllocatable": ["pods"],
        "oomScoreAdj": 0, "failSwapOn": false,
        // The machine's own resolver is out of reach.
        "resolvConf": "",
        "volumePluginDir": "/var/lib/kubelet/plugins-exec",
        // The disk is the memory of a machine that others use too.
        "evictionHard": {"memory.available": "100Mi"},
        "imageGCHighThresholdPercent": 100,
        // A node counts as lost after ten seconds, not forty.
        "nodeStatusUpdateFrequency": "2s", "nodeLeaseDurationSeconds": 8,
    });
    Ok(KubeletFiles {
        config: write(disk, "kubelet.json", &config.to_string())?,
        kubeconfig: write(disk, "kubelet.kubeconfig", &kubeconfig)?,
    })
}
