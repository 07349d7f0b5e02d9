//! What of a lab is left on the machine. After `down` it is nothing, however the lab has ended.

use std::process::Command;

use crate::cgroup;
use crate::control::Folder;
use crate::error::{Context, Error, Result};

/// A process that a lab cannot do without, and that somebody may kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// It starts and watches the lab's programs, and is the first process of its namespaces.
    Supervisor,
    /// It holds the lab up as long as its user lives.
    Keeper,
}

impl Part {
    /// The verb of `bellwether-lab` that it runs.
    const fn verb(self) -> &'static str {
        match self {
            Self::Supervisor => "supervise",
            Self::Keeper => "keep",
        }
    }
}

/// Kills a part of the lab of this folder, so that it has no time for anything.
pub fn kill(part: Part, folder: &Folder) -> Result<()> {
    let pattern = format!("{} .*{}", part.verb(), in_orders(folder));
    let killed = Command::new("pkill")
        .args(["-KILL", "-f", &pattern])
        .status()
        .context(|| "cannot run pkill".to_owned())?;
    if killed.success() {
        return Ok(());
    }
    Err(Error::Unexpected(format!(
        "there is no {pattern:?} to kill"
    )))
}

/// How the orders of supervisor and keeper name the lab, which are on their command lines.
fn in_orders(folder: &Folder) -> String {
    format!("\"name\":\"{}\"", folder.lab())
}

/// All that is left: control groups, mounts, processes and the folder.
#[must_use]
pub fn all(folder: &Folder) -> Vec<String> {
    let mut left = groups(folder);
    left.extend(mounts(folder));
    left.extend(processes(folder));
    if folder.path().exists() {
        left.push(folder.path().display().to_string());
    }
    left
}

/// Processes whose command line names the lab, and those in its control groups.
#[must_use]
pub fn processes(folder: &Folder) -> Vec<String> {
    let (name, orders) = (folder.name(), in_orders(folder));
    let group = format!("{}/", cgroup::of_lab(folder.lab()));
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let read = |file| std::fs::read(entry.path().join(file)).ok();
            let line = read("cmdline")?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            let groups = read("cgroup").unwrap_or_default();
            let groups = String::from_utf8_lossy(&groups);
            (line.contains(name) || line.contains(&orders) || groups.contains(&group))
                .then_some(line)
        })
        .collect()
}

fn groups(folder: &Folder) -> Vec<String> {
    let hierarchies = cgroup::hierarchies().unwrap_or_default().into_iter();
    hierarchies
        .map(|hierarchy| hierarchy.join(cgroup::of_lab(folder.lab())))
        .filter(|group| group.exists())
        .map(|group| group.display().to_string())
        .collect()
}

fn mounts(folder: &Folder) -> Vec<String> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let lines = mounts.lines().filter(|line| line.contains(folder.name()));
    lines.map(ToOwned::to_owned).collect()
}
