//! The part of the day in which the product itself is installed, looked at, changed and removed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::process::Stdio;
use std::time::Duration;

use bellwether_crds::beacon_keys::SECRET;
use bellwether_e2e::cluster::load_balancer;
use bellwether_e2e::error::{Context, Error};
use bellwether_e2e::image;
use bellwether_e2e::lab::wait_for;
use bellwether_e2e::process::stdout_of;
use bellwether_e2e::{Lab, Result};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::cluster::{A_WHILE, IN_PRODUCT, owners, probed, product_ready};
use bellwether_e2e::documents::{UPGRADE, lines, root, type_in};

const DAEMONS: [(&str, &str, &str); 2] = [
    (
        "deployment/bellwether-controller",
        "controller",
        "bellwether.dev/controller",
    ),
    (
        "daemonset/bellwether-speaker",
        "speaker",
        "bellwether.dev/speaker",
    ),
];

/// The version that the manifests name.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The other version: the same source as a debug build that says so, by `images/next`.
pub const NEXT: &str = concat!(env!("CARGO_PKG_VERSION"), "-next");

/// What operators look at a running product with.
pub async fn look(lab: &Lab) -> Result<()> {
    let kubectl = async |args: &[&str]| lab.kubectl(&[&[IN_PRODUCT], args].concat(), "").await;
    let speaker = "daemonset/bellwether-speaker";
    let status = ["exec", speaker, "--", "/bellwether-speaker", "status"];
    let status = kubectl(&status).await?;
    let peers = ["node-a", "node-b", "node-c"]
        .iter()
        .filter(|node| status.contains(*node));
    assert_eq!(peers.count(), 3, "{status}");
    let log = kubectl(&["logs", speaker]).await?;
    assert!(log.contains("all is listed"), "{log}");
    let version = [
        "exec",
        "deployment/bellwether-controller",
        "--",
        "/bellwether-controller",
        "--version",
    ];
    assert!(kubectl(&version).await?.contains(VERSION));
    let metrics = through_a_forwarded_port(lab, "deployment/bellwether-controller", 7470).await?;
    assert!(metrics.contains("# TYPE bellwether_"), "{metrics}");
    // These nodes know no DNS of the cluster: a kubelet says so of each pod that wants it, such as those
    // of `web`, and ours want none.
    let about_dns = async |namespace: &str| {
        let only = "--field-selector=reason=MissingClusterDNS";
        let get = ["get", "events", namespace, only, "--output=name"];
        lab.kubectl(&get, "").await
    };
    assert_ne!(about_dns("--namespace=default").await?, "");
    assert_eq!(about_dns(IN_PRODUCT).await?, "");
    Ok(())
}

/// `/metrics` of a pod, by `kubectl port-forward`.
async fn through_a_forwarded_port(lab: &Lab, what: &str, port: u16) -> Result<String> {
    let programs = bellwether_e2e::binaries::find_or_build()?;
    let mut child = tokio::process::Command::new(&programs["kubectl"])
        .args([IN_PRODUCT, "port-forward", what, &format!(":{port}")])
        .env("KUBECONFIG", lab.folder().kubeconfig())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context(|| "cannot run kubectl".to_owned())?;
    let stdout = child.stdout.take();
    let stdout = stdout.ok_or_else(|| Error::Unexpected("no standard output".to_owned()))?;
    // Read from to the end: kubectl ends if nobody reads what it says.
    let mut said = BufReader::new(stdout).lines();
    let line = said
        .next_line()
        .await
        .context(|| "cannot read from kubectl".to_owned())?
        .unwrap_or_default();
    // Forwarding from 127.0.0.1:45678 -> 7470
    let address = line.split_whitespace().nth(2).unwrap_or_default();
    let output = tokio::process::Command::new(lab.executable())
        .args(["fetch", address, "/metrics"])
        .output()
        .await
        .context(|| "cannot fetch".to_owned())?;
    drop(said);
    stdout_of(&format!("fetch {address} /metrics"), &output)
}

