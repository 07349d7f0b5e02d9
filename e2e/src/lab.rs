//! The handle of a lab: bring it up, use it, take it down.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use kube::Client;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::Instant;

use crate::binaries;
use crate::control::{Action, Folder, Request, Response, Status};
use crate::control_plane;
use crate::error::{Context, Error, Result};
use crate::fault::Fault;
use crate::keeper::{self, DETACH, Keeper};
use crate::machine::{NAMESPACES, first_process};
use crate::network::Topology;
use crate::process::stdout_of;
use crate::supervisor::{READY, STEP};
use crate::system::{ensure_programs, is_root};

/// What a lab is made of.
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
pub struct LabOptions {
    /// The name of the lab; several may be up side by side
    #[arg(long, default_value = "default")]
    pub name: String,

    /// How many nodes it has
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=20))]
    pub nodes: u8,

    /// How kube-proxy forwards
    #[arg(long, value_enum, default_value = "nftables")]
    pub proxy_mode: ProxyMode,

    /// Kubernetes alone, without the product
    #[arg(long)]
    pub bare: bool,

    /// Real kubelets: each node runs containerd and kubelet, and pods are containers; the product is
    /// installed from its images and manifests (needs root)
    #[arg(long)]
    pub kubelet: bool,

    /// The folder with the product's images, for --kubelet
    #[arg(long, env = "BELLWETHER_IMAGES", default_value_os_t = default_images())]
    pub images: PathBuf,

    /// How many replicas of the controller run
    #[arg(long, default_value_t = 2, value_parser = controllers())]
    pub controllers: u16,

    /// The timers of the speakers
    #[arg(long, value_enum, default_value = "default")]
    pub profile: Profile,

    /// The folder with the product's manifests
    #[arg(long, env = "BELLWETHER_MANIFESTS", default_value_os_t = default_manifests())]
    pub manifests: PathBuf,

    /// The folder with the product's daemons
    #[arg(long, env = "BELLWETHER_BIN", default_value_os_t = default_binaries())]
    pub binaries: PathBuf,
}

impl LabOptions {
    /// What the command line gives when it says nothing but the name.
    #[must_use]
    pub fn named(name: String) -> Self {
        #[derive(clap::Parser)]
        struct Defaults {
            #[command(flatten)]
            options: LabOptions,
        }
        let Defaults { options } = clap::Parser::parse_from(["lab"]);
        Self { name, ..options }
    }
}

/// How many replicas of the controller a lab may have.
pub(crate) const MOST_CONTROLLERS: u16 = 5;

fn controllers() -> clap::builder::RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(0..=i64::from(MOST_CONTROLLERS))
}

/// The timers of the speakers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "camelCase")]
pub enum Profile {
    /// For ordinary machines and networks.
    #[default]
    Default,
    /// For those that are never late.
    Fast,
}

impl Profile {
    /// How it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Fast => "fast",
        }
    }
}

/// How kube-proxy forwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "camelCase")]
pub enum ProxyMode {
    /// By nftables.
    Nftables,
    /// By iptables.
    Iptables,
}

fn default_manifests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests")
}

fn default_images() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/images")
}

/// Beside the lab's own executable.
fn default_binaries() -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    own.parent().unwrap_or(Path::new(".")).to_owned()
}

/// How long a lab lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// Until the handle is dropped or its process ends, however it ends.
    WithHandle,
    /// Until somebody takes it down.
    Detached,
}

/// A lab that is up.
pub struct Lab {
    folder: Folder,
    keeper: Keeper,
    /// The keeper's process and its standard input, if the lab lives with this handle.
    own: Option<(Child, ChildStdin)>,
    client: Client,
    /// `bellwether-lab`, for what it does on the lab's hosts.
    executable: PathBuf,
    /// Held by the lab of a test, so that the next test waits until this one is down.
    turn: Option<OwnedMutexGuard<()>>,
}

/// Whose turn it is among the tests of one process. Two labs on two processors would only make each
/// other slow.
static TURN: LazyLock<Arc<Mutex<()>>> = LazyLock::new(Arc::default);

