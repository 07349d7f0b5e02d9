//! `bellwether-speaker status`: what the speaker of this node is at, asked of the process itself.
//!
//! [`serve`] answers who asks at a Unix socket: `status` with one JSON document, a [`Status`], and
//! `trace` with the lines of a trace ([`crate::trace`]). [`show`] asks, and prints it. Nothing can be
//! changed that way.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::election::{ContestSnapshot, PeerSnapshot, Snapshot};
use bellwether_core::link::{LinkIndex, Links};
use bellwether_core::mac::MacAddr;
use bellwether_core::membership::Channel;
use bellwether_core::membership::timing::Profile;
use bellwether_core::name::LinkName;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::l2::Inbox;
use crate::options::{Format, StatusOptions};
use crate::privileges::Privileges;

/// How long the L2 thread may take to say what it is at.
const PATIENCE: Duration = Duration::from_secs(2);

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
    /// What answers is no speaker of this version.
    #[error("what answers at {} is no speaker of this version: {error}", socket.display())]
    Other {
        /// The socket.
        socket: PathBuf,
        /// Why.
        error: serde_json::Error,
    },
}

/// What a speaker says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// How it runs.
    pub process: Process,
    /// The links that can carry announcements.
    pub links: Vec<LinkStatus>,
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

/// Where a status comes from.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Who is asked to look.
    pub inbox: Inbox,
    /// What the L2 thread is at.
    pub snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
    /// The links, when they are known.
    pub links: watch::Receiver<Option<Links>>,
    /// How the process runs.
    pub process: Process,
}

impl Sources {
    /// What there is to say now.
    async fn status(mut self) -> Option<Status> {
        self.snapshots.mark_unchanged();
        self.inbox.look();
        // The one of the last second will do if the thread is busy.
        let _late = tokio::time::timeout(PATIENCE, self.snapshots.changed()).await;
        let snapshot = self.snapshots.borrow().clone()?;
        let links = self.links.borrow().clone().unwrap_or_default();
        let links = links.iter().map(|(index, link)| LinkStatus {
            index,
            name: link.name.clone(),
            mac: link.mac,
            carrier: link.carrier,
        });
        Some(Status {
            process: self.process,
            links: links.collect(),
            snapshot: Snapshot::clone(&snapshot),
        })
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
                Ok((stream, _)) = listener.accept() => {
                    let sources = sources.clone();
                    tokio::spawn(async move {
                        if let Err(error) = answer(stream, sources).await {
                            tracing::debug!(%error, "a question was not answered");
                        }
                    });
                }
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
    let text = ask(&options.socket)
        .await
        .map_err(|error| StatusError::NoSpeaker {
            socket: options.socket.clone(),
            error,
        })?;
    let status: Status = serde_json::from_slice(&text).map_err(|error| StatusError::Other {
        socket: options.socket.clone(),
        error,
    })?;
    match options.output {
        Format::Json => println!("{}", String::from_utf8_lossy(&text)),
        Format::Table => print!("{}", render(&status)),
    }
    Ok(())
}

async fn ask(socket: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(STATUS).await?;
    stream.read_to_end(&mut text).await?;
    Ok(text)
}

/// What is read at a glance: three tables.
fn render(status: &Status) -> String {
    let Status {
        process,
        snapshot,
        links: found,
    } = status;
    let leaving = if snapshot.leaving {
        ", gives its addresses away"
    } else {
        ""
    };
    let mut text = format!(
        "Speaker of {}, version {}, session {:016x}{leaving}\n\
         A beacon each {} ms; real-time priority: {}; memory locked: {}\n\n",
        snapshot.node,
        process.version,
        snapshot.session.0,
        process.profile.interval.as_millis(),
        yes(process.privileges.real_time),
        yes(process.privileges.memory_locked),
    );
    let name = |channel| name(channel, found);
    let mut links = table(&["LINK", "MAC", "STATE"]);
    for channel in &snapshot.channels {
        let link = found
            .iter()
            .find(|link| channel.channel == Channel::Link(link.index));
        let state = match (channel.deaf, channel.answering) {
            _ if link.is_some_and(|link| !link.carrier) => "no carrier",
            (true, _) => "hears nobody",
            (false, true) => "answering",
            (false, false) => "not answering: listens first",
        };
        let mac = link.map_or(String::new(), |link| link.mac.to_string());
        links.add_row([name(channel.channel), mac, state.to_owned()]);
    }
    let mut peers = table(&[
        "PEER",
        "LINK",
        "STATE",
        "SILENT FOR",
        "DOWN AFTER",
        "CLAIMS",
    ]);
    for peer in &snapshot.peers {
        for path in &peer.paths {
            peers.add_row([
                peer.node.to_string(),
                name(path.channel),
                state(peer, path.up, path.degraded).to_owned(),
                milliseconds(path.silence),
                milliseconds(path.limit),
                peer.claims.to_string(),
            ]);
        }
    }
    let mut addresses = table(&["ADDRESS", "OWNER", "TERM", "REASON", "FOR", "NOTE"]);
    for contest in &snapshot.addresses {
        addresses.add_row(address_row(contest));
    }
    for table in [links, peers, addresses] {
        text.push_str(&table.trim_fmt());
        text.push_str("\n\n");
    }
    text.truncate(text.len() - 1);
    text
}

fn address_row(contest: &ContestSnapshot) -> [String; 6] {
    let own = contest.own.as_ref();
    let note = match (&contest.offered_to, contest.conflict) {
        (Some(node), _) => format!("offered to {node}"),
        (None, Some(mac)) => format!("also used by {mac}"),
        (None, None) => String::new(),
    };
    [
        contest.address.to_string(),
        contest
            .owner
            .as_ref()
            .map_or("nobody".to_owned(), ToString::to_string),
        contest.term.0.to_string(),
        own.map_or(String::new(), |own| own.reason.to_string()),
        contest.held.map_or(String::new(), |held| {
            let seconds = Duration::from_secs(held.as_secs());
            format!("{seconds:?}")
        }),
        note,
    ]
}

fn state(peer: &PeerSnapshot, up: bool, degraded: bool) -> &'static str {
    match (up, degraded, peer.proven) {
        (false, ..) => "down",
        (true, true, _) => "beacons lost",
        (true, false, false) => "does not hear us",
        (true, false, true) if !peer.synced => "up, claims unknown",
        (true, false, true) => "up",
    }
}