/// Every pod of the product is replaced, and a client loses nothing.
pub async fn restart(lab: &Lab, address: IpAddr) -> Result<()> {
    let report = probed(lab, address, async {
        for (what, _, _) in DAEMONS {
            lab.kubectl(&[IN_PRODUCT, "rollout", "restart", what], "")
                .await?;
        }
        product_ready(lab).await
    })
    .await?;
    println!(
        "rollout restart: {} sent, {} lost",
        report.sent, report.lost
    );
    assert_eq!(report.lost, 0, "{report:?}");
    Ok(())
}

/// Puts the images of the other version on every node.
pub async fn load_next(lab: &Lab) -> Result<()> {
    let folder = root().join("target/images/next");
    for node in ["node-a", "node-b", "node-c"] {
        for (_, program, _) in DAEMONS {
            let archive = folder.join(format!("{program}-{}.tar", image::architecture()));
            let archive = archive.display().to_string();
            let import = ["ctr", "--namespace=k8s.io", "images", "import", &archive];
            lab.exec(node, &import).await?;
        }
    }
    Ok(())
}

/// The lines of `docs/upgrade.md`, on a cluster that runs another version. While both run a new
/// Service gets an address that is announced, and a client of the old one loses nothing all the time.
pub async fn upgrade_and_roll_back(lab: &Lab, address: IpAddr) -> Result<()> {
    load_next(lab).await?;
    for (what, container, image) in DAEMONS {
        let image = format!("{container}={image}:{NEXT}");
        lab.kubectl(&[IN_PRODUCT, "set", "image", what, &image], "")
            .await?;
    }
    wait_version(lab, NEXT).await?;
    let upgrade = lines(UPGRADE, "## Upgrade")?;
    let report = probed(lab, address, async {
        type_in(lab, &upgrade).await?;
        let versions = versions_of_speakers(lab, |versions| versions.len() == 2).await?;
        lab.apply(&load_balancer("meanwhile", "", "")).await?;
        lab.wait_addresses("meanwhile", 1).await?;
        let announced = [
            "wait",
            "--for=condition=bellwether.dev/Announced",
            "service/meanwhile",
            "--timeout=60s",
        ];
        lab.kubectl(&announced, "").await?;
        println!("announced while speakers were of {versions:?}");
        wait_version(lab, VERSION).await?;
        type_in(lab, &lines(UPGRADE, "## Roll back")?).await?;
        wait_version(lab, NEXT).await
    })
    .await?;
    lab.kubectl(&["delete", "service", "meanwhile"], "").await?;
    println!(
        "upgrade and rollback: {} sent, {} lost",
        report.sent, report.lost
    );
    assert_eq!(report.lost, 0, "{report:?}");
    type_in(lab, &upgrade).await?;
    wait_version(lab, VERSION).await
}

/// Waits until the product runs everywhere, and says that it is of this version.
pub async fn wait_version(lab: &Lab, version: &str) -> Result<()> {
    product_ready(lab).await?;
    let only = BTreeSet::from([version.to_owned()]);
    versions_of_speakers(lab, |versions| *versions == only).await?;
    let ask = [
        IN_PRODUCT,
        "exec",
        "deployment/bellwether-controller",
        "--",
        "/bellwether-controller",
        "--version",
    ];
    // A replica of the other version may still be about to end.
    wait_for("the version of the controller", A_WHILE, async || {
        let said = lab.kubectl(&ask, "").await;
        let said = said.map_err(|error| error.to_string())?;
        if said.trim() == format!("bellwether-controller {version}") {
            Ok(())
        } else {
            Err(said)
        }
    })
    .await
}

