//! The control plane: etcd, kube-apiserver, kube-controller-manager, kube-scheduler, and kube-proxy
//! for each node, as the real binaries with RBAC on.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::Client;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use serde_json::json;

use crate::certificates::{Authority, Pair, signing_key};
use crate::control::Folder;
use crate::error::{Context, Error, Result};
use crate::lab::{LabOptions, MOST_CONTROLLERS, ProxyMode, wait_for};
use crate::network::{API_ADDRESS, API_PORT, Host, POD_NETWORKS, SERVICE_NETWORKS};
use crate::process::Program;
use crate::product::way_of_controller;

/// How to reach the API server as somebody.
pub enum Credentials {
    /// By a client certificate.
    Certificate(Pair),
    /// By the token of a ServiceAccount.
    Token(String),
}

/// The keys and certificates of a lab, and the configuration made of them.
pub struct ControlPlane {
    authority: Authority,
    scratch: PathBuf,
    programs: BTreeMap<String, PathBuf>,
    /// Whether the nodes have real kubelets.
    kubelets: bool,
}

impl ControlPlane {
    /// Makes the keys and certificates, and writes them below the lab's scratch folder.
    pub fn new(
        folder: &Folder,
        programs: BTreeMap<String, PathBuf>,
        kubelets: bool,
    ) -> Result<Self> {
        let authority = Authority::new()?;
        let this = Self {
            authority,
            scratch: folder.scratch(),
            programs,
            kubelets,
        };
        let ways: Vec<String> = (0..MOST_CONTROLLERS)
            .map(|number| way_of_controller(number).to_string())
            .collect();
        let mut names = vec![
            "localhost",
            "kubernetes.default.svc",
            "127.0.0.1",
            API_ADDRESS,
            "10.96.0.1",
        ];
        names.extend(ways.iter().map(String::as_str));
        let server = this.authority.server(&names)?;
        let (private, public) = signing_key()?;
        this.write("ca.crt", &this.authority.certificate())?;
        this.write("server.crt", &server.certificate)?;
        this.write("server.key", &server.key)?;
        this.write("tokens.key", &private)?;
        this.write("tokens.pub", &public)?;
        this.write("audit.yaml", AUDIT_POLICY)?;
        let to_kubelets = this
            .authority
            .client("kube-apiserver", Some("system:masters"))?;
        this.write("kubelet-client.crt", &to_kubelets.certificate)?;
        this.write("kubelet-client.key", &to_kubelets.key)?;
        for (name, user, group) in [
            ("scheduler", "system:kube-scheduler", None),
            ("controller-manager", "system:kube-controller-manager", None),
            ("proxy", "system:kube-proxy", None),
            ("admin", "lab-admin", Some("system:masters")),
        ] {
            let pair = this.authority.client(user, group)?;
            let config = this.kubeconfig(&api_url(), &Credentials::Certificate(pair));
            this.write(&format!("{name}.kubeconfig"), &config)?;
        }
        Ok(this)
    }

    /// Who signs the certificates.
    #[must_use]
    pub const fn authority(&self) -> &Authority {
        &self.authority
    }

