//! The control plane: rings, changes, health checks, memory.

mod change;
mod checks;
mod command;
mod load;
mod memory;
mod rings;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::write_json;

/// How to measure.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Write the results here
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Serialize)]
struct Report {
    rings: Vec<rings::Built>,
    sync: change::Change,
    commands: Vec<command::Ordered>,
    load: Vec<load::Loaded>,
    checks: checks::Checked,
    memory: memory::Memory,
}

/// Measures, and shows the results.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    eprintln!("progress 0/5 building rings");
    let rings = rings::measure();
    println!("ring of {} slots, weighted:", rings::SIZE);
    for built in &rings {
        println!("  {:>6} backends {}", built.backends, built.time);
    }
    eprintln!("progress 1/5 changing a live ring");
    let sync = change::measure()?;
    println!("one backend of {} changes on a live ring:", sync.backends);
    println!("  in the reconciler: {}", sync.time);
    let commands = command::measure()?;
    for command::Ordered { order, change } in &commands {
        let verdict = if change.time.median_ms <= change::BAR_MS { "met" } else { "missed" };
        let (time, bar) = (change.time, change::BAR_MS);
        println!(
            "  `lb backend {order}`, from the process's start to its answer: {time} (at most {bar} ms: {verdict})"
        );
    }
    eprintln!("progress 2/5 loading {} services", load::SERVICES);
    let load = load::measure()?;
    println!("{} services with 10 backends each:", load::SERVICES);
    for load in &load {
        println!("{load}");
    }
    let (count, seconds) = (checks::BACKENDS, checks::MEASURED.as_secs());
    eprintln!("progress 3/5 checking {count} backends for {seconds} s");
    let checks = checks::measure()?;
    println!("health checks: {checks}");
    eprintln!("progress 4/5 filling maps");
    let memory = memory::measure()?;
    println!("memory:");
    println!("  {:>10} bytes a service of 65537 slots and 100 backends", memory.service);
    println!("  {:>10} bytes a million remembered flows", memory.million_flows);
    println!("  {:>10} bytes a node with the default limits", memory.default_limits);
    write_json(options.json.as_ref(), &Report { rings, sync, commands, load, checks, memory })?;
    Ok(ExitCode::SUCCESS)
}

/// What a repeated piece of work took.
#[derive(Clone, Copy, Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "the keys of the JSON say their unit")]
struct Times {
    least_ms: f64,
    median_ms: f64,
    most_ms: f64,
}

impl Times {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort();
        let milliseconds = |place: usize| {
            let time = times.get(place).copied().unwrap_or_default();
            (time.as_secs_f64() * 1e6).round() / 1e3
        };
        Self {
            least_ms: milliseconds(0),
            median_ms: milliseconds(times.len() / 2),
            most_ms: milliseconds(times.len().saturating_sub(1)),
        }
    }
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { least_ms, median_ms, most_ms } = self;
        write!(f, "least {least_ms:.2} ms, median {median_ms:.2} ms, most {most_ms:.2} ms")
    }
}
