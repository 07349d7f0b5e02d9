//! A node of the full lab: a machine with its own first process, disk, container runtime and kubelet.
//!
//! It is a PID, mount, UTS and IPC namespace besides its network namespace. All of Kubernetes' usual
//! paths are its own, so that manifests behave as on a real node. Killing its first process ends
//! every program and container on it and drops every mount: that is how its power fails.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::cgroup;
use crate::control::Folder;
use crate::control_plane::ControlPlane;
use crate::error::{Context, Error, Result};
use crate::lab::{LabOptions, wait_for};
use crate::network::{Host, run};
use crate::process::Program;

pub mod boot;
mod config;

pub use config::PLUGINS;

/// How long a machine's own programs may take to start.
const LIMIT: Duration = Duration::from_secs(30);

/// A node as a machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The node.
    pub host: Host,
    /// The name of its lab.
    lab: String,
    /// What outlives its power.
    disk: PathBuf,
    /// What its programs and pods log, which is seen from outside.
    logs: PathBuf,
    /// Its first process, as the lab sees it.
    pid_file: PathBuf,
}

impl Machine {
    /// The machine of `host`, with an empty disk.
    pub fn new(folder: &Folder, lab: &str, host: &Host) -> Result<Self> {
        let disk = folder.scratch().join(&host.name);
        fs::create_dir_all(&disk).context(|| format!("cannot create {}", disk.display()))?;
        Ok(Self {
            host: host.clone(),
            lab: lab.to_owned(),
            disk,
            logs: folder.logs().join(&host.name),
            pid_file: folder.machine(&host.name),
        })
    }

    /// Its first process.
    pub fn power(&self) -> Result<Program> {
        cgroup::remove_node(&self.lab, &self.host.name)?;
        cgroup::create(&self.lab, &self.host.name)?;
        for stale in [&self.pid_file, &self.booted()] {
            let _may_be_missing = fs::remove_file(stale);
        }
        let orders = boot::Orders {
            name: self.host.name.clone(),
            disk: self.disk.clone(),
            logs: self.logs.clone(),
            booted: self.booted(),
        };
        let orders =
            serde_json::to_string(&orders).map_err(|error| Error::Unexpected(error.to_string()))?;
        let executable = std::env::current_exe().context(|| "cannot find myself".to_owned())?;
        let mut args: Vec<String> = [
            "--mount",
            "--pid",
            "--uts",
            "--ipc",
            "--fork",
            "--mount-proc",
            "--propagation=private",
            "--kill-child=SIGKILL",
        ]
        .map(ToOwned::to_owned)
        .into();
        args.extend([executable.display().to_string(), "boot".to_owned(), orders]);
        let name = format!("machine-{}", self.host.name);
        let mut program = Program::new(&name, Path::new("unshare"), args).on(&self.host.name);
        program.forks = true;
        Ok(program)
    }

    fn booted(&self) -> PathBuf {
        self.disk.join("booted")
    }

    /// Waits until it has booted; `first` is its first process.
    pub async fn wait_booted(&self, first: i32) -> Result<()> {
        let booted = self.booted();
        wait_for(&format!("{} booting", self.host.name), LIMIT, async || {
            let is_there = booted.exists();
            is_there
                .then_some(())
                .ok_or("it does not say so".to_owned())
        })
        .await?;
        fs::write(&self.pid_file, first.to_string())
            .context(|| format!("cannot write {}", self.pid_file.display()))
    }

    /// The same program within all namespaces of the machine.
    fn inside(&self, mut program: Program) -> Program {
        program.name = format!("{}-{}", program.name, self.host.name);
        program.host = Some(self.host.name.clone());
        program.machine = Some(self.pid_file.clone());
        program.forks = true;
        program
    }

    /// Its container runtime.
    pub fn containerd(&self) -> Result<Program> {
        let config = config::containerd(&self.disk, &self.host)?;
        let args = vec!["--config".to_owned(), config.display().to_string()];
        Ok(self.inside(Program::new("containerd", Path::new("containerd"), args)))
    }

