//! Figures, as a table and as JSON.

use serde::Serialize;

use super::{
    results::{Results, Spread},
    subject::Subject,
};

/// One line of the results: a figure of a subject, over all rounds.
#[derive(Serialize)]
pub(super) struct Row {
    scenario: &'static str,
    subject: &'static str,
    metric: &'static str,
    median: f64,
    min: f64,
    max: f64,
    /// The median of the ratios to stock HAProxy, each taken within a round.
    ratio_to_haproxy: Option<f64>,
    /// The least of them.
    ratio_min: Option<f64>,
    /// The most.
    ratio_max: Option<f64>,
}

/// All results.
#[derive(Serialize)]
pub(super) struct Report {
    pub(super) rows: Vec<Row>,
}

/// The results of what was measured.
pub(super) fn rows(results: &Results) -> Vec<Row> {
    let row = |(kind, subject)| {
        let Spread { median, min, max } = results.figures(kind, subject)?;
        let ratios = results.ratios(kind, subject, Subject::Haproxy);
        Some(Row {
            scenario: kind.0.as_str(),
            subject: subject.as_str(),
            metric: kind.1.as_str(),
            median: rounded(median),
            min: rounded(min),
            max: rounded(max),
            ratio_to_haproxy: ratios.map(|it| rounded(it.median)),
            ratio_min: ratios.map(|it| rounded(it.min)),
            ratio_max: ratios.map(|it| rounded(it.max)),
        })
    };
    results.kinds().filter_map(row).collect()
}

/// To four places, which the least figures need.
fn rounded(figure: f64) -> f64 {
    (figure * 1e4).round() / 1e4
}

/// The table, for people.
pub(super) fn show(rows: &[Row]) {
    println!(
        "scenario metric            subject            median       least        most  \
         /haproxy  least-most"
    );
    for row in rows {
        let Row { scenario, subject, metric, median, min, max, .. } = row;
        let ratio = |it: Option<f64>| it.map_or("-".to_owned(), |it| format!("{it:.2}"));
        let range = format!("{}-{}", ratio(row.ratio_min), ratio(row.ratio_max));
        println!(
            "{scenario:<8} {metric:<17} {subject:<13} {:>11} {:>11} {:>11} {:>9} {range:>11}",
            shown(*median),
            shown(*min),
            shown(*max),
            ratio(row.ratio_to_haproxy)
        );
    }
}

/// With as many places as say something.
fn shown(figure: f64) -> String {
    if figure >= 1000.0 {
        format!("{figure:.0}")
    } else if figure >= 10.0 {
        format!("{figure:.1}")
    } else {
        format!("{figure:.3}")
    }
}
