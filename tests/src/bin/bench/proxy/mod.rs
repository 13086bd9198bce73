//! Forwarding in userspace: lb's proxies beside HAProxy and nginx.
//!
//! Within a round, the subjects take turns in each scenario, and each turn has machines, servers and a
//! process of its own: no turn finds what another has left.

mod bars;
mod bulk;
mod echo;
pub(crate) mod host;
mod idle;
mod load;
mod machines;
mod readable;
mod report;
mod results;
mod scenario;
mod subject;
mod usage;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum as _};
use lb_tests::cleanup;

use self::{results::Results, scenario::Scenario, subject::Subject};
use crate::write_json;

/// How to measure.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Runs of each scenario with each subject
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// How long the load of a run lasts
    #[arg(long, value_name = "SECONDS", default_value_t = 3)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// TCP's congestion control on all machines, whatever the host has
    #[arg(long, value_name = "NAME", default_value = "cubic")]
    congestion_control: String,
    /// Only this scenario; may be given several times
    #[arg(long, value_name = "SCENARIO")]
    only: Vec<Scenario>,
    /// Write the results here
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl Options {
    fn scenarios(&self) -> Vec<Scenario> {
        let wanted = |it: &&Scenario| self.only.is_empty() || self.only.contains(it);
        Scenario::value_variants().iter().filter(wanted).copied().collect()
    }
}

/// Measures all in turn, and shows the results.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    usage::allow_descriptors()?;
    drop(cleanup::clean_dead_tests()?);
    let results = measure(options)?;
    let rows = report::rows(&results);
    report::show(&rows);
    bars::show(&results);
    write_json(options.json.as_ref(), &report::Report { rows })?;
    Ok(ExitCode::SUCCESS)
}

fn measure(options: &Options) -> Result<Results> {
    let scenarios = options.scenarios();
    let length = Duration::from_secs(options.seconds);
    let all = options.runs as usize * scenarios.len() * Subject::ALL.len();
    let (mut done, mut results) = (0, Results::default());
    for round in 1..=options.runs {
        for &scenario in &scenarios {
            let mut turns = Subject::ALL;
            // Nobody is always the first, or always after the same one.
            turns.rotate_left(round as usize % Subject::ALL.len());
            for subject in turns {
                let (what, who) = (scenario.as_str(), subject.as_str());
                eprintln!("progress {done}/{all} round {round}: {what}, {who}");
                let figures = scenario.measure(subject, length, &options.congestion_control);
                let figures = figures.with_context(|| format!("round {round}, {what}, {who}"))?;
                results.note(scenario, subject, figures);
                done += 1;
            }
        }
    }
    Ok(results)
}
