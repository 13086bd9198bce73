//! Figures: as a table, as JSON, and against what was to be reached.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::{
    contender::{IPVS_DR, LB_L2, XDP_TX},
    turns::Series,
};

/// One line of the results.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    /// What `uname -r` says on the balancer.
    pub(super) kernel: String,
    /// The layout's name.
    pub(super) layout: String,
    pub(super) subject: &'static str,
    pub(super) flows: u16,
    /// Packets per second that came through, by round.
    pub(super) pps: Vec<f64>,
    /// Packets per second that the generator sent, by round.
    pub(super) offered: Vec<f64>,
}

impl Row {
    pub(super) fn new(kernel: &str, layout: &str, series: Series) -> Self {
        let Series { subject, flows, pps, offered } = series;
        let whole = |rates: Vec<f64>| rates.into_iter().map(f64::round).collect();
        Self {
            kernel: kernel.to_owned(),
            layout: layout.to_owned(),
            subject,
            flows,
            pps: whole(pps),
            offered: whole(offered),
        }
    }

    /// Another subject's row of the same kernel, layout and flows.
    fn beside<'a>(&self, rows: &'a [Self], subject: &str) -> Option<&'a Self> {
        rows.iter().find(|row| {
            row.subject == subject
                && row.flows == self.flows
                && row.layout == self.layout
                && row.kernel == self.kernel
        })
    }

    /// The median of the ratios to another subject, each taken within a round.
    fn ratio(&self, rows: &[Self], to: &str) -> Option<f64> {
        let base = self.beside(rows, to)?;
        let ratios = self.pps.iter().zip(&base.pps).filter(|(_, base)| **base > 0.0);
        median(&ratios.map(|(own, base)| own / base).collect::<Vec<_>>())
    }
}

/// The middle one, or the mean of the two in the middle.
pub(super) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    Some(if sorted.len() % 2 == 1 { upper } else { f64::midpoint(sorted[middle - 1], upper) })
}

/// The least and the most.
pub(super) fn range(values: &[f64]) -> (f64, f64) {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    (least, values.iter().copied().fold(0.0, f64::max))
}

/// The table, for people.
pub(super) fn table(rows: &[Row]) -> String {
    let mut text = String::new();
    let mut above = None;
    for row in rows {
        let place = (&row.kernel, &row.layout);
        if above != Some(place) {
            above = Some(place);
            text.extend([format!(
                "\nLinux {}, {}\n{:<11} {:>5} {:>11} {:>19} {:>9} {:>9} {:>9}\n",
                row.kernel,
                row.layout,
                "subject",
                "flows",
                "packets/s",
                "least-most",
                "sent/s",
                "/xdp-tx",
                "/ipvs-dr"
            )]);
        }
        let (least, most) = range(&row.pps);
        let ratio = |to| row.ratio(rows, to).map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
        text.extend([format!(
            "{:<11} {:>5} {:>11.0} {:>19} {:>9.0} {:>9} {:>9}\n",
            row.subject,
            row.flows,
            median(&row.pps).unwrap_or_default(),
            format!("{least:.0}-{most:.0}"),
            median(&row.offered).unwrap_or_default(),
            ratio(XDP_TX),
            ratio(IPVS_DR)
        )]);
    }
    text
}

/// What was to be reached: the least that a median ratio of `lb` may be.
const BARS: [(&str, f64); 2] = [(XDP_TX, 0.85), (IPVS_DR, 2.0)];

/// Which bars were met and which were missed, a line each.
pub(super) fn bars(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows.iter().filter(|row| row.subject == LB_L2) {
        for (to, least) in BARS {
            let Some(ratio) = row.ratio(rows, to) else { continue };
            let verdict = if ratio >= least { "met   " } else { "missed" };
            text.extend([format!(
                "{verdict} {LB_L2} to {to}: {ratio:.2} of at least {least} ({}, flows: {}, Linux {})\n",
                row.layout, row.flows, row.kernel
            )]);
        }
    }
    text
}

#[derive(Serialize)]
struct Results<'a> {
    rows: &'a [Row],
}

/// Writes results for programs.
pub(super) fn write_json(file: &Path, rows: &[Row]) -> Result<()> {
    let text = serde_json::to_string_pretty(&Results { rows })?;
    fs::write(file, text + "\n").with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(subject: &'static str, pps: &[f64]) -> Row {
        let series = Series { subject, flows: 1, pps: pps.to_vec(), offered: pps.to_vec() };
        Row::new("6.12", "three-vms", series)
    }

    #[test]
    fn ratios_are_taken_within_rounds() {
        // The machine was ten times slower in the second round.
        let rows = [row(XDP_TX, &[100.0, 10.0, 100.0]), row(LB_L2, &[90.0, 8.0, 80.0])];
        assert_eq!(rows[1].ratio(&rows, XDP_TX), Some(0.8));
        assert_eq!(rows[1].ratio(&rows, IPVS_DR), None);
        assert!(bars(&rows).starts_with("missed lb-l2 to xdp-tx: 0.80 of at least 0.85"));
        let rows = [row(IPVS_DR, &[40.0]), row(LB_L2, &[80.0])];
        assert!(bars(&rows).starts_with("met    lb-l2 to ipvs-dr: 2.00"));
    }

    #[test]
    fn medians_and_ranges() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
        assert_eq!(range(&[3.0, 1.0, 2.0]), (1.0, 3.0));
    }
}
