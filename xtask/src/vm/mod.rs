//! `cargo xtask vm`: the node on the kernels that people run, in virtual machines.
//!
//! A guest is a kernel of Debian's archive and an initramfs that is made here. It needs neither a
//! disk nor the host's network, and leaves nothing behind.

pub(crate) mod archive;
mod budget;
pub(crate) mod guest;
pub(crate) mod image;
pub(crate) mod programs;
pub(crate) mod shell;
pub(crate) mod test;

use anyhow::Result;
use clap::{Args, Subcommand};

#[derive(Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run the packet tables and a whole node on several kernels
    Test(test::Options),
}

/// Runs a verb.
pub(crate) fn run(Options { verb }: Options) -> Result<()> {
    match verb {
        Verb::Test(options) => test::run(&options),
    }
}
