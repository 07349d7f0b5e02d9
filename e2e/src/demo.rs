//! The story that `make demo` tells.

use crate::error::Result;

/// Tells the story.
pub async fn run(_keep: bool) -> Result<()> {
    std::future::ready(Ok(())).await
}
