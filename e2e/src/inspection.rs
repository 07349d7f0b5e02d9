//! What a running speaker tells by its own commands, as people ask for it on its node.

use std::fs::File;
use std::path::PathBuf;
use std::process::Stdio;

use tokio::process::{Child, Command};

use crate::error::{Context, Result};
use crate::lab::Lab;
use crate::process::stdout_of;

impl Lab {
    /// `bellwether-speaker VERB`, for the speaker that runs on `node`.
    #[must_use]
    pub fn speaker_command(&self, node: &str, verb: &str) -> Command {
        let speaker = self.executable().with_file_name("bellwether-speaker");
        let socket = self.folder().scratch().join(format!("speaker-{node}.sock"));
        let mut command = self.command(node, speaker);
        command
            .arg(verb)
            .arg(format!("--socket={}", socket.display()))
            .stdin(Stdio::null());
        command
    }

    /// What the speaker of `node` is at, with these further arguments of `status`.
    pub async fn speaker_status(&self, node: &str, arguments: &[&str]) -> Result<String> {
        let mut command = self.speaker_command(node, "status");
        let output = command.args(arguments).output().await;
        let output = output.context(|| format!("cannot ask the speaker of {node}"))?;
        stdout_of(&format!("bellwether-speaker status (on {node})"), &output)
    }

    /// Begins to record what the speaker of `node` is told and decides.
    pub fn record(&self, node: &str) -> Result<Recording> {
        let failed = || format!("cannot record the speaker of {node}");
        let path = self.folder().path().join(format!("{node}.trace"));
        let file = File::create(&path).context(failed)?;
        let mut command = self.speaker_command(node, "trace");
        command.stdout(file).stderr(Stdio::piped());
        Ok(Recording {
            node: node.to_owned(),
            path,
            child: command.spawn().context(failed)?,
        })
    }
}

/// A trace that is being recorded.
#[derive(Debug)]
pub struct Recording {
    node: String,
    path: PathBuf,
    child: Child,
}

impl Recording {
    /// Ends it, and returns the file that it is in.
    pub async fn stop(self, lab: &Lab) -> Result<PathBuf> {
        let Self { node, path, child } = self;
        let what = format!("bellwether-speaker trace (on {node})");
        // There is one at a time: the next one ends it.
        let mut next = lab.speaker_command(&node, "trace");
        next.args(["--seconds=1", "--output=/dev/null"]);
        let next = next.output().await.context(|| what.clone())?;
        stdout_of(&what, &next)?;
        let output = child.wait_with_output().await.context(|| what.clone())?;
        stdout_of(&what, &output)?;
        Ok(path)
    }
}
