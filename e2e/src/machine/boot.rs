//! The first process of a machine: makes its mounts, and then reaps what nobody else does.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::wait::waitpid;
use serde::{Deserialize, Serialize};

use crate::error::{Context, Result};
use crate::process::stdout_of;

/// What the supervisor tells it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Orders {
    /// The name of the machine.
    pub name: String,
    /// The folder that is its disk.
    pub disk: PathBuf,
    /// The folder that its logs go to.
    pub logs: PathBuf,
    /// The file to write when it has booted.
    pub booted: PathBuf,
}

/// What kubelet sets for the whole machine, which is not this machine's to set: each is covered by a
/// file that holds what kubelet wants to see.
const SETTINGS: [(&str, &str); 6] = [
    ("vm/overcommit_memory", "1"),
    ("vm/panic_on_oom", "0"),
    ("kernel/panic", "10"),
    ("kernel/panic_on_oops", "1"),
    ("kernel/keys/root_maxkeys", "1000000"),
    ("kernel/keys/root_maxbytes", "25000000"),
];

/// Boots the machine and stays until it is killed.
pub fn boot(orders: &Orders) -> Result<()> {
    let write = |path: &Path, text: &str| {
        fs::write(path, text).context(|| format!("cannot write {}", path.display()))
    };
    write(Path::new("/proc/sys/kernel/hostname"), &orders.name)?;
    let state = orders.disk.join("state");
    for (own, folder) in [(&state, "/var/lib"), (&orders.logs, "/var/log")] {
        fs::create_dir_all(own).context(|| format!("cannot create {}", own.display()))?;
        mount(&["--bind", &own.display().to_string(), folder])?;
    }
    mount(&["-t", "tmpfs", "tmpfs", "/run"])?;
    remount_sys()?;
    let decoys = orders.disk.join("settings");
    fs::create_dir_all(&decoys).context(|| format!("cannot create {}", decoys.display()))?;
    for (name, value) in SETTINGS {
        let decoy = decoys.join(name.replace('/', "."));
        write(&decoy, &format!("{value}\n"))?;
        let setting = format!("/proc/sys/{name}");
        mount(&["--bind", &decoy.display().to_string(), &setting])?;
    }
    // What kubelet mounts for a pod must reach the pod.
    mount(&["--make-rshared", "/"])?;
    write(&orders.booted, "")?;
    reap()
}

/// A sysfs that shows the machine's own links, with the control groups back in it.
fn remount_sys() -> Result<()> {
    let (groups, aside) = ("/sys/fs/cgroup", "/run/cgroup");
    fs::create_dir_all(aside).context(|| format!("cannot create {aside}"))?;
    mount(&["--rbind", groups, aside])?;
    run("umount", &["--recursive", "--lazy", "/sys"])?;
    mount(&["-t", "sysfs", "sysfs", "/sys"])?;
    mount(&["--rbind", aside, groups])?;
    run("umount", &["--recursive", "--lazy", aside])
}

fn mount(args: &[&str]) -> Result<()> {
    run("mount", args)
}

fn run(program: &str, args: &[&str]) -> Result<()> {
    let output = Command::new(program)
        .args(args)
        .output()
        .context(|| format!("cannot run {program}"))?;
    stdout_of(&format!("{program} {}", args.join(" ")), &output).map(drop)
}

/// Processes whose parents have ended are the first process's children.
fn reap() -> ! {
    loop {
        if waitpid(None, None) == Err(Errno::ECHILD) {
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}
