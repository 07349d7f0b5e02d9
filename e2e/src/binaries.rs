//! Where the binaries of Kubernetes and Helm come from.
//!
//! Each is looked for in the folder that `BELLWETHER_LAB_BIN` names, then in the one that
//! `KUBEBUILDER_ASSETS` names, then in the user's cache. What is not found is built there from the
//! Go modules that `e2e/kubernetes/go.mod` and `e2e/helm/go.mod` pin with checksums: about eight
//! minutes on two cores, once.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::error::{Context, Error, Result};

/// A Go module in the source tree, which pins programs with checksums.
struct Module {
    /// What it pins, as a person calls it.
    name: &'static str,
    /// Its folder below `e2e`, and the beginning of the folder in the cache.
    folder: &'static str,
    /// The module whose version is that of the programs.
    path: &'static str,
    /// About how long a build takes.
    duration: &'static str,
    /// The programs of it that the lab uses.
    programs: &'static [&'static str],
}

const KUBERNETES: Module = Module {
    name: "Kubernetes",
    folder: "kubernetes",
    path: "k8s.io/kubernetes",
    duration: "eight minutes",
    programs: &[
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kube-proxy",
        "kubectl",
        "kubelet",
    ],
};

const HELM: Module = Module {
    name: "Helm",
    folder: "helm",
    path: "helm.sh/helm/v4",
    duration: "three minutes",
    programs: &["helm"],
};

/// Finds every Kubernetes program, and builds those that are nowhere. Prints progress.
pub fn find_or_build() -> Result<BTreeMap<String, PathBuf>> {
    KUBERNETES.find_or_build()
}

/// Finds Helm, and builds it if it is nowhere. Prints progress.
pub fn helm() -> Result<PathBuf> {
    let found = HELM.find_or_build()?.remove("helm");
    found.ok_or_else(|| Error::Unexpected("there is no helm".to_owned()))
}

impl Module {
    /// Its folder in the source tree.
    fn source(&self) -> PathBuf {
        std::env::var_os("BELLWETHER_LAB_SOURCE")
            .map_or_else(
                || Path::new(env!("CARGO_MANIFEST_DIR")).to_owned(),
                PathBuf::from,
            )
            .join(self.folder)
    }

    /// The version that it pins.
    fn version(&self) -> Result<String> {
        let path = self.source().join("go.mod");
        let text =
            fs::read_to_string(&path).context(|| format!("cannot read {}", path.display()))?;
        // In a block, or on a line of its own.
        text.lines()
            .map(|line| line.trim().trim_start_matches("require "))
            .filter_map(|line| line.strip_prefix(self.path)?.strip_prefix(" v"))
            .find_map(|rest| rest.split_whitespace().next())
            .map(ToOwned::to_owned)
            .ok_or_else(|| Error::Unexpected(format!("{} pins no {}", path.display(), self.name)))
    }

    fn find_or_build(&self) -> Result<BTreeMap<String, PathBuf>> {
        let cache = self.cache_folder()?;
        let given = ["BELLWETHER_LAB_BIN", "KUBEBUILDER_ASSETS"]
            .into_iter()
            .filter_map(std::env::var_os)
            .map(PathBuf::from);
        let folders: Vec<PathBuf> = given.chain([cache.clone()]).collect();
        let mut found = BTreeMap::new();
        let mut missing = Vec::new();
        for &program in self.programs {
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
            self.build(&missing, &cache)?;
            found.extend(
                missing
                    .into_iter()
                    .map(|name| (name.to_owned(), cache.join(name))),
            );
        }
        Ok(found)
    }

    /// One folder for each set of pinned versions, so that a change of the pins builds anew.
    fn cache_folder(&self) -> Result<PathBuf> {
        let base = std::env::var_os("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .or_else(|| std::env::home_dir().map(|home| home.join(".cache")))
            .ok_or_else(|| {
                Error::Unexpected("neither XDG_CACHE_HOME nor HOME is set".to_owned())
            })?;
        let sums = self.source().join("go.sum");
        let text = fs::read(&sums).context(|| format!("cannot read {}", sums.display()))?;
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let (folder, version) = (self.folder, self.version()?);
        Ok(base
            .join("bellwether")
            .join(format!("{folder}-{version}-{:016x}", hasher.finish())))
    }

    fn build(&self, programs: &[&str], cache: &Path) -> Result<()> {
        if !Command::new("go")
            .arg("version")
            .stdout(Stdio::null())
            .status()
            .is_ok_and(|s| s.success())
        {
            return Err(Error::Missing {
                program: "go".to_owned(),
                remedy: format!(
                    "install Go 1.26 or later (https://go.dev/dl), or name a folder that holds \
                     the programs of {} in BELLWETHER_LAB_BIN",
                    self.name
                ),
            });
        }
        fs::create_dir_all(cache).context(|| format!("cannot create {}", cache.display()))?;
        // Two builds at once would only compete for the same processors: the second waits for the
        // first and then finds its result. The lock goes with the file handle.
        let lock = File::create(cache.join(".lock"))
            .context(|| format!("cannot lock {}", cache.display()))?;
        lock.lock()
            .context(|| format!("cannot lock {}", cache.display()))?;
        eprintln!(
            "Building {} {} once, into {}; about {} on two cores.",
            self.name,
            self.version()?,
            cache.display(),
            self.duration
        );
        let total = programs.len();
        for (index, program) in programs.iter().enumerate() {
            let path = cache.join(program);
            if !path.is_file() {
                let label = format!("[{}/{total}] {program}", index + 1);
                self.build_one(program, &path, &label)?;
            }
        }
        Ok(())
    }

    /// The variables of the linker that tell a program which version it is, and its package.
    fn how_to_build(&self, program: &str) -> Result<(String, String)> {
        let version = self.version()?;
        if self.folder == HELM.folder {
            let flags = format!("-X {}/internal/version.version=v{version}", self.path);
            return Ok((flags, format!("{}/cmd/{program}", self.path)));
        }
        let mut parts = version.splitn(3, '.');
        let (major, minor) = (parts.next().unwrap_or("0"), parts.next().unwrap_or("0"));
        let component = "k8s.io/component-base/version";
        let flags = format!(
            "-X {component}.gitVersion=v{version} -X {component}.gitMajor={major} \
             -X {component}.gitMinor={minor} -X {component}.gitTreeState=clean"
        );
        let package = match program {
            "etcd" => "./etcd".to_owned(),
            other => format!("{}/cmd/{other}", self.path),
        };
        Ok((flags, package))
    }

    /// Builds to a temporary name and renames, so that a build that was cut off leaves no half
    /// program.
    fn build_one(&self, program: &str, path: &Path, label: &str) -> Result<()> {
        let partial = path.with_extension("partial");
        let (flags, package) = self.how_to_build(program)?;
        let flags = format!("-s -w {flags}");
        let mut command = Command::new("go");
        command
            .current_dir(self.source())
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
}
