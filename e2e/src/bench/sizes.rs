//! How much memory the product's pods take when nothing happens, on real kubelets.
//!
//! Two figures for each container: the working set of its control group, which is what `kubectl top`
//! shows and what a limit is held against, and the resident memory of its processes, which counts
//! the pages of the executable also where the runtime that unpacked it pays for them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use serde::Serialize;

use crate::cgroup;
use crate::cluster::node_of;
use crate::error::{Context, Error, Result};
use crate::lab::{Lab, LabOptions, Lifetime};

/// What a container may take: its name, and how many MiB.
const BOUNDS: [(&str, f64); 2] = [("controller", 60.0), ("speaker", 25.0)];

/// How to measure.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// For how many seconds to look; the highest figures count
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,

    /// The folder with the product's images
    #[arg(long, env = "BELLWETHER_IMAGES")]
    images: Option<PathBuf>,
}

/// What a container takes, in MiB.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Size {
    pod: String,
    container: String,
    node: String,
    working_set: f64,
    resident: f64,
}

/// Measures it in a lab of its own.
pub async fn run(options: &Options) -> Result<()> {
    let mut lab = LabOptions::named(format!("sizes-{}", std::process::id()));
    lab.kubelet = true;
    if let Some(images) = &options.images {
        images.clone_into(&mut lab.images);
    }
    let name = lab.name.clone();
    let executable = std::env::current_exe().context(|| "cannot find myself".to_owned())?;
    let lab = Lab::up(&lab, &executable, Lifetime::WithHandle, |step| {
        eprintln!("bringing a lab up: {step}");
    })
    .await?;
    let mut highest: BTreeMap<String, Size> = BTreeMap::new();
    for _ in 0..options.seconds {
        tokio::time::sleep(Duration::from_secs(1)).await;
        for size in sizes(&lab, &name).await? {
            let entry = highest
                .entry(size.pod.clone())
                .or_insert_with(|| size.clone());
            entry.working_set = entry.working_set.max(size.working_set);
            entry.resident = entry.resident.max(size.resident);
        }
    }
    let sizes: Vec<Size> = highest.into_values().collect();
    println!(
        "{:44} {:8} {:>12} {:>12}",
        "POD", "NODE", "WORKING SET", "RESIDENT"
    );
    for size in &sizes {
        println!(
            "{:44} {:8} {:>8.1} MiB {:>8.1} MiB",
            size.pod, size.node, size.working_set, size.resident
        );
    }
    let json =
        serde_json::to_string(&sizes).map_err(|error| Error::Unexpected(error.to_string()))?;
    println!("{json}");
    judge(&sizes)
}

/// Refuses what takes more than its bound, or is not there at all.
fn judge(sizes: &[Size]) -> Result<()> {
    for (container, bound) in BOUNDS {
        let mut own = sizes
            .iter()
            .filter(|size| size.container == container)
            .peekable();
        if own.peek().is_none() {
            return Err(Error::Unexpected(format!("no {container} was measured")));
        }
        if let Some(large) = own.find(|size| size.working_set.max(size.resident) > bound) {
            return Err(Error::Unexpected(format!(
                "{} takes more than {bound} MiB",
                large.pod
            )));
        }
    }
    Ok(())
}

/// What each container of the product takes now.
async fn sizes(lab: &Lab, name: &str) -> Result<Vec<Size>> {
    let pods: Api<Pod> = Api::namespaced(lab.client(), bellwether_crds::NAMESPACE);
    let pods = pods
        .list(&ListParams::default())
        .await
        .context(|| "cannot list pods".to_owned())?;
    let mut sizes = Vec::new();
    for pod in pods {
        let node = node_of(&pod);
        let status = pod.status.clone().unwrap_or_default();
        let class = match status.qos_class.as_deref() {
            Some("Burstable") => "burstable",
            Some("BestEffort") => "besteffort",
            _ => "",
        };
        let pods = Path::new(&cgroup::of_node(name, &node))
            .join("kubepods")
            .join(class)
            .join(format!("pod{}", pod.uid().unwrap_or_default()));
        for container in status.container_statuses.unwrap_or_default() {
            let id = container.container_id.unwrap_or_default();
            let group = pods.join(id.trim_start_matches("containerd://"));
            sizes.push(Size {
                pod: pod.name_any(),
                container: container.name,
                node: node.clone(),
                working_set: mib(cgroup::working_set(&group)?),
                resident: mib(resident(&group)?),
            });
        }
    }
    Ok(sizes)
}

/// How much memory of the processes of a group is resident.
fn resident(group: &Path) -> Result<u64> {
    let mut sum = 0;
    for process in cgroup::processes(group)? {
        let path = format!("/proc/{process}/status");
        let status = fs::read_to_string(&path).context(|| format!("cannot read {path}"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        sum += kib.unwrap_or_default() * 1024;
    }
    Ok(sum)
}

#[expect(clippy::cast_precision_loss, reason = "no container has 2^52 octets")]
fn mib(octets: u64) -> f64 {
    octets as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(container: &str, working_set: f64, resident: f64) -> Size {
        Size {
            pod: format!("bellwether-{container}-x"),
            container: container.to_owned(),
            node: "node-a".to_owned(),
            working_set,
            resident,
        }
    }

    #[test]
    fn the_larger_figure_of_each_pod_counts_and_each_must_be_there() {
        let controller = size("controller", 8.0, 20.0);
        assert!(judge(&[controller.clone(), size("speaker", 5.0, 24.9)]).is_ok());
        let large = judge(&[controller.clone(), size("speaker", 5.0, 25.1)]);
        assert!(large.is_err_and(|error| error.to_string().contains("speaker-x takes more")));
        let missing = judge(&[controller]);
        assert!(missing.is_err_and(|error| error.to_string().contains("no speaker")));
    }
}