    /// A kubeconfig for `server` with `credentials`, as JSON, which is YAML too.
    #[must_use]
    pub fn kubeconfig(&self, server: &str, credentials: &Credentials) -> String {
        let user = match credentials {
            Credentials::Certificate(pair) => json!({
                "client-certificate-data": base64(&pair.certificate),
                "client-key-data": base64(&pair.key),
            }),
            Credentials::Token(token) => json!({ "token": token }),
        };
        let cluster = json!({
            "server": server,
            "certificate-authority-data": base64(&self.authority.certificate()),
        });
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "lab",
            "clusters": [{"name": "lab", "cluster": cluster}],
            "users": [{"name": "lab", "user": user}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "lab"}}],
        })
        .to_string()
    }

    /// A kubeconfig for the administrator, for `server`.
    pub fn admin_kubeconfig(&self, server: &str) -> Result<String> {
        let pair = self.authority.client("lab-admin", Some("system:masters"))?;
        Ok(self.kubeconfig(server, &Credentials::Certificate(pair)))
    }

    /// Writes a file below the scratch folder and returns its path.
    pub fn write(&self, name: &str, content: &str) -> Result<PathBuf> {
        let path = self.scratch.join(name);
        fs::write(&path, content).context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// The executable of one of Kubernetes' programs.
    pub fn executable(&self, name: &str) -> Result<&Path> {
        self.programs
            .get(name)
            .map(PathBuf::as_path)
            .ok_or_else(|| Error::Unexpected(format!("no path for {name} was given")))
    }

    fn file(&self, name: &str) -> String {
        self.scratch.join(name).display().to_string()
    }

    fn program(&self, name: &str, args: Vec<String>) -> Result<Program> {
        Ok(Program::new(name, self.executable(name)?, args))
    }

    /// etcd, with its data in memory: nothing in a lab outlives it.
    pub fn etcd(&self) -> Result<Program> {
        let args = vec![
            format!("--data-dir={}", self.file("etcd")),
            "--listen-client-urls=http://127.0.0.1:2379".to_owned(),
            "--advertise-client-urls=http://127.0.0.1:2379".to_owned(),
            "--listen-peer-urls=http://127.0.0.1:2380".to_owned(),
            "--initial-advertise-peer-urls=http://127.0.0.1:2380".to_owned(),
            "--initial-cluster=default=http://127.0.0.1:2380".to_owned(),
            "--unsafe-no-fsync".to_owned(),
            "--log-level=warn".to_owned(),
        ];
        self.program("etcd", args)
    }

    /// The API server, which logs every request.
    pub fn apiserver(&self, folder: &Folder) -> Result<Program> {
        let mut args = vec![
            "--etcd-servers=http://127.0.0.1:2379".to_owned(),
            "--bind-address=0.0.0.0".to_owned(),
            format!("--secure-port={API_PORT}"),
            format!("--advertise-address={API_ADDRESS}"),
            "--allow-privileged=true".to_owned(),
            format!("--service-cluster-ip-range={SERVICE_NETWORKS}"),
            format!("--client-ca-file={}", self.file("ca.crt")),
            format!("--tls-cert-file={}", self.file("server.crt")),
            format!("--tls-private-key-file={}", self.file("server.key")),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!(
                "--service-account-signing-key-file={}",
                self.file("tokens.key")
            ),
            format!("--service-account-key-file={}", self.file("tokens.pub")),
            format!("--audit-policy-file={}", self.file("audit.yaml")),
            format!("--audit-log-path={}", folder.audit_log().display()),
            // Whoever counts writes reads one file; the default is 100 MiB.
            "--audit-log-maxsize=10000".to_owned(),
        ];
        if self.kubelets {
            let kubelet = |what: &str, file: &str| format!("--kubelet-{what}={}", self.file(file));
            args.extend([
                "--authorization-mode=Node,RBAC".to_owned(),
                "--enable-admission-plugins=NodeRestriction".to_owned(),
                "--kubelet-preferred-address-types=InternalIP".to_owned(),
                kubelet("certificate-authority", "ca.crt"),
                kubelet("client-certificate", "kubelet-client.crt"),
                kubelet("client-key", "kubelet-client.key"),
            ]);
        } else {
            // No pod asks for the Service `kubernetes`, and nobody would take the taint off again.
            args.extend([
                "--endpoint-reconciler-type=none".to_owned(),
                "--disable-admission-plugins=TaintNodesByCondition".to_owned(),
                "--authorization-mode=RBAC".to_owned(),
            ]);
        }
        self.program("kube-apiserver", args)
    }

    /// All controllers, or those that a cluster without a kubelet needs. Nodes count as lost after ten
    /// seconds, not forty, and its own requests are not throttled, or it would hide everything else.
    pub fn controller_manager(&self) -> Result<Program> {
        let controllers = [
            "deployment-controller",
            "replicaset-controller",
            "endpointslice-controller",
            "garbage-collector-controller",
            "namespace-controller",
            "node-lifecycle-controller",
            "root-ca-certificate-publisher-controller",
            "serviceaccount-controller",
            "service-cidr-controller",
        ];
        let controllers = if self.kubelets {
            "*".to_owned()
        } else {
            controllers.join(",")
        };
        let args = vec![
            format!(
                "--kubeconfig={}",
                self.file("controller-manager.kubeconfig")
            ),
            format!("--controllers={controllers}"),
            format!("--root-ca-file={}", self.file("ca.crt")),
            format!(
                "--service-account-private-key-file={}",
                self.file("tokens.key")
            ),
            "--use-service-account-credentials=true".to_owned(),
            "--leader-elect=false".to_owned(),
            "--kube-api-qps=1000".to_owned(),
            "--kube-api-burst=1000".to_owned(),
            "--node-monitor-period=1s".to_owned(),
            "--node-monitor-grace-period=10s".to_owned(),
            "--secure-port=0".to_owned(),
        ];
        self.program("kube-controller-manager", args)
    }

    /// The scheduler.
    pub fn scheduler(&self) -> Result<Program> {
        let args = vec![
            format!("--kubeconfig={}", self.file("scheduler.kubeconfig")),
            "--leader-elect=false".to_owned(),
            "--secure-port=0".to_owned(),
        ];
        self.program("kube-scheduler", args)
    }

    /// kube-proxy on `node`. It leaves the machine-wide limits of connection tracking alone.
    pub fn proxy(&self, node: &Host, options: &LabOptions) -> Result<Program> {
        let mode = match options.proxy_mode {
            ProxyMode::Nftables => "nftables",
            ProxyMode::Iptables => "iptables",
        };
        let args = vec![
            format!("--kubeconfig={}", self.file("proxy.kubeconfig")),
            format!("--proxy-mode={mode}"),
            format!("--hostname-override={}", node.name),
            format!("--cluster-cidr={POD_NETWORKS}"),
            "--conntrack-max-per-core=0".to_owned(),
            "--conntrack-min=0".to_owned(),
            "--conntrack-tcp-timeout-established=0s".to_owned(),
            "--conntrack-tcp-timeout-close-wait=0s".to_owned(),
            "--healthz-bind-address=127.0.0.1:10256".to_owned(),
            "--metrics-bind-address=127.0.0.1:10249".to_owned(),
        ];
        let mut program = self.program("kube-proxy", args)?.on(&node.name);
        program.name = format!("kube-proxy-{}", node.name);
        Ok(program)
    }

    /// A client with the administrator's rights, from within the lab.
    pub async fn client(&self) -> Result<Client> {
        client(&self.admin_kubeconfig(&api_url())?).await
    }
}