    /// Waits until the container runtime answers.
    pub async fn wait_containerd(&self) -> Result<()> {
        let what = format!("containerd on {} answering", self.host.name);
        wait_for(&what, LIMIT, async || {
            let answer = self.run(&["ctr", "--namespace=k8s.io", "images", "list"]);
            answer.await.map(drop).map_err(|error| error.to_string())
        })
        .await
    }

    /// Puts the images of an archive on its disk.
    pub async fn import(&self, archive: &Path) -> Result<()> {
        let archive = archive.display().to_string();
        let import = ["ctr", "--namespace=k8s.io", "images", "import", &archive];
        self.run(&import).await.map(drop)
    }

    /// Its kubelet.
    pub fn kubelet(&self, control_plane: &ControlPlane) -> Result<Program> {
        let files = config::kubelet(&self.disk, &self.host, &self.lab, control_plane)?;
        let args = vec![
            format!("--config={}", files.config.display()),
            format!("--kubeconfig={}", files.kubeconfig.display()),
            format!("--hostname-override={}", self.host.name),
            format!("--node-ip={},{}", self.host.ipv4(), self.host.ipv6()),
        ];
        let program = Program::new("kubelet", control_plane.executable("kubelet")?, args);
        Ok(self.inside(program))
    }

    /// Its kube-proxy.
    pub fn proxy(&self, control_plane: &ControlPlane, options: &LabOptions) -> Result<Program> {
        let mut program = control_plane.proxy(&self.host, options)?;
        "kube-proxy".clone_into(&mut program.name);
        Ok(self.inside(program))
    }

    /// Runs a program on it to its end.
    async fn run(&self, program: &[&str]) -> Result<String> {
        let pid = self.first()?;
        let target = format!("--target={pid}");
        let enter = [&[target.as_str()], NAMESPACES, program].concat();
        run("nsenter", &enter).await
    }

    fn first(&self) -> Result<i32> {
        first_process(&self.pid_file)
            .ok_or_else(|| Error::Refused(format!("{} has no power", self.host.name)))
    }

    /// Sends a signal to every process on it, also in its pods.
    pub fn signal_all(&self, signal: Signal) -> Result<()> {
        // Found first, so that the first to get it is not long before the last.
        for pid in self.processes()? {
            // It may have ended meanwhile.
            let _gone = kill(Pid::from_raw(pid), signal);
        }
        Ok(())
    }

    /// Every process on it, as the lab sees it: those in its PID namespace, and their descendants, for
    /// containers have PID namespaces of their own.
    fn processes(&self) -> Result<Vec<i32>> {
        let first = self.first()?;
        let namespace = |pid: i32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        let own = namespace(first);
        let entries = fs::read_dir("/proc").context(|| "cannot read /proc".to_owned())?;
        let all: BTreeMap<i32, i32> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter_map(|pid| Some((pid, parent(pid)?)))
            .collect();
        let is_own = |&pid: &i32| own.is_some() && namespace(pid) == own;
        let line = |&pid: &i32| std::iter::successors(Some(pid), |pid| all.get(pid).copied());
        let processes = all.keys().filter(|pid| line(pid).any(|pid| is_own(&pid)));
        Ok(processes.copied().collect())
    }

    /// Forgets its first process, which is gone.
    pub fn off(&self) {
        let _may_be_missing = fs::remove_file(&self.pid_file);
    }
}

/// The parent of a process, if that is still there.
fn parent(pid: i32) -> Option<i32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let mut lines = status.lines();
    let parent = lines.find_map(|line| line.strip_prefix("PPid:"))?;
    parent.trim().parse().ok()
}

/// How nsenter is told all namespaces of a machine.
pub const NAMESPACES: &[&str] = &["--mount", "--pid", "--uts", "--ipc", "--net"];

/// The first process of the machine whose file this is, as the lab sees it, if it has power.
#[must_use]
pub fn first_process(pid_file: &Path) -> Option<i32> {
    fs::read_to_string(pid_file).ok()?.trim().parse().ok()
}
