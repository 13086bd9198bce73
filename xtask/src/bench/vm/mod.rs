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

use std::{
    fs,
    path::{Path, PathBuf},
    rc::Rc,
    time::Instant,
};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

use self::{
    inventory::Inventory,
    layout::{Layout, Stage},
    machine::Tell,
    report::Row,
    site::Role,
    turns::Orders,
};
use crate::{
    build,
    progress::{self, Progress},
    setup::{self, Needs},
    vm::{
        archive::{Archive, SERIES},
        programs,
    },
    workspace,
};

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
    #[arg(long, default_value = "2", value_parser = clap::value_parser!(u16).range(1..))]
    seconds: u16,
    /// The flows of each subject's second measurement; so many have to come within the warm-up
    #[arg(long, default_value = "2048", value_parser = clap::value_parser!(u16).range(2..=50_000))]
    flows: u16,
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
        flows: vec![1, options.flows],
    };
    let inventory = options.remote.as_deref().map(Inventory::read).transpose()?;
    let rows = match inventory {
        Some(inventory) if options.dry_run => {
            let tell: Tell = Rc::new(|command| println!("{command}"));
            return rehearse(&inventory, &orders, &tell);
        }
        Some(inventory) => remote(&inventory, &orders)?,
        None => virtual_machines(options, &orders)?,
    };
    conclude(options, &rows)
}

/// Shows and writes what came out.
fn conclude(options: &Options, rows: &[Row]) -> Result<()> {
    println!("{}\n{}", report::table(rows), report::bars(rows));
    if let Some(file) = &options.json {
        report::write_json(file, rows)?;
    }
    if let Some(file) = &options.svg {
        fs::write(file, plot::draw(rows))
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
    progress::say("xtask: looking for kernels in Debian's archive");
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
            let name = layout.name();
            progress::say(&format!("xtask: {name}: Linux {release} boots, {engine:?}"));
            let stage = layout::boot(*layout, &prepared, engine)?;
            rows.extend(measure(stage, orders, layout.name(), release)?);
        }
    }
    Ok(rows)
}

fn remote(inventory: &Inventory, orders: &Orders) -> Result<Vec<Row>> {
    build::ebpf(&setup::ensure(Needs::default())?)?;
    let mut stage = layout::hosts(inventory, &programs::build_bench()?, None)?;
    let release = stage.site.run(Role::Balancer, "uname -r")?;
    measure(stage, orders, "remote", release.trim())
}

/// Goes through a remote run on paper.
fn rehearse(inventory: &Inventory, orders: &Orders, tell: &Tell) -> Result<()> {
    let mut stage = layout::hosts(inventory, Path::new("."), Some(tell))?;
    turns::measure(&mut stage.site, orders, |_, _| ()).map(drop)
}

fn measure(mut stage: Stage, orders: &Orders, layout: &str, kernel: &str) -> Result<Vec<Row>> {
    let start = Instant::now();
    let (bar, total) = (Progress::new(layout, orders.total()), orders.total());
    let tell = |done: u64, news: &str| {
        let seconds = start.elapsed().as_secs();
        progress::say(&format!("xtask: {layout}: {seconds:>3} s, {done} of {total}: {news}"));
        if progress::is_terminal() {
            bar.at(done, total, "measurements");
        }
    };
    let series = turns::measure(&mut stage.site, orders, tell)?;
    Ok(series.into_iter().map(|series| Row::new(kernel, layout, series)).collect())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// What hosts are asked to run, against `dry-run.txt`: change both together.
    #[test]
    fn a_dry_run_tells_every_command() {
        let inventory = Inventory::parse(include_str!("inventory.example.toml")).unwrap();
        let orders = Orders {
            only: ["xdp-tx", "lb-l2", "ipvs-tun", "ip-forward"].map(str::to_owned).to_vec(),
            rounds: 1,
            seconds: 2.0,
            flows: vec![4096],
        };
        let told = Rc::new(RefCell::new(String::new()));
        let hear = Rc::clone(&told);
        let tell: Tell = Rc::new(move |command| {
            // Where the workspace lies is nobody's business.
            let target = workspace::target().display().to_string();
            hear.borrow_mut().extend([&command.replace(&target, "target"), "\n"]);
        });
        rehearse(&inventory, &orders, &tell).unwrap();
        let expected = include_str!("dry-run.txt");
        for (told, expected) in told.borrow().lines().zip(expected.lines()) {
            assert_eq!(told, expected);
        }
        assert_eq!(told.borrow().lines().count(), expected.lines().count());
    }
}
