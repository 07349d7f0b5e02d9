//! `bellwether-speaker status`: what the speaker of this node is at, asked of the process itself.
//!
//! [`serve`] answers who asks at a Unix socket: `status` with one JSON document, a [`Status`], and
//! `trace` with the lines of a trace ([`crate::trace`]). [`show`] asks, and prints it. Nothing can be
//! changed that way.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::election::Snapshot;
use bellwether_core::link::LinkIndex;
use bellwether_core::mac::MacAddr;
use bellwether_core::membership::Channel;
use bellwether_core::membership::timing::Profile;
use bellwether_core::name::{LinkName, NodeName};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::l2::{Beacons, Inbox, Look};
use crate::options::{Format, StatusOptions};
use crate::privileges::Privileges;

mod table;

pub use table::render;

/// How long the L2 thread may take to say what it is at.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a speaker may take to answer: longer than it waits for its L2 thread.
const ANSWER: Duration = Duration::from_secs(5);

/// How long to wait after a connection that could not be accepted.
const PAUSE: Duration = Duration::from_millis(100);

/// How a status is asked for.
const STATUS: &[u8] = b"status\n";

/// How a trace is asked for.
pub(crate) const TRACE: &[u8] = b"trace\n";

/// Why nothing can be shown.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// Nobody answers.
    #[error(
        "no speaker answers at {}: {error}; is one running on this node, and with this --socket?",
        socket.display()
    )]
    NoSpeaker {
        /// The socket.
        socket: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// There is a speaker, and it does not answer.
    #[error(
        "the speaker at {} has not answered for {} s; is it stopped, or hung? Its log and \
         /healthz say more",
        socket.display(),
        ANSWER.as_secs()
    )]
    Hung {
        /// The socket.
        socket: PathBuf,
    },
    /// Somebody may answer, but not this user.
    #[error("may not ask the speaker at {}: {error}; run this as root", socket.display())]
    Forbidden {
        /// The socket.
        socket: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The status cannot be printed.
    #[error("cannot print the status: {0}")]
    Output(io::Error),
    /// What answers is no speaker of this version.
    #[error("what answers at {} is no speaker of this version: {error}", socket.display())]
    Other {
        /// The socket.
        socket: PathBuf,
        /// Why.
        error: serde_json::Error,
    },
}

impl StatusError {
    /// There is no answer at `socket`.
    pub(crate) fn unanswered(socket: &Path, error: io::Error) -> Self {
        let socket = socket.to_owned();
        match error.kind() {
            io::ErrorKind::PermissionDenied => Self::Forbidden { socket, error },
            _ => Self::NoSpeaker { socket, error },
        }
    }
}

/// What a speaker says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// How it runs.
    pub process: Process,
    /// The number of the key that it signs beacons with. Without one it announces nothing.
    pub signing_key: Option<u16>,
    /// The links that can carry announcements.
    pub links: Vec<LinkStatus>,
    /// The beacons of each channel.
    pub beacons: Vec<BeaconStatus>,
    /// The nodes of speakers that should be there, and were heard nowhere.
    pub unheard: Vec<NodeName>,
    /// What it knows of others, and who has which address.
    #[serde(flatten)]
    pub snapshot: Snapshot,
}

/// How a speaker runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Process {
    /// Its version.
    pub version: String,
    /// How fast it beats.
    pub profile: Profile,
    /// What makes it punctual.
    #[serde(flatten)]
    pub privileges: Privileges,
}

/// A link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkStatus {
    /// Its number, by which the rest of the status calls it.
    pub index: LinkIndex,
    /// Its name.
    pub name: LinkName,
    /// Its MAC address.
    pub mac: MacAddr,
    /// Whether it has a carrier.
    pub carrier: bool,
}

/// The beacons of a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BeaconStatus {
    /// The channel.
    pub channel: Channel,
    /// How many there were.
    #[serde(flatten)]
    pub counted: Beacons,
}

/// Where a status comes from.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Who is asked to look.
    pub inbox: Inbox,
    /// What the L2 thread is at.
    pub looks: watch::Receiver<Option<Arc<Look>>>,
    /// How the process runs.
    pub process: Process,
}

impl Sources {
    /// What there is to say now.
    async fn status(mut self) -> Option<Status> {
        self.looks.mark_unchanged();
        self.inbox.look();
        // The one of the last second will do if the thread is busy.
        let _late = tokio::time::timeout(PATIENCE, self.looks.changed()).await;
        let look = self.looks.borrow().clone()?;
        Some(Status::of(self.process, &look))
    }
}

