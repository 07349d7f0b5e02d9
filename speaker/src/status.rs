//! `bellwether-speaker status`: what the speaker of this node is at, asked of the process itself.
//!
//! [`serve`] answers each connection to a Unix socket with one JSON document, the election's
//! [`Snapshot`]; [`show`] asks, and prints it. Nothing can be changed that way.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::election::{ContestSnapshot, PeerSnapshot, Snapshot};
use bellwether_core::membership::Channel;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::l2::Inbox;
use crate::options::{Format, StatusOptions};

/// How long the L2 thread may take to say what it is at.
const PATIENCE: Duration = Duration::from_secs(2);

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

/// Answers those who ask at `socket`, until `shutdown`.
pub fn serve(
    socket: &Path,
    inbox: Inbox,
    snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
    shutdown: CancellationToken,
) -> io::Result<()> {
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
                    let (inbox, snapshots) = (inbox.clone(), snapshots.clone());
                    tokio::spawn(async move {
                        if let Err(error) = answer(stream, &inbox, snapshots).await {
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

async fn answer(
    mut stream: UnixStream,
    inbox: &Inbox,
    mut snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
) -> io::Result<()> {
    snapshots.mark_unchanged();
    inbox.look();
    // The one of the last second will do if the thread is busy.
    let _late = tokio::time::timeout(PATIENCE, snapshots.changed()).await;
    let snapshot = snapshots.borrow().clone();
    let Some(snapshot) = snapshot else {
        return Ok(());
    };
    stream.write_all(&serde_json::to_vec(&*snapshot)?).await?;
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
    let snapshot: Snapshot = serde_json::from_slice(&text).map_err(|error| StatusError::Other {
        socket: options.socket.clone(),
        error,
    })?;
    match options.output {
        Format::Json => println!("{}", String::from_utf8_lossy(&text)),
        Format::Table => print!("{}", render(&snapshot)),
    }
    Ok(())
}

async fn ask(socket: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut stream = UnixStream::connect(socket).await?;
    stream.read_to_end(&mut text).await?;
    Ok(text)
}

/// What is read at a glance: three tables.
fn render(snapshot: &Snapshot) -> String {
    let leaving = if snapshot.leaving {
        ", gives its addresses away"
    } else {
        ""
    };
    let mut text = format!(
        "Speaker of {}, session {:016x}{leaving}\n\n",
        snapshot.node, snapshot.session.0
    );
    let mut links = table(&["LINK", "STATE"]);
    for channel in &snapshot.channels {
        let state = match (channel.deaf, channel.answering) {
            (true, _) => "hears nobody",
            (false, true) => "answering",
            (false, false) => "not answering: listens first",
        };
        links.add_row([name(channel.channel), state.to_owned()]);
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

fn name(channel: Channel) -> String {
    match channel {
        Channel::Link(index) => format!("link {index}"),
        Channel::Unicast => "unicast".to_owned(),
    }
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
    use bellwether_core::membership::timing::Profile;
    use bellwether_core::moment::Moment;

    use super::*;

    fn snapshot() -> Snapshot {
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
        election.snapshot()
    }

    #[test]
    fn it_fits_a_hundred_columns_and_names_the_node() {
        let text = render(&snapshot());
        assert!(text.starts_with("Speaker of node-a, session 0000000000000abc\n"));
        assert!(text.contains("192.0.2.10  nobody"), "{text}");
        assert!(text.lines().all(|line| line.len() <= 100), "{text}");
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
