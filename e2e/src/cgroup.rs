//! The control groups of a lab with real kubelets: a group for the lab, and in it one for each node,
//! which its kubelet takes for the root of all groups.
//!
//! They are the one thing that no namespace takes with it when the lab ends, so they are removed by
//! name. Left behind they would make the next start of the lab slow.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::{Context, Result};

/// Where the kernel's groups are mounted.
const ROOT: &str = "/sys/fs/cgroup";

/// How long the kernel may take to let go of a group whose processes were killed.
const PATIENCE: Duration = Duration::from_secs(10);

/// The path of a node's group below each hierarchy, such as `/bellwether-lab-default/node-a`.
#[must_use]
pub fn of_node(lab: &str, node: &str) -> String {
    format!("/{}/{node}", of_lab(lab))
}

/// The name of a lab's group in each hierarchy.
#[must_use]
pub fn of_lab(lab: &str) -> String {
    format!("bellwether-lab-{lab}")
}

/// Makes the group of a node, so that kubelet and runc can make theirs in it.
pub fn create(lab: &str, node: &str) -> Result<()> {
    for hierarchy in hierarchies()? {
        let mut folder = hierarchy;
        delegate(&folder);
        for part in [&of_lab(lab), node] {
            let parent = folder.clone();
            folder.push(part);
            fs::create_dir_all(&folder)
                .context(|| format!("cannot create {}", folder.display()))?;
            // A group of version 1 begins without processors and memory.
            for file in ["cpuset.cpus", "cpuset.mems"] {
                if let Ok(value) = fs::read(parent.join(file))
                    && !is_unified()
                {
                    let path = folder.join(file);
                    fs::write(&path, value)
                        .context(|| format!("cannot write {}", path.display()))?;
                }
            }
            delegate(&folder);
        }
    }
    Ok(())
}

/// Lets the groups within use every controller, in version 2. Which there are differs, and kubelet
/// says what it misses.
fn delegate(folder: &Path) {
    let available = fs::read_to_string(folder.join("cgroup.controllers")).unwrap_or_default();
    for controller in available.split_whitespace() {
        let _kubelet_says = fs::write(
            folder.join("cgroup.subtree_control"),
            format!("+{controller}"),
        );
    }
}

/// Removes all groups of a lab, none of whose processes is alive any more.
pub fn remove_lab(lab: &str) -> Result<()> {
    remove(&of_lab(lab))
}

/// Removes the groups of a node, none of whose processes is alive any more.
pub fn remove_node(lab: &str, node: &str) -> Result<()> {
    remove(of_node(lab, node).trim_start_matches('/'))
}

fn remove(path: &str) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    for hierarchy in hierarchies()? {
        let folder = hierarchy.join(path);
        loop {
            match remove_tree(&folder) {
                // The kernel lets go of a process some moments after it is gone.
                Err(error)
                    if error.kind() == ErrorKind::ResourceBusy && Instant::now() < deadline =>
                {
                    std::thread::sleep(Duration::from_millis(10));
                }
                result => {
                    result.context(|| format!("cannot remove {}", folder.display()))?;
                    break;
                }
            }
        }
    }
    Ok(())
}

/// Groups within first. The files in a group go with it.
fn remove_tree(folder: &Path) -> std::io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    match fs::remove_dir(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Whether all controllers are in one hierarchy: version 2.
fn is_unified() -> bool {
    Path::new(ROOT).join("cgroup.controllers").exists()
}

/// Where each hierarchy is mounted.
pub fn hierarchies() -> Result<Vec<PathBuf>> {
    if is_unified() {
        return Ok(vec![PathBuf::from(ROOT)]);
    }
    let entries = match fs::read_dir(ROOT) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.context(|| format!("cannot read {ROOT}"))?,
    };
    let folders = entries.flatten().filter(|entry| {
        // A link to a hierarchy that has two names leads to the same groups.
        entry.file_type().is_ok_and(|kind| kind.is_dir())
    });
    Ok(folders.map(|entry| entry.path()).collect())
}

/// How much memory a group holds that the kernel cannot take back at once: what is in use less the
/// pages of files that were not used lately, as `kubectl top` counts.
pub fn working_set(group: &Path) -> Result<u64> {
    let (hierarchy, usage, inactive) = if is_unified() {
        ("", "memory.current", "inactive_file")
    } else {
        ("memory", "memory.usage_in_bytes", "total_inactive_file")
    };
    let folder = folder_of(hierarchy, group);
    let read = |file: &str| {
        let path = folder.join(file);
        fs::read_to_string(&path).context(|| format!("cannot read {}", path.display()))
    };
    let used: u64 = read(usage)?.trim().parse().unwrap_or_default();
    let stat = read("memory.stat")?;
    let cold = stat
        .lines()
        .filter_map(|line| line.strip_prefix(inactive))
        .find_map(|rest| rest.trim().parse::<u64>().ok());
    Ok(used.saturating_sub(cold.unwrap_or_default()))
}

/// The processes of a group, as this process sees them.
pub fn processes(group: &Path) -> Result<Vec<i32>> {
    let hierarchy = if is_unified() { "" } else { "memory" };
    let path = folder_of(hierarchy, group).join("cgroup.procs");
    let text = fs::read_to_string(&path).context(|| format!("cannot read {}", path.display()))?;
    Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
}

fn folder_of(hierarchy: &str, group: &Path) -> PathBuf {
    Path::new(ROOT)
        .join(hierarchy)
        .join(group.strip_prefix("/").unwrap_or(group))
}
