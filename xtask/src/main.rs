//! `cargo xtask`: the one way to set up, build, try and test the project, for people and for CI.

mod bench;
mod build;
mod ci;
mod exec;
mod fuzz;
mod interrupt;
mod libtest;
mod lint;
mod progress;
mod run;
mod setup;
mod test;
mod vm;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(bin_name = "cargo xtask", about = "Sets up, builds, tries and tests lb")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Find or install what the other verbs need
    Setup,
    /// Build the eBPF object and the binaries
    Build,
    /// Show the demo site, or with `-- --config FILE` run a node on this machine's interfaces
    Run(run::Options),
    /// Run the tests
    Test(test::Options),
    /// Measure the packet path or the control plane on this machine
    Bench(bench::Options),
    /// Run the node on other kernels, in virtual machines
    Vm(vm::Options),
    /// Look for bytes that the parser mistakes
    Fuzz(fuzz::Options),
    /// Check format, lints and docs
    Lint,
    /// Do all that CI does
    Ci,
}

/// As shells tell of a program that SIGINT has ended.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let verb = Cli::parse().verb;
    let outcome = interrupt::listen().and_then(|()| dispatch(verb));
    if interrupt::happened() {
        interrupt::tidy();
        eprintln!("xtask: interrupted; nothing that it started is left");
        return ExitCode::from(INTERRUPTED);
    }
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(verb: Verb) -> Result<()> {
    match verb {
        Verb::Setup => setup::run(),
        Verb::Build => build::run(),
        Verb::Run(options) => run::run(options),
        Verb::Test(options) => test::run(options),
        Verb::Bench(options) => bench::run(options),
        Verb::Vm(options) => vm::run(options),
        Verb::Fuzz(options) => fuzz::run(options),
        Verb::Lint => lint::run(),
        Verb::Ci => ci::run(),
    }
}
