//! What the product has written, as the API server's audit log tells it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use crate::control::Folder;
use crate::error::{Context, Result};
use crate::product::CONTROLLER;

/// Longer than any pace of the product.
const QUIET: Duration = Duration::from_secs(4);

/// A write to the API server, from its audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditedWrite {
    /// Who wrote: the ServiceAccount's name.
    pub by: String,
    /// `create`, `update`, `patch` or `delete`.
    pub verb: String,
    /// The plural name of the kind, with the subresource.
    pub resource: String,
    /// The name of the object.
    pub name: String,
    /// What it was answered: the HTTP status.
    pub status: u64,
    /// When it came in.
    pub at: Timestamp,
}

impl AuditedWrite {
    /// Whether something was written.
    #[must_use]
    pub const fn took_effect(&self) -> bool {
        matches!(self.status, 200..=299)
    }
}

/// The product's writes since the lab came up, the leader's Lease apart, in order.
#[derive(Debug)]
pub struct AuditLog {
    folder: Folder,
    /// How many bytes have been read.
    position: u64,
    writes: Vec<AuditedWrite>,
}

impl AuditLog {
    /// That of a lab, of which nothing has been read yet.
    #[must_use]
    pub fn of(folder: &Folder) -> Self {
        Self {
            folder: folder.clone(),
            position: 0,
            writes: Vec::new(),
        }
    }

    /// Reads what has come since the last time, and returns all writes.
    pub fn read(&mut self) -> Result<&[AuditedWrite]> {
        let path = self.folder.audit_log();
        let failed = || format!("cannot read {}", path.display());
        let mut file = File::open(&path).context(failed)?;
        file.seek(SeekFrom::Start(self.position)).context(failed)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).context(failed)?;
        // The last line may be half written.
        let end = text.iter().rposition(|&byte| byte == b'\n');
        text.truncate(end.map_or(0, |end| end + 1));
        self.position += text.len() as u64;
        let lines = text.split(|&byte| byte == b'\n');
        let entries = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
        self.writes
            .extend(entries.filter_map(|entry| product_write(&entry)));
        Ok(&self.writes)
    }

    /// Waits until nothing was written for longer than any pace of the product.
    pub async fn settle(&mut self) -> Result<()> {
        let mut count = self.read()?.len();
        loop {
            tokio::time::sleep(QUIET).await;
            let now = self.read()?.len();
            if now == count {
                return Ok(());
            }
            count = now;
        }
    }

    /// All writes that were read.
    #[must_use]
    pub fn into_writes(self) -> Vec<AuditedWrite> {
        self.writes
    }
}

fn product_write(entry: &Value) -> Option<AuditedWrite> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let by = entry["user"]["username"]
        .as_str()?
        .strip_prefix("system:serviceaccount:bellwether-system:")?;
    let verb = text(&entry["verb"]);
    let object = &entry["objectRef"];
    let mut resource = text(&object["resource"]);
    let name = text(&object["name"]);
    let is_leadership = resource == "leases" && [CONTROLLER, ""].contains(&name.as_str());
    if is_leadership || !["create", "update", "patch", "delete"].contains(&verb.as_str()) {
        return None;
    }
    if let Some(part) = object["subresource"].as_str() {
        resource = format!("{resource}/{part}");
    }
    Some(AuditedWrite {
        by: by.to_owned(),
        verb,
        resource,
        name,
        status: entry["responseStatus"]["code"].as_u64()?,
        at: text(&entry["requestReceivedTimestamp"]).parse().ok()?,
    })
}
