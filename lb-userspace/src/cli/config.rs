//! `lb plan`, `apply`, `reload`, `diff`, `save` and `revert`.

use std::{fmt::Write, path::Path};

use super::{Error, output::Output, units};
use crate::{
    api::{
        client::Client,
        plan::{Difference, File, Kind, Plan, Ring, Saved},
    },
    config::file,
};

pub(super) async fn plan(
    client: &Client,
    output: Output,
    file: Option<&Path>,
) -> Result<(), Error> {
    let plan = client.plan(read(file)?.as_ref()).await?;
    output.show(&plan, |plan| {
        if plan.differences.is_empty() {
            return format!("{} would change nothing\n{}", plan.file, notes(plan));
        }
        let number = changes(&plan.differences);
        format!("{} would make {number}:\n{}", plan.file, details(plan))
    })
}

pub(super) async fn apply(
    client: &Client,
    output: Output,
    file: Option<&Path>,
) -> Result<(), Error> {
    let plan = client.apply(read(file)?.as_ref()).await?;
    output.show(&plan, |plan| {
        if plan.differences.is_empty() {
            return format!("{} is in force: nothing changed\n{}", plan.file, notes(plan));
        }
        let number = changes(&plan.differences);
        format!("{} is in force, with {number}:\n{}", plan.file, details(plan))
    })
}

pub(super) async fn diff(client: &Client, output: Output) -> Result<(), Error> {
    output.show(&client.diff().await?, |differences| {
        if differences.is_empty() {
            return "no run-time changes\n".into();
        }
        lines(differences)
    })
}

pub(super) async fn save(client: &Client, output: Output) -> Result<(), Error> {
    output.show(&client.save().await?, |Saved { file, differences }| {
        if differences.is_empty() {
            return format!("{file} has all of it already: nothing changed\n");
        }
        format!("{file} has {} now:\n{}", changes(differences), lines(differences))
    })
}

pub(super) async fn revert(client: &Client, output: Output) -> Result<(), Error> {
    output.show(&client.revert().await?, |plan| {
        if plan.differences.is_empty() {
            return "no run-time changes: nothing changed\n".into();
        }
        format!("{} alone is in force:\n{}", plan.file, details(plan))
    })
}

/// A file that is wrong is shown as `lb check` shows it.
fn read(path: Option<&Path>) -> Result<Option<File>, Error> {
    let Some(path) = path else { return Ok(None) };
    let loaded = file::load(path)?;
    Ok(Some(File { name: loaded.name().to_owned(), text: loaded.text().to_owned() }))
}

fn changes(differences: &[Difference]) -> String {
    let number = differences.len();
    if number == 1 { "1 change".into() } else { format!("{number} changes") }
}

fn details(plan: &Plan) -> String {
    let mut text = lines(&plan.differences);
    for Ring { service, slots, moved, connections } in &plan.rings {
        let moved = u32::try_from(*moved).unwrap_or(*slots);
        let part = units::percent(f64::from(moved) / f64::from(*slots));
        // Writing to a string cannot fail.
        let _written = writeln!(
            text,
            "service {service}: {moved} of {slots} slots move ({part}), {connections} connections \
             are remembered"
        );
    }
    text + &notes(plan)
}

fn notes(Plan { cut, forgotten, warnings, .. }: &Plan) -> String {
    let mut text = String::new();
    for (label, notes) in [("cut", cut), ("forgotten", forgotten), ("warning", warnings)] {
        for note in notes {
            let _written = writeln!(text, "{label}: {note}");
        }
    }
    text
}

fn lines(differences: &[Difference]) -> String {
    let mut text = String::new();
    for Difference { kind, subject, detail } in differences {
        let sign = match kind {
            Kind::Added => '+',
            Kind::Changed => '~',
            Kind::Removed => '-',
        };
        let detail = detail.replace(char::is_control, " ");
        let _written = writeln!(text, "  {sign} {subject}: {detail}");
    }
    text
}