impl Lab {
    /// Brings a lab up. `executable` is `bellwether-lab`; `progress` hears of each step.
    pub async fn up(
        options: &LabOptions,
        executable: &Path,
        lifetime: Lifetime,
        mut progress: impl FnMut(&str),
    ) -> Result<Self> {
        ensure_programs(options)?;
        ensure_namespaces()?;
        // Here and not in the keeper, so that the user sees the progress of the build.
        binaries::find_or_build()?;
        let folder = Folder::of(&options.name);
        if Keeper::find(&folder).is_some() {
            return Err(Error::AlreadyUp(options.name.clone()));
        }
        let orders =
            serde_json::to_string(options).map_err(|error| Error::Unexpected(error.to_string()))?;
        let mut child = {
            use std::os::unix::process::CommandExt;
            Command::new(executable)
                .args(["keep", &orders])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                // The keeper outlives this process, and must not hold on to its pipes.
                .stderr(Stdio::null())
                // Ctrl-C is for the user's program, which then ends the lab in order.
                .process_group(0)
                .spawn()
                .context(|| format!("cannot run {}", executable.display()))?
        };
        let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::Unexpected("a piped stream is missing".to_owned()));
        };
        // A thread, because the lines come whenever they come; it ends with the keeper.
        let (sender, mut lines) = tokio::sync::mpsc::channel(16);
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.blocking_send(line).is_err() {
                    break;
                }
            }
        });
        let mut said = Vec::new();
        loop {
            match lines.recv().await {
                Some(line) if line == READY => break,
                Some(line) if line.starts_with(STEP) => progress(line.trim_start_matches(STEP)),
                Some(line) => said.push(line),
                None => {
                    let _ended = child.wait();
                    return Err(Error::Died(said.join("\n")));
                }
            }
        }
        let own = match lifetime {
            Lifetime::WithHandle => Some((child, stdin)),
            Lifetime::Detached => {
                stdin
                    .write_all(&[DETACH])
                    .context(|| "cannot detach the lab".to_owned())?;
                None
            }
        };
        Self::open(&options.name, executable, own).await
    }

    /// Brings up a lab of its own for a test; it goes down with the handle. `executable` is what
    /// cargo calls `CARGO_BIN_EXE_bellwether-lab`; `adjust` changes what is not as usual.
    pub async fn for_test(executable: &str, adjust: impl FnOnce(&mut LabOptions)) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let mut options = LabOptions::named(format!("test-{}-{number}", std::process::id()));
        let executable = Path::new(executable);
        if std::env::var_os("BELLWETHER_BIN").is_none()
            && let Some(folder) = executable.parent()
        {
            options.binaries = folder.to_owned();
        }
        adjust(&mut options);
        let turn = TURN.clone().lock_owned().await;
        let mut lab = Self::up(&options, executable, Lifetime::WithHandle, |_| {}).await?;
        lab.turn = Some(turn);
        Ok(lab)
    }

    /// The lab of this name, which somebody brought up.
    pub async fn attach(name: &str) -> Result<Self> {
        let executable = std::env::current_exe().context(|| "cannot find myself".to_owned())?;
        Self::open(name, &executable, None).await
    }

    async fn open(name: &str, executable: &Path, own: Option<(Child, ChildStdin)>) -> Result<Self> {
        let folder = Folder::of(name);
        let keeper = Keeper::find(&folder).ok_or_else(|| Error::NotUp(name.to_owned()))?;
        let path = folder.kubeconfig();
        let kubeconfig =
            fs::read_to_string(&path).context(|| format!("cannot read {}", path.display()))?;
        let client = control_plane::client(&kubeconfig).await?;
        Ok(Self {
            folder,
            keeper,
            own,
            client,
            executable: executable.to_owned(),
            turn: None,
        })
    }

    /// Where the lab keeps its logs and its kubeconfig.
    #[must_use]
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// A client of its API server with all rights.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// `bellwether-lab`.
    #[must_use]
    pub fn executable(&self) -> &Path {
        &self.executable
    }

    /// Its hosts, as they are addressed.
    #[must_use]
    pub fn topology(&self) -> Topology {
        Topology::new(20)
    }

    /// A command that runs `program` on `host`; `control-plane` is where the API server is.
    #[must_use]
    pub fn command(
        &self,
        host: &str,
        program: impl AsRef<std::ffi::OsStr>,
    ) -> tokio::process::Command {
        let supervisor = self.keeper.supervisor;
        let machine = first_process(&self.folder.machine(host));
        let mut command = tokio::process::Command::new("nsenter");
        command.arg("--target").arg(supervisor.to_string());
        if !is_root() {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.args(["--mount", "--pid"]);
        match (machine, host) {
            // From within the lab, because that is who sees it under this number.
            (Some(machine), _) => command
                .args(["nsenter", &format!("--target={machine}")])
                .args(NAMESPACES),
            (None, "control-plane") => command.arg("--net"),
            (None, host) => command.arg(format!("--net=/proc/{supervisor}/root/run/netns/{host}")),
        };
        command.arg(program).kill_on_drop(true);
        command
    }

    /// Runs a program on a host to its end and returns what it printed.
    pub async fn exec(&self, host: &str, program_and_args: &[&str]) -> Result<String> {
        let (program, args) = program_and_args
            .split_first()
            .ok_or_else(|| Error::Unexpected("no program was named".to_owned()))?;
        let output = self
            .command(host, program)
            .args(args)
            .stdin(Stdio::null())
            .output()
            .await
            .context(|| format!("cannot run {program}"))?;
        stdout_of(
            &format!("{} (on {host})", program_and_args.join(" ")),
            &output,
        )
    }

    /// Does something to a node.
    pub async fn fault(&self, node: &str, fault: Fault) -> Result<()> {
        self.fault_all(&[node], fault).await
    }

    /// Does the same to several nodes. What the bridge plays begins and ends for all at once.
    pub async fn fault_all(&self, nodes: &[&str], fault: Fault) -> Result<()> {
        let nodes = nodes.iter().map(|&node| node.to_owned()).collect();
        self.folder
            .ask(&Request::Fault { nodes, fault })
            .await
            .map(drop)
    }

    /// Does something to one program.
    pub async fn act(&self, program: &str, action: Action) -> Result<()> {
        let name = program.to_owned();
        self.folder
            .ask(&Request::Program { name, action })
            .await
            .map(drop)
    }

    /// What runs where.
    pub async fn status(&self) -> Result<Status> {
        match self.folder.ask(&Request::Status).await? {
            Response::Status(status) => Ok(status),
            other => Err(Error::Unexpected(format!("the lab answered {other:?}"))),
        }
    }

    /// The last lines of every log of the product and of the supervisor, for when a test has failed.
    #[must_use]
    pub fn log_tails(&self) -> String {
        let mut tails = Vec::new();
        let mut folders = vec![self.folder.logs()];
        while let Some(folder) = folders.pop() {
            let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
            for path in entries.map(|entry| entry.path()) {
                let name = path.strip_prefix(self.folder.logs()).unwrap_or(&path);
                let name = name.display().to_string();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                // Of the light lab, and the pods of the full one.
                let ours = ["controller-", "speaker-", "supervisor"]
                    .iter()
                    .any(|start| name.starts_with(start))
                    || name.contains("/pods/bellwether-system_");
                if ours {
                    tails.push(format!("--- {name}\n{}\n", keeper::tail(&path)));
                }
            }
        }
        tails.concat()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let Some((mut child, stdin)) = self.own.take() else {
            return;
        };
        if std::thread::panicking() {
            eprintln!("{}", self.log_tails());
        }
        drop(stdin);
        let _ended = child.wait();
    }
}

