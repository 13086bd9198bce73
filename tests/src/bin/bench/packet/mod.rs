//! The packet path: every row in turns, many times, and the least that each took.

mod bars;
mod driver;
mod frame;
mod report;
mod row;
mod world;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use clap::Args;

use self::{
    driver::Driver,
    row::{Row, Subject},
    world::{Spec, World},
};
use crate::write_json;

/// How to measure.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// About 20 s instead of three minutes; the figures are less settled
    #[arg(long)]
    quick: bool,
    /// Only rows whose description contains this, with the floors
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Measure for so many seconds
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
    /// Write all rows here
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The driver's eBPF object, as `cargo xtask build` makes it
    #[arg(long, value_name = "FILE", default_value = "target/bpf/lb-driver.o")]
    driver: PathBuf,
}

impl Options {
    fn duration(&self) -> Duration {
        Duration::from_secs(self.seconds.unwrap_or(if self.quick { 15 } else { 150 }))
    }
}

/// Measures, and shows the table.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let object = std::fs::read(&options.driver).with_context(|| {
        format!("cannot read {}: build it with `cargo xtask build`", options.driver.display())
    })?;
    let mut lab = Lab { object, worlds: BTreeMap::new() };
    let rows = row::all(options.only.as_deref());
    let (total, mut measured, mut complaints) = (rows.len(), Vec::new(), Vec::new());
    for (number, row) in rows.into_iter().enumerate() {
        eprintln!("progress {number}/{total} rows loaded");
        match lab.prepare(&row) {
            Ok(driver) => measured.push(Measured { row, driver, least: f64::INFINITY }),
            Err(error) => complaints.push(format!("{row}: {error:#}")),
        }
    }
    measure(&mut measured, options.duration())?;
    let figures = report::figures(&measured)?;
    report::show(&figures);
    report::show_bars(&bars::all(&figures));
    write_json(options.json.as_ref(), &report::Report { rows: figures })?;
    for complaint in &complaints {
        eprintln!("not measured: {complaint}");
    }
    Ok(if complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A row on its way.
struct Measured {
    row: Row,
    driver: Driver,
    /// Of all segments of passes so far, in ns a pass.
    least: f64,
}

/// Rounds over all rows, so that whatever the machine does besides hits them all.
fn measure(rows: &mut [Measured], duration: Duration) -> Result<()> {
    let start = Instant::now();
    let mut rounds = 0;
    let mut told = Instant::now();
    while rounds == 0 || start.elapsed() < duration {
        for Measured { row, driver, least } in &mut *rows {
            let segments = driver.batch().with_context(|| row.to_string())?;
            *least = segments.into_iter().fold(*least, f64::min);
        }
        rounds += 1;
        if told.elapsed() > Duration::from_secs(1) || rounds == 1 {
            told = Instant::now();
            let (seconds, total) = (start.elapsed().as_secs(), duration.as_secs());
            eprintln!("progress {seconds}/{total} seconds, {rounds} rounds");
        }
    }
    Ok(())
}

/// All that is loaded.
struct Lab {
    /// The driver's object.
    object: Vec<u8>,
    /// The packet paths, which stay loaded: the drivers hold their programs.
    worlds: BTreeMap<Spec, World>,
}

impl Lab {
    /// A driver for a row, warm, and found to do what the row says.
    fn prepare(&mut self, row: &Row) -> Result<Driver> {
        match &row.subject {
            Subject::Floor(program) => Driver::floor(&self.object, program),
            Subject::Lb => {
                let spec = row.world();
                let world = match self.worlds.entry(spec) {
                    std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
                    std::collections::btree_map::Entry::Vacant(entry) => {
                        entry.insert(World::load(&spec)?)
                    }
                };
                let mut driver = Driver::of(&self.object, world.target()?, row)?;
                world.expect(row.verdict(), || driver.warm_up(row.flows))?;
                Ok(driver)
            }
        }
    }
}