/// Waits until the versions that the speakers say they are of are as `wanted`.
async fn versions_of_speakers(
    lab: &Lab,
    wanted: impl Fn(&BTreeSet<String>) -> bool,
) -> Result<BTreeSet<String>> {
    let query = [
        "get",
        "speakers.bellwether.dev",
        "--output=jsonpath={.items[*].status.version}",
    ];
    wait_for("the versions of the speakers", A_WHILE, async || {
        let versions = lab
            .kubectl(&query, "")
            .await
            .map_err(|error| error.to_string())?;
        let versions = versions.split_whitespace().map(ToOwned::to_owned).collect();
        if wanted(&versions) {
            Ok(versions)
        } else {
            Err(format!("{versions:?}"))
        }
    })
    .await
}

/// The key that speakers sign with is changed in three sweeps, and no address moves.
pub async fn change_key(lab: &Lab, address: IpAddr) -> Result<()> {
    let before = owners(lab).await?;
    let kubectl = async |args: &[&str]| lab.kubectl(&[&[IN_PRODUCT], args].concat(), "").await;
    let report = probed(lab, address, async {
        let second = "{\"stringData\":{\"2\":\"a key of at least thirty-two octets\"}}";
        kubectl(&["patch", "secret", SECRET, "--patch", second]).await?;
        wait_keys(lab, 2, 1).await?;
        let sign = [
            "annotate",
            "--overwrite",
            "secret",
            SECRET,
            "bellwether.dev/signing-key=2",
        ];
        kubectl(&sign).await?;
        wait_keys(lab, 2, 2).await?;
        kubectl(&[
            "patch",
            "secret",
            SECRET,
            "--patch",
            "{\"data\":{\"1\":null}}",
        ])
        .await?;
        wait_keys(lab, 1, 2).await
    })
    .await?;
    println!(
        "change of the key: {} sent, {} lost",
        report.sent, report.lost
    );
    assert_eq!(owners(lab).await?, before);
    assert_eq!(report.lost, 0, "{report:?}");
    Ok(())
}

/// Waits until every speaker knows this many keys and signs with that one.
async fn wait_keys(lab: &Lab, known: u16, signing: u16) -> Result<()> {
    let what = format!("every speaker knowing {known} keys and signing with key {signing}");
    let wanted = [
        format!("bellwether_speaker_beacon_keys {known}"),
        format!("bellwether_speaker_beacon_signing_key {signing}"),
    ];
    let executable = lab.executable().display().to_string();
    wait_for(&what, A_WHILE, async || {
        for node in ["node-a", "node-b", "node-c"] {
            let fetch = [executable.as_str(), "fetch", "127.0.0.1:7472", "/metrics"];
            let metrics = lab
                .exec(node, &fetch)
                .await
                .map_err(|error| error.to_string())?;
            if !wanted
                .iter()
                .all(|line| metrics.lines().any(|found| found == line))
            {
                return Err(format!("{node} does not"));
            }
        }
        Ok(())
    })
    .await
}

/// The least lifetime of a token that Kubernetes gives.
const SHORT: u32 = 600;

/// Lets the tokens of the product be valid for ten minutes, which is the least that there is: the
/// kubelet replaces them after eight.
pub async fn shorten_tokens(lab: &Lab) -> Result<()> {
    for (what, container, _) in DAEMONS {
        let patch = format!(
            "{{\"spec\":{{\"template\":{{\"spec\":{{\"automountServiceAccountToken\":false,\
             \"volumes\":[{{\"name\":\"token\",\"projected\":{{\"sources\":[\
             {{\"serviceAccountToken\":{{\"path\":\"token\",\"expirationSeconds\":{SHORT}}}}},\
             {{\"configMap\":{{\"name\":\"kube-root-ca.crt\",\
             \"items\":[{{\"key\":\"ca.crt\",\"path\":\"ca.crt\"}}]}}}},\
             {{\"downwardAPI\":{{\"items\":[{{\"path\":\"namespace\",\
             \"fieldRef\":{{\"fieldPath\":\"metadata.namespace\"}}}}]}}}}]}}}}],\
             \"containers\":[{{\"name\":\"{container}\",\"volumeMounts\":[{{\"name\":\"token\",\
             \"mountPath\":\"/var/run/secrets/kubernetes.io/serviceaccount\"}}]}}]}}}}}}}}"
        );
        lab.kubectl(&[IN_PRODUCT, "patch", what, "--patch", &patch], "")
            .await?;
    }
    product_ready(lab).await
}

