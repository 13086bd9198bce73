//! Placeholder.

use crate::config::file::Loaded;

/// Runs the node until it is told to stop.
#[expect(clippy::unused_async, reason = "a placeholder")]
pub async fn run(_loaded: Loaded) -> anyhow::Result<()> {
    anyhow::bail!("this build has no data plane")
}
