//! `lb-lab`: the demo site on this machine.

use std::{
    process::ExitCode,
    sync::{Arc, atomic::AtomicBool, atomic::Ordering},
    time::Duration,
};

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use lb_tests::demo;

/// Real HTTP requests balanced by lb, in network namespaces of this machine.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Build the demo site, run lb in it, and show a live table.
    Demo {
        /// End by itself after so many seconds; the exit code is 0 only if every backend served
        /// and no request failed.
        #[arg(long = "for", value_name = "SECONDS")]
        seconds: Option<u64>,
    },
    /// Remove what a crashed demo or test left.
    Clean,
}

fn main() -> ExitCode {
    match run(&Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("lb-lab: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(verb: &Verb) -> anyhow::Result<ExitCode> {
    match verb {
        Verb::Demo { seconds } => demo(seconds.map(Duration::from_secs)),
        Verb::Clean => {
            for removed in lb_tests::cleanup::clean_dead_tests()? {
                println!("removed what a test left: {removed}");
            }
            demo::clean()?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn demo(duration: Option<Duration>) -> anyhow::Result<ExitCode> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed))
        .context("cannot listen for signals")?;
    let outcome = demo::run(duration, &stop)?;
    // Somebody who ends it by hand has drained and killed servers, as the demo told them to.
    if duration.is_none() || outcome.complaints.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    for complaint in &outcome.complaints {
        eprintln!("{complaint}");
    }
    Ok(ExitCode::FAILURE)
}
