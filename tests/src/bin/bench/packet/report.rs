//! Figures, as a table and as JSON.

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::{
    Measured,
    bars::Bar,
    row::{Row, Subject},
};

/// One line of the results.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Figure {
    pub(super) subject: &'static str,
    pub(super) mode: &'static str,
    pub(super) family: &'static str,
    pub(super) kind: &'static str,
    pub(super) flows: u32,
    pub(super) services: u32,
    /// The share of slots that are moving.
    pub(super) moving: f64,
    /// Without the driver: ns a packet.
    pub(super) net_ns: f64,
    /// With it.
    pub(super) raw_ns: f64,
    #[serde(skip)]
    pub(super) row: Row,
    /// `raw_ns` in relation to the floor that exchanges the MACs.
    #[serde(skip)]
    ratio: f64,
}

/// All results.
#[derive(Serialize)]
pub(super) struct Report {
    pub(super) rows: Vec<Figure>,
}

/// The results of what was measured. The net time of a program that makes frames longer is without
/// what the driver takes to make them as long as they were.
pub(super) fn figures(measured: &[Measured]) -> Result<Vec<Figure>> {
    let floor = |subject: Subject| {
        let floor = measured.iter().find(|measured| measured.row.subject == subject);
        floor.map(|floor| floor.least).with_context(|| format!("no floor {}", subject.as_str()))
    };
    let (empty, swap) = (floor(Subject::EMPTY)?, floor(Subject::SWAP)?);
    let move_start = (floor(Subject::GROW)? - empty) / 2.0;
    Ok(measured
        .iter()
        .map(|Measured { row, least, .. }| {
            let undoing = if row.grows() { move_start } else { 0.0 };
            figure(*row, *least, *least - empty - undoing, *least / swap)
        })
        .collect())
}

fn figure(row: Row, raw_ns: f64, net_ns: f64, ratio: f64) -> Figure {
    let is_floor = row.subject != Subject::Lb;
    let or_none = |text| if is_floor { "none" } else { text };
    let tenths = |ns: f64| (ns * 10.0).round() / 10.0;
    Figure {
        subject: row.subject.as_str(),
        mode: or_none(row.mode.as_str()),
        family: row.family.as_str(),
        kind: row.kind.as_str(),
        flows: row.flows,
        services: row.services,
        moving: f64::from(row.moving) / 100.0,
        net_ns: tenths(net_ns),
        raw_ns: tenths(raw_ns),
        row,
        ratio,
    }
}

/// The table, for people.
pub(super) fn show(figures: &[Figure]) {
    println!("subject mode family kind         flows services moving   net ns   raw ns  raw/swap");
    for figure in figures {
        let Figure { subject, mode, family, kind, flows, services, moving, .. } = figure;
        let moving = moving * 100.0;
        println!(
            "{subject:<7} {mode:<4} {family:<6} {kind:<10} {flows:>7} {services:>8} {moving:>5.0}% \
             {:>8.1} {:>8.1} {:>9.2}",
            figure.net_ns, figure.raw_ns, figure.ratio
        );
    }
}

/// What was to be reached.
pub(super) fn show_bars(bars: &[Bar]) {
    for Bar { name, limit, worst, row, met } in bars {
        let verdict = if *met { "met   " } else { "missed" };
        println!("{verdict} {name}: {worst:.2} of at most {limit} ({row})");
    }
}
