//! `cargo xtask bench`: what the packet path and the control plane take on this machine.

use std::{ffi::OsString, process::Command};

use anyhow::{Result, ensure};
use clap::{Args, Subcommand};

use crate::{
    build, exec,
    setup::{self, Needs},
    workspace,
};

#[derive(Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    subject: Subject,
}

#[derive(Subcommand)]
enum Subject {
    /// The packet path, in ns a packet (`--quick`, `--only TEXT`, `--seconds N`, `--json FILE`)
    Packet(Arguments),
    /// Building rings, changing a live ring, memory (`--json FILE`)
    Control(Arguments),
}

#[derive(Args)]
struct Arguments {
    /// Given to `lb-bench`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Sets up if need be, builds, and measures.
pub(crate) fn run(Options { subject }: Options) -> Result<()> {
    ensure!(workspace::is_root(), "the benchmarks load XDP programs: run them as root");
    eprintln!("==> build");
    build::all(&setup::ensure(Needs::default())?)?;
    eprintln!("==> measure");
    let mut command = Command::new(workspace::binary("lb-bench"));
    let _ = match subject {
        Subject::Packet(Arguments { arguments }) => {
            command.arg("packet").arg("--driver").arg(workspace::driver()).args(arguments)
        }
        Subject::Control(Arguments { arguments }) => command.arg("control").args(arguments),
    };
    exec::watched(&mut command, "measuring")
}
