//! What a client does with an address while its announcer fails: datagrams, new connections, and one
//! connection that lasts.
//!
//! It runs on the client, whose kernel resolves and caches the address like any other machine's.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::process::Child;

use crate::error::{Context, Error, Result};
use crate::lab::Lab;
use crate::probe::{self, probe};

/// How often a datagram is sent.
pub const DATAGRAMS: Duration = Duration::from_millis(1);

/// How often a connection is opened.
const CONNECTIONS: Duration = Duration::from_millis(10);

/// How long a new connection may take before it counts as failed: long enough for the kernel to
/// repeat a lost SYN after one second.
const PATIENCE: Duration = Duration::from_secs(3);

/// How often something is said on the connection that lasts.
const TALK: Duration = Duration::from_millis(10);

/// How long an answer on it is waited for before it counts as broken.
const LONGEST_ANSWER: Duration = Duration::from_secs(20);

/// What the client saw.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Of the datagrams.
    pub udp: probe::Report,
    /// Of the new connections.
    pub connections: Connections,
    /// Of the one that lasts.
    pub long: Long,
}

/// New connections: each is opened, says a line, is answered, and is closed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Connections {
    /// How many were tried.
    pub tried: u64,
    /// How many were not answered in time.
    pub failed: u64,
    /// How long the slowest of the others took, in milliseconds.
    pub slowest_ms: f64,
}

/// The connection that lasts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Long {
    /// How many times it broke and was opened anew.
    pub broken: u64,
    /// The longest time between two answers on it, in milliseconds.
    pub slowest_ms: f64,
}

/// Talks to `target` until `stop`.
pub fn talk(target: SocketAddr, stop: &AtomicBool) -> Result<Report> {
    thread::scope(|scope| {
        let connections = scope.spawn(|| connect_again_and_again(target, stop));
        let long = scope.spawn(|| talk_long(target, stop));
        let udp = probe(target, DATAGRAMS, stop)?;
        let panicked = |_| Error::Unexpected("a thread of the client panicked".to_owned());
        Ok(Report {
            udp,
            connections: connections.join().map_err(panicked)?,
            long: long.join().map_err(panicked)?,
        })
    })
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn connect_again_and_again(target: SocketAddr, stop: &AtomicBool) -> Connections {
    let start = Instant::now();
    // Without a bound: each connection leaves one outcome, and all are read at the end.
    let (sender, outcomes) = mpsc::channel();
    thread::scope(|scope| {
        let mut ticks = 0;
        while !stop.load(Ordering::Relaxed) {
            let sender = sender.clone();
            scope.spawn(move || sender.send(connect(target)));
            ticks += 1;
            thread::sleep((CONNECTIONS * ticks).saturating_sub(start.elapsed()));
        }
    });
    drop(sender);
    let outcomes: Vec<Option<Duration>> = outcomes.iter().collect();
    let answered = outcomes.iter().flatten();
    Connections {
        tried: outcomes.len() as u64,
        failed: outcomes.iter().filter(|outcome| outcome.is_none()).count() as u64,
        slowest_ms: answered.max().copied().map_or(0.0, ms),
    }
}

/// How long a new connection takes, until it is answered.
fn connect(target: SocketAddr) -> Option<Duration> {
    let start = Instant::now();
    let mut stream = TcpStream::connect_timeout(&target, PATIENCE).ok()?;
    let left = PATIENCE.checked_sub(start.elapsed())?;
    stream.set_read_timeout(Some(left)).ok()?;
    stream.write_all(b"new\n").ok()?;
    let mut answer = String::new();
    let length = BufReader::new(stream).read_line(&mut answer).ok()?;
    (length > 0).then(|| start.elapsed())
}

fn talk_long(target: SocketAddr, stop: &AtomicBool) -> Long {
    let mut seen = Long::default();
    let mut answered_at = None;
    while !stop.load(Ordering::Relaxed) {
        let Ok(stream) = TcpStream::connect_timeout(&target, PATIENCE) else {
            continue;
        };
        if say_lines(stream, stop, &mut answered_at, &mut seen).is_err() {
            seen.broken += 1;
        }
    }
    seen
}

/// Says a line and waits for its answer, again and again, until `stop` or until the connection breaks.
fn say_lines(
    mut stream: TcpStream,
    stop: &AtomicBool,
    answered_at: &mut Option<Instant>,
    seen: &mut Long,
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_millis(100)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    while !stop.load(Ordering::Relaxed) {
        stream.write_all(b"still\n")?;
        let said_at = Instant::now();
        let mut answer = String::new();
        while !answer.ends_with('\n') {
            match reader.read_line(&mut answer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if is_timeout(&error) && stop.load(Ordering::Relaxed) => return Ok(()),
                Err(error) if is_timeout(&error) && said_at.elapsed() < LONGEST_ANSWER => {}
                Err(error) => return Err(error),
            }
        }
        if let Some(before) = answered_at.replace(Instant::now()) {
            seen.slowest_ms = seen.slowest_ms.max(ms(before.elapsed()));
        }
        thread::sleep(TALK);
    }
    Ok(())
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// The client at work in a lab.
pub struct Traffic(Child);

impl Traffic {
    /// Lets the client talk to `target`.
    pub fn start(lab: &Lab, target: SocketAddr) -> Result<Self> {
        lab.command("client", lab.executable())
            .args(["talk", &target.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map(Self)
            .context(|| "cannot start the client".to_owned())
    }

    /// Ends it and returns what it saw.
    pub async fn stop(mut self) -> Result<Report> {
        // It ends when its standard input is closed.
        drop(self.0.stdin.take());
        let output = self
            .0
            .wait_with_output()
            .await
            .context(|| "cannot wait for the client".to_owned())?;
        serde_json::from_slice(&output.stdout)
            .map_err(|error| Error::Unexpected(format!("the client printed nonsense: {error}")))
    }
}
