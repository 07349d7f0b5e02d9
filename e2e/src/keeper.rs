//! The process that stands for a lab on the machine. It owns the lab's folder, starts the supervisor
//! in namespaces of its own, forwards a port of the loopback address to the API server, and removes
//! the folder when the supervisor has ended.

use std::fs;
use std::io::{Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, UnixStream};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use crate::binaries;
use crate::cgroup;
use crate::control::Folder;
use crate::error::{Context, Error, Result};
use crate::lab::LabOptions;
use crate::supervisor::Orders;
use crate::system::is_root;

/// The octet on the keeper's standard input that lets it live on when that is closed.
pub const DETACH: u8 = b'D';

/// Who keeps a lab: enough to find it again, and not to mistake another process for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keeper {
    /// The keeper.
    pub pid: i32,
    /// When it was started, in the kernel's ticks.
    pub started: u64,
    /// The supervisor, as the machine sees it.
    pub supervisor: i32,
}

impl Keeper {
    /// What the lab's folder says, if that process still lives.
    #[must_use]
    pub fn find(folder: &Folder) -> Option<Self> {
        let text = fs::read(folder.keeper()).ok()?;
        let keeper: Self = serde_json::from_slice(&text).ok()?;
        (start_of(keeper.pid) == Some(keeper.started)).then_some(keeper)
    }
}

/// When a process was started: field 22 of `/proc/PID/stat`, the 20th after its name.
fn start_of(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(19)?.parse().ok()
}

fn parent_of(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(1)?.parse().ok()
}

/// A child of a process.
#[must_use]
pub fn child_of(parent: i32) -> Option<i32> {
    let entries = fs::read_dir("/proc").ok()?;
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .find(|&pid| parent_of(pid) == Some(parent))
}

/// Makes this process the only one that may touch the lab of this name, as long as the result lives.
///
/// It is a socket with an abstract name: the kernel forgets it with the process, and no file stays.
pub fn hold(name: &str) -> Result<UnixListener> {
    let user = nix::unistd::geteuid();
    SocketAddr::from_abstract_name(format!("bellwether-lab-{user}-{name}"))
        .and_then(|address| UnixListener::bind_addr(&address))
        .map_err(|_| Error::AlreadyUp(name.to_owned()))
}

/// Keeps a lab until it ends, is told to end it, or loses the one it lives for.
pub async fn keep(options: LabOptions) -> Result<()> {
    let folder = Folder::of(&options.name);
    let _hold = hold(&options.name).inspect_err(|error| say(&error.to_string()))?;
    let name = options.name.clone();
    tidy(&folder, &name)?;
    for path in [folder.path(), &folder.logs(), &folder.scratch()] {
        fs::create_dir_all(path).context(|| format!("cannot create {}", path.display()))?;
    }
    if let Err(error) = run(options, &folder).await {
        say(&error.to_string());
    }
    tidy(&folder, &name)
}

/// For whoever brings the lab up. Nobody reads it any more once the lab is ready.
fn say(text: &str) {
    let _nobody_reads = writeln!(std::io::stdout(), "{text}");
}

async fn run(options: LabOptions, folder: &Folder) -> Result<()> {
    let mut terminate =
        signal(SignalKind::terminate()).context(|| "cannot wait for signals".to_owned())?;
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .context(|| "cannot listen on the loopback address".to_owned())?;
    let port = listener
        .local_addr()
        .context(|| "cannot tell the port".to_owned())?
        .port();
    let orders = Orders {
        options,
        programs: binaries::find_or_build()?,
        folder: folder.path().to_owned(),
        api_port: port,
    };
    let mut child = spawn_supervisor(&orders, folder)?;
    // Taken out, because waiting for a process closes what it holds of this, and then it ends.
    let _lifeline = child.stdin.take();
    write_down(&child, folder).await?;
    tokio::spawn(forward(listener, folder.api_socket()));
    tokio::select! {
        _ended = child.wait() => {
            say(&tail(&folder.logs().join("supervisor.log")));
        }
        () = orphaned() => {}
        _ = terminate.recv() => {}
    }
    if let Some(keeper) = Keeper::find(folder) {
        // Killing the first process of a PID namespace ends all others in it.
        let _may_be_gone = kill(Pid::from_raw(keeper.supervisor), Signal::SIGKILL);
    }
    child
        .wait()
        .await
        .context(|| "cannot wait for the lab".to_owned())?;
    Ok(())
}

