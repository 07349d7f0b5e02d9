//! The nodes of the full lab: how they get power, and the product from its images and manifests.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::future::try_join_all;

use super::Supervisor;
use crate::control_plane::ControlPlane;
use crate::error::{Context, Error, Result};
use crate::image;
use crate::lab::{LabOptions, wait_for};
use crate::machine::{self, Machine};
use crate::network::run;

impl Supervisor {
    /// Gives all nodes power, and puts the images on their disks.
    pub(super) async fn power_on_all(
        &mut self,
        control_plane: &ControlPlane,
        options: &LabOptions,
    ) -> Result<()> {
        let nodes: Vec<_> = self.topology.nodes().cloned().collect();
        for host in &nodes {
            self.health
                .insert(host.name.clone(), super::NodeHealth::well());
            let machine = Machine::new(&self.folder, &options.name, host)?;
            self.machines.insert(host.name.clone(), machine.clone());
            self.boot(&machine).await?;
            self.start(machine.containerd()?)?;
        }
        let archives = self.archives(options).await?;
        let machines = self.machines.values();
        try_join_all(machines.map(|machine| stock(machine, &archives))).await?;
        for machine in self.machines.clone().values() {
            self.start(machine.kubelet(control_plane)?)?;
            self.start(machine.proxy(control_plane, options)?)?;
        }
        Ok(())
    }

    /// Gives a node power that had none. Its disk is as it was.
    pub(super) async fn power_on(&mut self, node: &str) -> Result<()> {
        let Some(machine) = self.machines.get(node).cloned() else {
            return Ok(());
        };
        self.boot(&machine).await?;
        let rest = ["containerd", "kubelet", "kube-proxy"];
        for name in rest {
            let name = format!("{name}-{node}");
            let known = self.programs.get(&name).map(|(program, _)| program.clone());
            let program = known.ok_or_else(|| Error::Unexpected(format!("{name} never ran")))?;
            self.start(program)?;
            if name.starts_with("containerd") {
                machine.wait_containerd().await?;
            }
        }
        Ok(())
    }

    async fn boot(&mut self, machine: &Machine) -> Result<()> {
        let program = machine.power()?;
        let name = program.name.clone();
        self.start(program)?;
        let what = format!("the first process of {} starting", machine.host.name);
        let started = wait_for(&what, Duration::from_secs(10), async || {
            let running = self
                .programs
                .get(&name)
                .and_then(|(_, running)| running.as_ref());
            let pid = running.and_then(crate::process::Running::pid);
            pid.and_then(|pid| i32::try_from(pid).ok())
                .ok_or("it has not".to_owned())
        });
        let first = started.await?;
        machine.wait_booted(first).await
    }

    /// Whether a node is a machine without power.
    pub(super) fn is_off(&self, node: &str) -> bool {
        let file = self.folder.machine(node);
        self.machines.contains_key(node) && machine::first_process(&file).is_none()
    }

    /// The archives of the lab's own images, and of the product's if they were built.
    async fn archives(&self, options: &LabOptions) -> Result<Vec<PathBuf>> {
        let own = self.folder.scratch().join("images.tar");
        let executable = std::env::current_exe().context(|| "cannot find myself".to_owned())?;
        let path = own.clone();
        tokio::task::spawn_blocking(move || image::write(&executable, &path))
            .await
            .map_err(|error| Error::Unexpected(error.to_string()))??;
        let mut archives = vec![own];
        for name in ["controller", "speaker"] {
            let file = format!("{name}-{}.tar", image::architecture());
            let path = options.images.join(file);
            if path.is_file() {
                archives.push(path);
            } else if !options.bare {
                return Err(Error::Missing {
                    program: path.display().to_string(),
                    remedy: "build it with: make images; or name its folder in BELLWETHER_IMAGES; \
                             or leave the product out with --bare"
                        .to_owned(),
                });
            }
        }
        Ok(archives)
    }

    /// Installs the product as its users do, and waits until all of it is ready.
    pub(super) async fn install_product(
        &self,
        control_plane: &ControlPlane,
        options: &LabOptions,
    ) -> Result<()> {
        let kubectl = control_plane.executable("kubectl")?.display().to_string();
        let admin = self.folder.scratch().join("admin.kubeconfig");
        let config = format!("--kubeconfig={}", admin.display());
        let manifest = options.manifests.join("install.yaml").display().to_string();
        let namespace = format!("--namespace={}", bellwether_crds::NAMESPACE);
        let apply: &[&str] = &["apply", "--filename", &manifest];
        let rollout = |what| ["rollout", "status", what, "--timeout=120s", &namespace];
        let (controller, speaker) = (
            rollout("deployment/bellwether-controller"),
            rollout("daemonset/bellwether-speaker"),
        );
        for line in [apply, &controller, &speaker] {
            run(&kubectl, &[&[config.as_str()], line].concat()).await?;
        }
        Ok(())
    }
}

/// Puts the images of all archives on the disk of a machine.
async fn stock(machine: &Machine, archives: &[PathBuf]) -> Result<()> {
    machine.wait_containerd().await?;
    for archive in archives {
        let path: &Path = archive;
        machine.import(path).await?;
    }
    Ok(())
}
