//! A program that the supervisor runs, in one of the lab's namespaces, with its own log.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

use crate::error::{Context, Error, Result};
use crate::keeper::child_of;
use crate::machine::{NAMESPACES, first_process};

/// What a program that has ended wrote to its standard output; an error if it failed. `command` is
/// how people would write it.
pub fn stdout_of(command: &str, output: &Output) -> Result<String> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Error::Command {
        command: command.to_owned(),
        status: output.status,
        stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

/// How to run a program.
#[derive(Clone, Debug)]
pub struct Program {
    /// The name by which people and tests speak of it, such as `speaker-node-a`.
    pub name: String,
    /// The host that it runs on; `None` is the control plane's namespace.
    pub host: Option<String>,
    /// The file that names the first process of the machine in all of whose namespaces it runs; with
    /// none it runs in the host's network namespace alone.
    pub machine: Option<PathBuf>,
    /// Whether what is started forks the program itself, because the program is to have another PID
    /// namespace.
    pub forks: bool,
    /// The executable.
    pub path: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its environment, in addition to the supervisor's.
    pub env: BTreeMap<String, String>,
}

impl Program {
    /// The program `path` under `name`, in the control plane's namespace.
    #[must_use]
    pub fn new(name: &str, path: &Path, args: Vec<String>) -> Self {
        Self {
            name: name.to_owned(),
            host: None,
            machine: None,
            forks: false,
            path: path.to_owned(),
            args,
            env: BTreeMap::new(),
        }
    }

    /// The same on `host`.
    #[must_use]
    pub fn on(mut self, host: &str) -> Self {
        self.host = Some(host.to_owned());
        self
    }

    /// Starts it; what it prints is appended to `NAME.log` in `logs`.
    pub fn start(&self, logs: &Path) -> Result<Running> {
        let path = logs.join(format!("{}.log", self.name));
        let log = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .context(|| format!("cannot open {}", path.display()))?;
        let errors = log
            .try_clone()
            .context(|| "cannot share a log".to_owned())?;
        let mut command = match (&self.machine, &self.host) {
            (Some(machine), _) => {
                let first = first_process(machine)
                    .ok_or_else(|| Error::Refused(format!("{} has no power", self.name)))?;
                let mut command = Command::new("nsenter");
                command
                    .arg(format!("--target={first}"))
                    .args(NAMESPACES)
                    .arg(&self.path);
                command
            }
            // nsenter replaces itself by the program, so that its PID is the program's.
            (None, Some(host)) => {
                let mut command = Command::new("nsenter");
                command
                    .arg(format!("--net=/run/netns/{host}"))
                    .arg(&self.path);
                command
            }
            (None, None) => Command::new(&self.path),
        };
        let child = command
            .args(&self.args)
            .envs(&self.env)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .kill_on_drop(true)
            .spawn()
            .context(|| format!("cannot start {}", self.path.display()))?;
        Ok(Running {
            child,
            forks: self.forks,
        })
    }
}

/// A program that was started. Dropping it kills it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    /// Whether the program is a child of what was started.
    forks: bool,
}

impl Running {
    /// Its PID within the lab, unless it has ended.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        let started = self.child.id()?;
        if !self.forks {
            return Some(started);
        }
        let child = child_of(i32::try_from(started).ok()?)?;
        u32::try_from(child).ok()
    }

    /// Whether it still runs, paused or not.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends it a signal. One that has ended gets none.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let send = |pid: Option<u32>| match pid.and_then(|pid| i32::try_from(pid).ok()) {
            Some(pid) => {
                kill(Pid::from_raw(pid), signal).context(|| format!("cannot send {signal}"))
            }
            None => Ok(()),
        };
        send(self.pid())?;
        // What forked the program stops with it, and waits for it to end; nothing else is its affair.
        if self.forks && matches!(signal, Signal::SIGKILL | Signal::SIGSTOP | Signal::SIGCONT) {
            send(self.child.id())?;
        }
        Ok(())
    }

    /// Waits until it has ended.
    pub async fn wait(&mut self) -> Result<std::process::ExitStatus> {
        self.child
            .wait()
            .await
            .context(|| "cannot wait for a program".to_owned())
    }
}