fn spawn_supervisor(orders: &Orders, folder: &Folder) -> Result<Child> {
    let executable = std::env::current_exe().context(|| "cannot find myself".to_owned())?;
    let orders =
        serde_json::to_string(orders).map_err(|error| Error::Unexpected(error.to_string()))?;
    let log = folder.logs().join("supervisor.log");
    let errors = fs::File::create(&log).context(|| format!("cannot create {}", log.display()))?;
    let mut command = Command::new("unshare");
    if !is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command
        .args([
            "--mount",
            "--net",
            "--pid",
            "--ipc",
            "--fork",
            "--mount-proc",
        ])
        .args(["--propagation", "private", "--kill-child=SIGKILL"])
        .arg(executable)
        .args(["supervise", &orders])
        .stdin(Stdio::piped())
        .stderr(errors)
        .kill_on_drop(true)
        .spawn()
        .context(|| "cannot run unshare".to_owned())
}

/// Waits until unshare has made the supervisor, and writes down who is who.
async fn write_down(unshare: &Child, folder: &Folder) -> Result<()> {
    let gone = || Error::Died(tail(&folder.logs().join("supervisor.log")));
    let unshare = unshare
        .id()
        .and_then(|pid| i32::try_from(pid).ok())
        .ok_or_else(gone)?;
    let supervisor = loop {
        if let Some(pid) = child_of(unshare) {
            break pid;
        }
        start_of(unshare).ok_or_else(gone)?;
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    };
    let pid = nix::unistd::getpid().as_raw();
    let keeper = Keeper {
        pid,
        started: start_of(pid).unwrap_or_default(),
        supervisor,
    };
    let text = serde_json::to_vec(&keeper).map_err(|error| Error::Unexpected(error.to_string()))?;
    fs::write(folder.keeper(), text).context(|| "cannot write down the keeper".to_owned())
}

/// Returns when standard input is closed without [`DETACH`] having come before.
async fn orphaned() {
    if stdin_until_closed().await.last() == Some(&DETACH) {
        std::future::pending::<()>().await;
    }
}

/// What comes on standard input until it is closed.
///
/// On a thread of its own: a runtime that ends waits for the reads it has begun, and this one may
/// never return.
pub async fn stdin_until_closed() -> Vec<u8> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut octets = Vec::new();
        let _closed = std::io::stdin().read_to_end(&mut octets);
        let _nobody_waits = sender.send(octets);
    });
    receiver.await.unwrap_or_default()
}

async fn forward(listener: TcpListener, socket: PathBuf) {
    while let Ok((mut outside, _)) = listener.accept().await {
        let socket = socket.clone();
        tokio::spawn(async move {
            if let Ok(mut inside) = UnixStream::connect(socket).await {
                let _ended = copy_bidirectional(&mut outside, &mut inside).await;
            }
        });
    }
}

/// Removes the folder and the control groups of a lab that does not run.
pub fn tidy(folder: &Folder, name: &str) -> Result<()> {
    cgroup::remove_lab(name)?;
    match fs::remove_dir_all(folder.path()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).context(|| format!("cannot remove {}", folder.path().display()))
        }
        _ => Ok(()),
    }
}

/// The last lines of a log.
#[must_use]
pub fn tail(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let start = lines.len().saturating_sub(20);
    lines.get(start..).unwrap_or_default().join("\n")
}
