//! Where the Kubernetes binaries come from.
//!
//! Each is looked for in the folder that `BELLWETHER_LAB_BIN` names, then in the one that
//! `KUBEBUILDER_ASSETS` names, then in the user's cache. What is not found is built there from the
//! Go modules that `e2e/kubernetes/go.mod` pins with checksums: about eight minutes on two cores,
//! once.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::error::{Context, Error, Result};

/// The programs of Kubernetes that a lab runs.
const PROGRAMS: [&str; 6] = [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubectl",
];

/// The folder that holds the Go module, in the source tree.
fn source() -> PathBuf {
    std::env::var_os("BELLWETHER_LAB_SOURCE").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("kubernetes"),
        PathBuf::from,
    )
}

/// The version of Kubernetes that the module pins.
pub fn kubernetes_version() -> Result<String> {
    let path = source().join("go.mod");
    let text = fs::read_to_string(&path).context(|| format!("cannot read {}", path.display()))?;
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("k8s.io/kubernetes v"))
        .find_map(|rest| rest.split_whitespace().next())
        .map(ToOwned::to_owned)
        .ok_or_else(|| Error::Unexpected(format!("{} pins no Kubernetes", path.display())))
}

/// Finds every Kubernetes program, and builds those that are nowhere. Prints progress.
pub fn find_or_build() -> Result<BTreeMap<String, PathBuf>> {
    let cache = cache_folder()?;
    let given = ["BELLWETHER_LAB_BIN", "KUBEBUILDER_ASSETS"]
        .into_iter()
        .filter_map(std::env::var_os)
        .map(PathBuf::from);
    let folders: Vec<PathBuf> = given.chain([cache.clone()]).collect();
    let mut found = BTreeMap::new();
    let mut missing = Vec::new();
    for program in PROGRAMS {
        match folders
            .iter()
            .map(|folder| folder.join(program))
            .find(|path| path.is_file())
        {
            Some(path) => {
                found.insert(program.to_owned(), path);
            }
            None => missing.push(program),
        }
    }
    if !missing.is_empty() {
        build(&missing, &cache)?;
        found.extend(
            missing
                .into_iter()
                .map(|name| (name.to_owned(), cache.join(name))),
        );
    }
    Ok(found)
}

/// One folder for each set of pinned versions, so that a change of the pins builds anew.
fn cache_folder() -> Result<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cache")))
        .ok_or_else(|| Error::Unexpected("neither XDG_CACHE_HOME nor HOME is set".to_owned()))?;
    let sums = source().join("go.sum");
    let text = fs::read(&sums).context(|| format!("cannot read {}", sums.display()))?;
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let version = kubernetes_version()?;
    Ok(base
        .join("bellwether")
        .join(format!("kubernetes-{version}-{:016x}", hasher.finish())))
}

fn build(programs: &[&str], cache: &Path) -> Result<()> {
    if !Command::new("go")
        .arg("version")
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|s| s.success())
    {
        return Err(Error::Missing {
            program: "go".to_owned(),
            remedy: "install Go 1.26 or later (https://go.dev/dl), or name a folder that holds \
                     the Kubernetes binaries in BELLWETHER_LAB_BIN"
                .to_owned(),
        });
    }
    fs::create_dir_all(cache).context(|| format!("cannot create {}", cache.display()))?;
    // Two builds at once would only compete for the same processors: the second waits for the first
    // and then finds its result. The lock goes with the file handle.
    let lock =
        File::create(cache.join(".lock")).context(|| format!("cannot lock {}", cache.display()))?;
    lock.lock()
        .context(|| format!("cannot lock {}", cache.display()))?;
    eprintln!(
        "Building Kubernetes {} once, into {}; about eight minutes on two cores.",
        kubernetes_version()?,
        cache.display()
    );
    let total = programs.len();
    for (index, program) in programs.iter().enumerate() {
        let path = cache.join(program);
        if !path.is_file() {
            build_one(
                program,
                &path,
                &format!("[{}/{total}] {program}", index + 1),
            )?;
        }
    }
    Ok(())
}

/// Builds to a temporary name and renames, so that a build that was cut off leaves no half program.
fn build_one(program: &str, path: &Path, label: &str) -> Result<()> {
    let partial = path.with_extension("partial");
    let version = kubernetes_version()?;
    let mut parts = version.splitn(3, '.');
    let (major, minor) = (parts.next().unwrap_or("0"), parts.next().unwrap_or("0"));
    let component = "k8s.io/component-base/version";
    let flags = format!(
        "-s -w -X {component}.gitVersion=v{version} -X {component}.gitMajor={major} \
         -X {component}.gitMinor={minor} -X {component}.gitTreeState=clean"
    );
    let package = match program {
        "etcd" => "./etcd".to_owned(),
        other => format!("k8s.io/kubernetes/cmd/{other}"),
    };
    let mut command = Command::new("go");
    command
        .current_dir(source())
        .env("CGO_ENABLED", "0")
        .args(["build", "-trimpath", "-ldflags", &flags, "-o"])
        .arg(&partial)
        .arg(&package)
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let start = Instant::now();
    let spinner = ProgressBar::new_spinner().with_message(label.to_owned());
    if let Ok(style) = ProgressStyle::with_template("  {spinner} {msg} {elapsed}") {
        spinner.set_style(style);
    }
    if spinner.is_hidden() {
        eprintln!("  {label} ...");
    }
    spinner.enable_steady_tick(Duration::from_millis(200));
    let output = command.output().context(|| "cannot run go".to_owned())?;
    spinner.finish_and_clear();
    if !output.status.success() {
        return Err(Error::Command {
            command: format!("go build {package}"),
            status: output.status,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        });
    }
    fs::rename(&partial, path).context(|| format!("cannot write {}", path.display()))?;
    eprintln!("  {label}: {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}
