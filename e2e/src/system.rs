//! The system's own programs that the lab needs, and the rights it has.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::{Context, Error, Result};
use crate::lab::{LabOptions, ProxyMode};
use crate::machine::PLUGINS;

/// A program, and the package of Debian and Ubuntu that holds it.
const NEEDED: [(&str, &str); 4] = [
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
];

/// What real kubelets need.
const FOR_KUBELETS: [(&str, &str); 5] = [
    ("containerd", "containerd"),
    ("ctr", "containerd"),
    ("runc", "runc"),
    ("mount", "mount"),
    ("ldd", "libc-bin"),
];

/// The plugins for the pods' network, which are on nobody's path.
const PLUGIN: (&str, &str) = ("ptp", "containernetworking-plugins");

/// What kube-proxy needs for its iptables mode.
const FOR_IPTABLES: (&str, &str) = ("iptables", "iptables");

/// Whether the process runs as root.
#[must_use]
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Makes sure that all needed programs are there: installs them as root on Debian and Ubuntu, and
/// otherwise says how to.
pub fn ensure_programs(options: &LabOptions) -> Result<()> {
    let iptables = options.proxy_mode == ProxyMode::Iptables;
    let kubelets = options.kubelet.then_some(FOR_KUBELETS);
    let mut missing: Vec<_> = NEEDED
        .into_iter()
        .chain(iptables.then_some(FOR_IPTABLES))
        .chain(kubelets.into_iter().flatten())
        .filter(|(program, _)| !is_there(program))
        .collect();
    if options.kubelet && !Path::new(PLUGINS).join(PLUGIN.0).is_file() {
        missing.push(PLUGIN);
    }
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|&(program, _)| program).collect();
    let mut packages: Vec<&str> = missing.iter().map(|&(_, package)| package).collect();
    packages.dedup();
    let line = format!(
        "apt-get install --no-install-recommends {}",
        packages.join(" ")
    );
    if !is_root() || !is_there("apt-get") {
        return Err(Error::Missing {
            program: names.join(", "),
            remedy: format!("install it, on Debian and Ubuntu with: sudo {line}"),
        });
    }
    eprintln!("Installing {}: {line}", packages.join(", "));
    let install = || apt_get(&["install", "--yes", "--no-install-recommends"], &packages);
    // The lists of packages may be missing or old on a fresh machine.
    install().or_else(|_| apt_get(&["update"], &[]).and_then(|()| install()))
}

fn apt_get(verbs: &[&str], packages: &[&str]) -> Result<()> {
    let output = Command::new("apt-get")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(verbs)
        .args(packages)
        // Two labs that start at once both install what is missing.
        .args(["--option", "DPkg::Lock::Timeout=300"])
        .stdin(Stdio::null())
        .output()
        .context(|| "cannot run apt-get".to_owned())?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Command {
        command: format!("apt-get {}", verbs.join(" ")),
        status: output.status,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Looks where the system keeps its programs too, which is not always on a user's path.
fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(Into::into))
        .any(|folder| folder.join(program).is_file())
}
