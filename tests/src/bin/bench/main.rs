//! `lb-bench`: what the packet path, the control plane and the proxies take on this machine, and the
//! ends of the benchmark on a wire.

mod control;
mod failover;
mod packet;
mod proxy;
mod wire;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use serde::Serialize;

/// Measures lb on this machine. Compare figures of one run only.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// The packet path, in ns a packet.
    Packet(packet::Options),
    /// The control plane: rings, changes, memory.
    Control(control::Options),
    /// What clients see of the loss of a node and of a hand-over, beside keepalived and HAProxy.
    Failover(failover::Options),
    /// Forwarding in userspace, beside HAProxy and nginx.
    Proxy(proxy::Options),
    /// The proxies of `proxy`; that verb calls it.
    #[command(hide = true)]
    ProxyHost(proxy::host::Options),
    /// The ends of a benchmark on a wire; `cargo xtask bench vm` calls it.
    #[command(hide = true)]
    Wire(wire::Options),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().verb {
        Verb::Packet(options) => packet::run(&options),
        Verb::Control(options) => control::run(&options),
        Verb::Failover(options) => failover::run(&options),
        Verb::Proxy(options) => proxy::run(&options),
        Verb::ProxyHost(options) => proxy::host::run(&options),
        Verb::Wire(options) => wire::run(&options),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("lb-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Writes results for programs.
fn write_json(file: Option<&PathBuf>, results: &impl Serialize) -> Result<()> {
    let Some(file) = file else { return Ok(()) };
    let text = serde_json::to_string_pretty(results)?;
    std::fs::write(file, text + "\n").with_context(|| format!("cannot write {}", file.display()))
}
