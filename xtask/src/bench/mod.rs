//! `cargo xtask bench`: what the packet path, the control plane and the proxies take on this machine,
//! and what whole machines forward.

mod vm;

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
    /// The loss of a node and a hand-over, beside keepalived with HAProxy (`--runs N`, `--json FILE`)
    Failover(Arguments),
    /// Forwarding in userspace, beside HAProxy and nginx (`--runs N`, `--only SCENARIO`, `--json FILE`)
    Proxy(Arguments),
    /// Packets per second through whole machines, beside XDP alone, IPVS and routing
    Vm(vm::Options),
}

#[derive(Args)]
struct Arguments {
    /// Given to `lb-bench`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Sets up if need be, builds, and measures.
pub(crate) fn run(Options { subject }: Options) -> Result<()> {
    let (verb, arguments) = match &subject {
        Subject::Vm(options) => return vm::run(options),
        Subject::Packet(Arguments { arguments }) => ("packet", arguments),
        Subject::Control(Arguments { arguments }) => ("control", arguments),
        Subject::Failover(Arguments { arguments }) => ("failover", arguments),
        Subject::Proxy(Arguments { arguments }) => ("proxy", arguments),
    };
    ensure!(
        workspace::is_root(),
        "the benchmarks load XDP programs and make network namespaces: run them as root"
    );
    eprintln!("==> build");
    // The packet path is measured alone.
    let needs = Needs { programs: verb != "packet", ..Needs::default() };
    build::all(&setup::ensure(needs)?)?;
    eprintln!("==> measure");
    let mut command = Command::new(workspace::binary("lb-bench"));
    let _ = command.arg(verb);
    if verb == "packet" {
        let _ = command.arg("--driver").arg(workspace::driver());
    }
    let _ = command.args(arguments);
    exec::watched(&mut command, "measuring")
}