/// Waits until the API server has seen a second token of every pod that runs for long enough: of one
/// of the controller and one speaker at least.
pub async fn wait_for_new_tokens(lab: &Lab) -> Result<()> {
    let limit = Duration::from_secs(SHORT.into()) + A_WHILE;
    let what = "a controller and a speaker asking with a second token";
    let seen = wait_for(what, limit, async || {
        let tokens = tokens(lab).map_err(|error| error.to_string())?;
        let renewed: BTreeSet<&str> = tokens
            .iter()
            .filter(|(_, tokens)| tokens.len() > 1)
            .map(|((account, _), _)| account.as_str())
            .collect();
        if renewed.len() == 2 {
            Ok(format!("{tokens:?}"))
        } else {
            tokio::time::sleep(Duration::from_secs(2)).await;
            Err(format!("of {renewed:?} alone"))
        }
    })
    .await?;
    println!("tokens: {seen}");
    // With the new ones all works on.
    lab.apply(&load_balancer("later", "", "")).await?;
    lab.wait_addresses("later", 1).await?;
    let announced = "--for=condition=bellwether.dev/Announced";
    lab.kubectl(&["wait", announced, "service/later", "--timeout=30s"], "")
        .await?;
    lab.kubectl(&["delete", "service", "later"], "")
        .await
        .map(drop)
}

/// By which tokens each pod of the product has asked: the ServiceAccount and the pod, and the
/// identifiers of its tokens.
fn tokens(lab: &Lab) -> Result<BTreeMap<(String, String), BTreeSet<String>>> {
    let path = lab.folder().audit_log();
    let text =
        std::fs::read_to_string(&path).context(|| format!("cannot read {}", path.display()))?;
    let mut tokens: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    let product = "system:serviceaccount:bellwether-system:";
    for line in text.lines().filter(|line| line.contains(product)) {
        let Ok(entry) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        let user = &entry["user"];
        let extra = |key: &str| {
            let value = &user["extra"][format!("authentication.kubernetes.io/{key}")][0];
            value.as_str().map(ToOwned::to_owned)
        };
        let account = user["username"]
            .as_str()
            .and_then(|name| name.strip_prefix(product));
        if let (Some(account), Some(pod), Some(token)) =
            (account, extra("pod-name"), extra("credential-id"))
            && entry["responseStatus"]["code"]
                .as_u64()
                .is_some_and(|code| code < 400)
        {
            tokens
                .entry((account.to_owned(), pod))
                .or_default()
                .insert(token);
        }
    }
    Ok(tokens)
}

/// Nothing of the product is left, and nothing hangs.
pub async fn gone(lab: &Lab) -> Result<()> {
    wait_for(
        "everything of the product being gone",
        A_WHILE,
        async || {
            let text = |error: Error| error.to_string();
            let kinds = "namespaces,customresourcedefinitions,clusterroles,clusterrolebindings,\
                     validatingadmissionpolicies";
            let left = lab
                .kubectl(&["get", kinds, "--output=name"], "")
                .await
                .map_err(text)?;
            let left: Vec<&str> = left
                .lines()
                .filter(|name| name.contains("bellwether"))
                .collect();
            if left.is_empty() {
                Ok(())
            } else {
                Err(format!("{left:?}"))
            }
        },
    )
    .await?;
    // A Service that nobody serves any more can be deleted, and its pods serve on within the cluster.
    lab.kubectl(&["delete", "service", "web", "--timeout=20s"], "")
        .await?;
    let pods = lab.pods("web").await?;
    assert!(!pods.is_empty(), "the user's own pods stay");
    Ok(())
}