/// Takes the lab of this name down, or removes what is left of it. Returns whether there was one.
pub async fn down(name: &str) -> Result<bool> {
    let folder = Folder::of(name);
    let existed = folder.path().exists();
    if let Some(keeper) = Keeper::find(&folder) {
        kill(Pid::from_raw(keeper.pid), Signal::SIGTERM)
            .context(|| "cannot end the lab's keeper".to_owned())?;
        wait_for(
            "the lab ending",
            Duration::from_secs(20),
            async || match Keeper::find(&folder) {
                Some(keeper) => Err(format!("its keeper {} lives", keeper.pid)),
                None => Ok(()),
            },
        )
        .await?;
    }
    // A keeper that is about to end holds it for a moment longer than its folder.
    let what = "the keeper letting go of the lab";
    let hold = async || keeper::hold(name).map_err(|error| error.to_string());
    let _hold = wait_for(what, Duration::from_secs(20), hold).await?;
    keeper::tidy(&folder, name)?;
    Ok(existed)
}

/// Whether this user may make namespaces, found out by making some.
fn ensure_namespaces() -> Result<()> {
    let mut command = Command::new("unshare");
    if !is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    let output = command
        .args(["--mount", "--net", "--pid", "--fork", "true"])
        .output()
        .context(|| "cannot run unshare".to_owned())?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::NoNamespaces(
        String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    ))
}

/// Waits until `check` succeeds, at most `limit`. What it said last is part of the error.
pub async fn wait_for<T>(
    what: &str,
    limit: Duration,
    check: impl AsyncFn() -> Result<T, String>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    let mut pause = Duration::from_millis(5);
    loop {
        let seen = match check().await {
            Ok(value) => return Ok(value),
            Err(seen) => seen,
        };
        if Instant::now() >= deadline {
            return Err(Error::TimedOut {
                what: what.to_owned(),
                limit,
                seen,
            });
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}
