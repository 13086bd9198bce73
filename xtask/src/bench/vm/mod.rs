//! `cargo xtask bench vm`: packets per second of whole machines, virtual or real.
//!
//! A generator sends UDP packets to VIPs; a balancer has each subject in turn; a sink, which is all
//! backends, counts what comes.

mod contender;
mod inventory;
mod layout;
mod machine;
mod network;
mod pktgen;
mod plot;
mod report;
mod site;
mod turns;

use std::{fs, path::PathBuf, time::Instant};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

use self::{
    inventory::Inventory,
    layout::{Layout, Stage},
    report::Row,
    site::Role,
    turns::Orders,
};
use crate::{
    build,
    setup::{self, Needs},
    vm::{
        archive::{Archive, SERIES},
        programs,
    },
    workspace,
};

/// The flows of each subject's second measurement: all of them come within the warm-up.
const MANY: u16 = 4096;

#[derive(Args)]
pub(super) struct Options {
    /// A kernel's series; may be repeated
    #[arg(long, value_name = "SERIES", value_parser = SERIES, default_value = "6.12")]
    kernel: Vec<String>,
    /// Only this layout
    #[arg(long, value_enum)]
    layout: Option<Layout>,
    /// Only this subject; may be repeated
    #[arg(long, value_name = "SUBJECT", value_parser = contender::names())]
    only: Vec<String>,
    /// How often each subject is measured
    #[arg(long, default_value = "3", value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// How long each time
    #[arg(long, default_value = "3", value_parser = clap::value_parser!(u16).range(1..))]
    seconds: u16,
    /// Write all rows here
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw them here
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Drive the machines of this file by ssh instead of virtual ones
    #[arg(long, value_name = "FILE", conflicts_with_all = ["kernel", "layout"])]
    remote: Option<PathBuf>,
    /// Print what would be run on them
    #[arg(long, requires = "remote")]
    dry_run: bool,
}

/// Builds what is needed, measures, and shows the table.
pub(super) fn run(options: &Options) -> Result<()> {
    let orders = Orders {
        only: options.only.clone(),
        rounds: options.rounds.into(),
        seconds: options.seconds.into(),
        flows: vec![1, MANY],
    };
    let rows = match &options.remote {
        Some(file) => remote(&Inventory::read(file)?, &orders, options.dry_run)?,
        None => virtual_machines(options, &orders)?,
    };
    if options.dry_run {
        return Ok(());
    }
    println!("{}\n{}", report::table(&rows), report::bars(&rows));
    if let Some(file) = &options.json {
        report::write_json(file, &rows)?;
    }
    if let Some(file) = &options.svg {
        fs::write(file, plot::draw(&rows))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    let silent: Vec<&str> =
        rows.iter().filter(|row| row.pps.contains(&0.0)).map(|row| row.subject).collect();
    if !silent.is_empty() {
        bail!("nothing came through: {}", silent.join(", "));
    }
    Ok(())
}

fn virtual_machines(options: &Options, orders: &Orders) -> Result<Vec<Row>> {
    ensure!(workspace::is_root(), "taps and network namespaces need root");
    let toolchain = setup::ensure(Needs { programs: true, machines: true, ..Needs::default() })?;
    eprintln!("xtask: looking for kernels in Debian's archive");
    let archive = Archive::open()?;
    build::ebpf(&toolchain)?;
    let programs = programs::build_bench()?;
    let layouts = options.layout.map_or(Layout::ALL.to_vec(), |layout| vec![layout]);
    let mut rows = Vec::new();
    for series in &options.kernel {
        let prepared = layout::prepare(archive.kernel(series)?, &programs)?;
        let engine = prepared.engine()?;
        let release = &prepared.kernel.release;
        for layout in &layouts {
            eprintln!("xtask: {}: Linux {release} boots, {engine:?}", layout.name());
            let stage = layout::boot(*layout, &prepared, engine)?;
            rows.extend(measure(stage, orders, layout.name(), release)?);
        }
    }
    Ok(rows)
}

fn remote(inventory: &Inventory, orders: &Orders, paper: bool) -> Result<Vec<Row>> {
    let programs = if paper {
        PathBuf::new()
    } else {
        build::ebpf(&setup::ensure(Needs::default())?)?;
        programs::build_bench()?
    };
    let mut stage = layout::hosts(inventory, &programs, paper)?;
    let release = stage.site.run(Role::Balancer, "uname -r")?;
    measure(stage, orders, "remote", release.trim())
}

fn measure(mut stage: Stage, orders: &Orders, layout: &str, kernel: &str) -> Result<Vec<Row>> {
    let start = Instant::now();
    let tell =
        |news: &str| eprintln!("xtask: {layout}: {:>3} s: {news}", start.elapsed().as_secs());
    let series = turns::measure(&mut stage.site, orders, tell)?;
    Ok(series.into_iter().map(|series| Row::new(kernel, layout, series)).collect())
}
