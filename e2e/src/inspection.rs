//! What a running speaker tells by its own commands, as people ask for it on its node.

use std::process::Stdio;

use tokio::process::Command;

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
}
