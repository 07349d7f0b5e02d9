//! What the handle of a lab and its supervisor say to each other: one JSON object on a line each way,
//! over a Unix socket in the lab's folder. Unix sockets do not care about network namespaces.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use crate::error::{Context, Error, Result};
use crate::fault::Fault;

/// What a lab can be asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Request {
    /// What runs where.
    Status,
    /// Do something to nodes.
    Fault {
        /// The nodes.
        nodes: Vec<String>,
        /// What.
        fault: Fault,
    },
    /// Do something to one program.
    Program {
        /// Its name, such as `speaker-node-a` or `kube-apiserver`.
        name: String,
        /// What.
        action: Action,
    },
}

/// What can be done to a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// Kill it (SIGKILL) and wait until it is gone.
    Kill,
    /// Ask it to end (SIGTERM) and wait until it is gone.
    Stop,
    /// Stop it where it is (SIGSTOP).
    Pause,
    /// Let it go on (SIGCONT).
    Resume,
    /// Start it, if it does not run.
    Start,
}

/// What a lab answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Response {
    /// It was done.
    Done,
    /// What runs where.
    Status(Status),
    /// It was not done, and why.
    Error(String),
}

/// What runs where.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The hosts.
    pub hosts: Vec<HostStatus>,
    /// The programs.
    pub programs: Vec<ProgramStatus>,
}

/// A host of the lab.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostStatus {
    /// Its name.
    pub name: String,
    /// Its address on the LAN.
    pub ipv4: String,
    /// Its IPv6 address on the LAN.
    pub ipv6: String,
    /// What was done to it and not healed.
    pub faults: Vec<Fault>,
}

/// A program of the lab.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProgramStatus {
    /// Its name.
    pub name: String,
    /// The host that it runs on; none is the control plane.
    pub host: Option<String>,
    /// Whether it runs.
    pub alive: bool,
}

/// Where a lab keeps what is seen from outside.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder of the lab `name` of this user.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let user = nix::unistd::geteuid();
        Self(std::env::temp_dir().join(format!("bellwether-lab-{user}-{name}")))
    }

    /// The name of the lab.
    #[must_use]
    pub fn lab(&self) -> &str {
        // bellwether-lab-0-NAME
        self.name().splitn(4, '-').nth(3).unwrap_or_default()
    }

    /// The name of the folder itself, which is in the command line of each of the lab's processes.
    #[must_use]
    pub fn name(&self) -> &str {
        let name = self.0.file_name().and_then(|name| name.to_str());
        name.unwrap_or_default()
    }

    /// The folder at `path`. In a user namespace the user has another number, and so [`Folder::of`]
    /// would name another.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A kubeconfig for the machine's own programs.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.0.join("kubeconfig")
    }

    /// The administrator's kubeconfig for programs within the lab, without the way through the
    /// keeper.
    #[must_use]
    pub fn inner_kubeconfig(&self) -> PathBuf {
        self.scratch().join("admin.kubeconfig")
    }

    /// Where every program of the lab logs.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.0.join("logs")
    }

    /// Every request that the API server answered, a line of JSON each.
    #[must_use]
    pub fn audit_log(&self) -> PathBuf {
        self.logs().join("audit.log")
    }

    /// The socket on which the supervisor is asked.
    #[must_use]
    pub fn control_socket(&self) -> PathBuf {
        self.0.join("control.sock")
    }

    /// The socket that leads to the API server.
    #[must_use]
    pub fn api_socket(&self) -> PathBuf {
        self.0.join("api.sock")
    }

    /// The file that names the first process of a node of the full lab, as the lab sees it. It is
    /// there as long as the node has power.
    #[must_use]
    pub fn machine(&self, node: &str) -> PathBuf {
        self.0.join(format!("{node}.pid"))
    }

    /// Who keeps the lab.
    #[must_use]
    pub fn keeper(&self) -> PathBuf {
        self.0.join("keeper.json")
    }

    /// Where the supervisor mounts what shall be gone with it.
    #[must_use]
    pub fn scratch(&self) -> PathBuf {
        self.0.join("scratch")
    }

    /// Asks the supervisor.
    pub async fn ask(&self, request: &Request) -> Result<Response> {
        let socket = self.control_socket();
        let mut stream = UnixStream::connect(&socket)
            .await
            .context(|| format!("cannot reach the lab at {}", socket.display()))?;
        let text = |error: serde_json::Error| Error::Unexpected(error.to_string());
        let line = serde_json::to_string(request).map_err(text)? + "\n";
        let failed = || "cannot ask the lab".to_owned();
        stream.write_all(line.as_bytes()).await.context(failed)?;
        let mut answer = String::new();
        BufReader::new(stream)
            .read_line(&mut answer)
            .await
            .context(failed)?;
        match serde_json::from_str(&answer).map_err(text)? {
            Response::Error(reason) => Err(Error::Refused(reason)),
            response => Ok(response),
        }
    }
}