/// A client for a kubeconfig.
pub async fn client(kubeconfig: &str) -> Result<Client> {
    let unusable = |error: String| Error::Unexpected(format!("unusable kubeconfig: {error}"));
    let kubeconfig =
        Kubeconfig::from_yaml(kubeconfig).map_err(|error| unusable(error.to_string()))?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .map_err(|error| unusable(error.to_string()))?;
    config.connect_timeout = Some(Duration::from_secs(2));
    config.default_retry = false;
    Client::try_from(config).context(|| "cannot make a client".to_owned())
}

/// Waits until the API server says that it is ready.
pub async fn wait_ready(client: &Client) -> Result<()> {
    let ready = async || {
        let request = http::Request::get("/readyz").body(Vec::new());
        let request = request.map_err(|error| error.to_string())?;
        client
            .request_text(request)
            .await
            .map_err(|error| error.to_string())
    };
    wait_for(
        "the API server becoming ready",
        Duration::from_mins(1),
        ready,
    )
    .await?;
    Ok(())
}

/// How the API server is reached from within the lab.
#[must_use]
pub fn api_url() -> String {
    format!("https://{API_ADDRESS}:{API_PORT}")
}

fn base64(text: &str) -> String {
    use k8s_openapi::ByteString;
    serde_json::to_value(ByteString(text.as_bytes().to_vec()))
        .ok()
        .and_then(|value| value.as_str().map(ToOwned::to_owned))
        .unwrap_or_default()
}

/// Who did what to which object, once for each answered request.
const AUDIT_POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted, Panic]
rules:
- level: Metadata
";
