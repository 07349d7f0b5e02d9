//! The overlays on real kubelets: their pods run, and are what the overlay promises.

use bellwether_e2e::lab::ProxyMode;
use bellwether_e2e::{Lab, Result};

use crate::cluster::{IN_PRODUCT, bare};
use crate::services::first_service;
use bellwether_e2e::documents::{lines, type_in};

/// What each says of itself by `bellwether-speaker status`. The one for Prometheus needs the kinds of
/// its operator; `kubeadm` and `k3s` change where the controller may run.
const OVERLAYS: [(&str, &str); 5] = [
    ("kubeadm", "A beacon each 50 ms; real-time priority: no; "),
    ("k3s", "A beacon each 50 ms; real-time priority: no; "),
    ("kind", "A beacon each 50 ms; real-time priority: no; "),
    (
        "raspberry-pi",
        "A beacon each 200 ms; real-time priority: no; ",
    ),
    // A kernel that divides real time among control groups of version 1 gives pods none of it.
    ("realtime", "memory locked: yes"),
];

/// What one of the speakers says of itself.
async fn status(lab: &Lab) -> Result<String> {
    let speaker = "daemonset/bellwether-speaker";
    let exec = [
        IN_PRODUCT,
        "exec",
        speaker,
        "--",
        "/bellwether-speaker",
        "status",
    ];
    lab.kubectl(&exec, "").await
}

#[tokio::test]
async fn each_overlay_runs_and_announces() -> Result<()> {
    let lab = bare(ProxyMode::Nftables).await?;
    for (name, promise) in OVERLAYS {
        let apply = format!("kubectl apply --kustomize manifests/overlays/{name}");
        type_in(&lab, &apply).await?;
        type_in(&lab, &lines("docs/install.md", "## In all clusters")?).await?;
        let said = status(&lab).await?;
        assert!(said.contains(promise), "{name}: {said}");
        first_service(&lab).await?;
        println!("{name}: {promise}");
    }
    Ok(())
}