impl Status {
    fn of(process: Process, look: &Look) -> Self {
        let links = look.links.iter().map(|(index, link)| LinkStatus {
            index,
            name: link.name.clone(),
            mac: link.mac,
            carrier: link.carrier,
        });
        let beacons = look.traffic.iter().map(|(channel, counted)| BeaconStatus {
            channel,
            counted: *counted,
        });
        Self {
            process,
            signing_key: look.signing_key,
            links: links.collect(),
            beacons: beacons.collect(),
            unheard: look.unheard.clone(),
            snapshot: look.election.clone(),
        }
    }
}

/// Answers those who ask at `socket`, until `shutdown`.
pub fn serve(socket: &Path, sources: Sources, shutdown: CancellationToken) -> io::Result<()> {
    if let Some(folder) = socket.parent() {
        std::fs::create_dir_all(folder)?;
    }
    // That of a speaker that was killed; a bind does not replace it.
    if let Err(error) = std::fs::remove_file(socket)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let listener = UnixListener::bind(socket)?;
    let socket = socket.to_owned();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        let sources = sources.clone();
                        tokio::spawn(async move {
                            if let Err(error) = answer(stream, sources).await {
                                tracing::debug!(%error, "a question was not answered");
                            }
                        });
                    }
                    // Too many files are open, or there is no memory: that passes.
                    Err(error) => {
                        tracing::debug!(%error, "nobody can ask for the status");
                        tokio::time::sleep(PAUSE).await;
                    }
                },
            }
        }
        // A later start removes it otherwise.
        let _gone = std::fs::remove_file(socket);
    });
    Ok(())
}

async fn answer(mut stream: UnixStream, sources: Sources) -> io::Result<()> {
    let mut question = Vec::new();
    let reading = async {
        while question.len() < 16 && !question.ends_with(b"\n") {
            question.push(stream.read_u8().await?);
        }
        Ok::<(), io::Error>(())
    };
    tokio::time::timeout(PATIENCE, reading).await??;
    if question == TRACE {
        return crate::trace::serve(stream, &sources.inbox).await;
    }
    let Some(status) = sources.status().await else {
        return Ok(());
    };
    stream.write_all(&serde_json::to_vec(&status)?).await?;
    stream.shutdown().await
}

/// Asks the speaker of this node, and prints what it says.
pub async fn show(options: &StatusOptions) -> Result<(), StatusError> {
    let answer = tokio::time::timeout(ANSWER, ask(&options.socket)).await;
    let answer = answer.map_err(|_| StatusError::Hung {
        socket: options.socket.clone(),
    })?;
    let text = answer.map_err(|error| StatusError::unanswered(&options.socket, error))?;
    let status: Status = serde_json::from_slice(&text).map_err(|error| StatusError::Other {
        socket: options.socket.clone(),
        error,
    })?;
    let text = match options.output {
        Format::Json => format!("{}\n", String::from_utf8_lossy(&text)),
        Format::Table => render(&status),
    };
    match io::stdout().write_all(text.as_bytes()) {
        // Who reads it has seen enough, like `head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(StatusError::Output),
    }
}

async fn ask(socket: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(STATUS).await?;
    stream.read_to_end(&mut text).await?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_not_ask_is_told_who_may() {
        let error = io::Error::from(io::ErrorKind::PermissionDenied);
        let error = StatusError::unanswered(Path::new("/run/x.sock"), error);
        assert!(error.to_string().ends_with("run this as root"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_speaker_that_does_not_answer_is_an_error() {
        let name = format!("bellwether-hung-{}.sock", std::process::id());
        let socket = std::env::temp_dir().join(name);
        let _listener = UnixListener::bind(&socket).expect("a socket");
        let output = Format::Table;
        let asked = socket.clone();
        let error = show(&StatusOptions { socket, output }).await;
        std::fs::remove_file(asked).expect("removed");
        let error = error.expect_err("no answer").to_string();
        assert!(error.contains("has not answered for 5 s"), "{error}");
    }

    #[tokio::test]
    async fn nobody_at_the_socket_is_an_error_that_says_what_to_check() {
        let socket = std::env::temp_dir().join("bellwether-no-such.sock");
        let output = Format::Table;
        let error = show(&StatusOptions { socket, output }).await;
        let error = error.expect_err("nobody").to_string();
        assert!(error.contains("is one running on this node"), "{error}");
    }
}
