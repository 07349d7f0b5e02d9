//! What the documents tell users to type, taken from them as it stands.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::binaries;
use crate::error::{Context, Error, Result};
use crate::lab::Lab;

/// The document that says how the product is upgraded, rolled back and uninstalled.
pub const UPGRADE: &str = "docs/upgrade.md";

/// The root of the repository, where users are told to type.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The lines in the first block of shell below a heading of a document.
pub fn lines(document: &str, heading: &str) -> Result<String> {
    nth_lines(document, heading, 0)
}

/// The lines in the second one, which in these documents are those for Helm.
pub fn lines_for_helm(document: &str, heading: &str) -> Result<String> {
    nth_lines(document, heading, 1)
}

fn nth_lines(document: &str, heading: &str, nth: usize) -> Result<String> {
    let path = root().join(document);
    let text =
        std::fs::read_to_string(&path).context(|| format!("cannot read {}", path.display()))?;
    let below = text
        .split_once(&format!("\n{heading}\n"))
        .map(|(_, below)| below);
    // Up to the next heading; a comment in a block is none.
    let section = below.and_then(|below| below.split("\n## ").next());
    let block = section.and_then(|section| section.split("```sh\n").nth(nth + 1));
    let lines = block.and_then(|block| block.split_once("```"));
    lines.map(|(lines, _)| lines.to_owned()).ok_or_else(|| {
        Error::Unexpected(format!(
            "{document} has no block {} of shell below {heading:?}",
            nth + 1
        ))
    })
}

/// Types lines as a user would, in the root of the repository.
pub async fn type_in(lab: &Lab, lines: &str) -> Result<()> {
    type_in_at(lab, &root(), lines).await
}

/// Types lines as a user would, in a folder.
pub async fn type_in_at(lab: &Lab, folder: &Path, lines: &str) -> Result<()> {
    let programs = binaries::find_or_build()?;
    let helm = binaries::helm()?;
    let folders = programs
        .values()
        .chain([&helm])
        .filter_map(|path| path.parent());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = folders
        .map(Path::to_owned)
        .chain(std::env::split_paths(&path));
    let path = std::env::join_paths(path).map_err(|error| Error::Unexpected(error.to_string()))?;
    let output = tokio::process::Command::new("sh")
        .args(["-exc", lines])
        .current_dir(folder)
        .env("PATH", path)
        .env("KUBECONFIG", lab.folder().kubeconfig())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context(|| "cannot run sh".to_owned())?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Command {
        command: lines.to_owned(),
        status: output.status,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