/// What people call a channel.
fn name(channel: Channel, links: &[LinkStatus]) -> String {
    let Channel::Link(index) = channel else {
        return "unicast".to_owned();
    };
    let link = links.iter().find(|link| link.index == index);
    link.map_or_else(|| format!("link {index}"), |link| link.name.to_string())
}

fn yes(is_so: bool) -> &'static str {
    if is_so { "yes" } else { "no" }
}

fn milliseconds(duration: Duration) -> String {
    format!("{} ms", duration.as_millis())
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(header.to_vec());
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

#[cfg(test)]
mod tests {
    use bellwether_core::election::{Config, Election, Input};
    use bellwether_core::frame::beacon::Session;
    use bellwether_core::moment::Moment;

    use super::*;

    fn status() -> Status {
        let config = Config {
            node: "node-a".into(),
            session: Session(0xabc),
            profile: Profile::DEFAULT,
            rebalance: false,
        };
        let mut election = Election::new(config, Moment::ORIGIN);
        let address = "192.0.2.10".parse().expect("an address");
        let input = Input::Assign {
            address,
            assignment: bellwether_core::election::Assignment::default(),
        };
        election.handle(input, Moment::ORIGIN).expect("no beacon");
        Status {
            process: Process {
                version: "0.1.0".to_owned(),
                profile: Profile::DEFAULT,
                privileges: Privileges::default(),
            },
            links: vec![LinkStatus {
                index: LinkIndex(2),
                name: "eth0".into(),
                mac: MacAddr([2, 0, 0, 0, 0, 1]),
                carrier: true,
            }],
            snapshot: election.snapshot(),
        }
    }

    #[test]
    fn it_fits_a_hundred_columns_and_names_the_node() {
        let text = render(&status());
        assert!(
            text.starts_with("Speaker of node-a, version 0.1.0, session 0000000000000abc\n"),
            "{text}"
        );
        let second = "A beacon each 50 ms; real-time priority: no; memory locked: no";
        assert!(text.contains(second), "{text}");
        assert!(text.contains("192.0.2.10  nobody"), "{text}");
        assert!(text.lines().all(|line| line.len() <= 100), "{text}");
    }

    #[test]
    fn a_status_is_the_same_after_its_way_through_json() {
        let text = serde_json::to_string(&status()).expect("JSON");
        assert!(text.contains(r#""realTime":false"#), "{text}");
        let read: Status = serde_json::from_str(&text).expect("a status");
        assert_eq!(read, status());
    }

    #[test]
    fn links_go_by_their_names() {
        let links = status().links;
        assert_eq!(name(Channel::Link(LinkIndex(2)), &links), "eth0");
        assert_eq!(name(Channel::Link(LinkIndex(3)), &links), "link 3");
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
