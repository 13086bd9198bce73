//! The control plane: rings, changes, memory.

use std::process::ExitCode;

use clap::Args;

/// How to measure.
#[derive(Args, Debug)]
pub(crate) struct Options {}

pub(crate) fn run(_: &Options) -> anyhow::Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
