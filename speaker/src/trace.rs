//! `bellwether-speaker trace`: records what the election of the running speaker is told and decides,
//! so that `bellwether-simulate --replay` can look at it again.

use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use bellwether_core::election::trace::Line;
use tokio::io::{AsyncBufReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::l2::Inbox;
use crate::options::TraceOptions;
use crate::status::{StatusError, TRACE};

/// How many lines may wait to be written down: a few minutes of a small cluster. When they are that
/// many, the L2 thread drops and counts them, and begins anew when there is room.
const LINES: usize = 16_384;

/// Why there is no trace.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// No speaker answers.
    #[error(transparent)]
    Status(#[from] StatusError),
    /// It cannot be written.
    #[error("cannot write {}: {error}", output.display())]
    Output {
        /// Where to.
        output: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// Writes a trace to who asked for it, until they are gone.
pub(crate) async fn serve(mut stream: UnixStream, inbox: &Inbox) -> io::Result<()> {
    let (sender, mut lines) = mpsc::channel::<Line>(LINES);
    inbox.trace(sender);
    let (reading, mut writing) = stream.split();
    let mut reading = BufReader::new(reading);
    let mut rest = String::new();
    loop {
        tokio::select! {
            line = lines.recv() => match line {
                Some(line) => {
                    let mut text = serde_json::to_vec(&line)?;
                    text.push(b'\n');
                    writing.write_all(&text).await?;
                }
                // Another trace has begun, or the speaker ends.
                None => return writing.shutdown().await,
            },
            // They say nothing more: what ends is the connection.
            _gone = reading.read_line(&mut rest) => return Ok(()),
        }
    }
}

/// Records until the time is over, Ctrl-C, or the end of the speaker.
pub async fn record(options: &TraceOptions) -> Result<(), TraceError> {
    let no_speaker = |error| StatusError::unanswered(&options.socket, error);
    let mut stream = UnixStream::connect(&options.socket)
        .await
        .map_err(no_speaker)?;
    let failed = |error| TraceError::Output {
        output: options.output.clone(),
        error,
    };
    let is_stdout = options.output.as_os_str() == "-";
    let mut output: Box<dyn AsyncWrite + Unpin> = if is_stdout {
        Box::new(tokio::io::stdout())
    } else {
        let file = tokio::fs::File::create(&options.output).await;
        Box::new(file.map_err(failed)?)
    };
    // This ends a trace that somebody else takes: not before there is a place for this one.
    stream.write_all(TRACE).await.map_err(no_speaker)?;
    let (reading, mut writing) = stream.split();
    let mut lines = BufReader::new(reading);
    let end = options
        .seconds
        .map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut line = Vec::new();
    let mut count: u64 = 0;
    let mut interrupted = pin!(tokio::signal::ctrl_c());
    loop {
        let over = async {
            match end {
                Some(end) => sleep_until(end).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            read = lines.read_until(b'\n', &mut line) => match read {
                // A line that was cut off is left out.
                Ok(1..) if line.ends_with(b"\n") => {
                    match output.write_all(&line).await {
                        // Who reads it has seen enough, like `head`.
                        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                        written => written.map_err(failed)?,
                    }
                    line.clear();
                    count += 1;
                }
                Ok(_) => break,
                Err(error) => return Err(no_speaker(error).into()),
            },
            () = over => break,
            _ = &mut interrupted => break,
        }
    }
    // Whoever recorded need not have been told: they notice.
    let _gone = writing.shutdown().await;
    output.flush().await.map_err(failed)?;
    eprintln!("{count} lines");
    Ok(())
}
