//! Shows, checks and makes what a backend needs.

use std::{fmt::Write, path::Path};

use serde::Serialize;

use super::{Error, Finding, Requirement, Step, machine::Machine};
use crate::preflight;

/// A requirement for people and programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// What must be so.
    pub requirement: String,
    /// Whether it is.
    pub state: State,
    /// What is so instead, or should be known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// What makes it so; for people alone where `--apply` does not do it.
    pub remedy: Vec<String>,
}

/// Whether a requirement is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is.
    Ok,
    /// It is not.
    Missing,
    /// It need not be.
    Note,
}

/// The requirements as a shell script.
#[must_use]
pub fn script(requirements: &[Requirement]) -> String {
    let mut text = "#!/bin/sh\n# What `lb backend-setup --apply` does where it is missing. None of it outlives a reboot.\n".to_owned();
    for requirement in requirements {
        // Writing to a string cannot fail.
        let _written = writeln!(text, "\n# {requirement}");
        for step in requirement.steps() {
            let _written = writeln!(text, "{step}");
        }
        if let Some(advice) = requirement.advice() {
            let _written = writeln!(text, "# if not: {advice}");
        }
    }
    text
}

/// Compares a machine with the requirements.
#[must_use]
pub fn check(requirements: &[Requirement], machine: &Machine) -> Vec<Item> {
    requirements.iter().map(|requirement| item(requirement, machine)).collect()
}

fn item(requirement: &Requirement, machine: &Machine) -> Item {
    let (state, found) = match requirement.check(machine) {
        Finding::Ok => (State::Ok, None),
        Finding::Missing(found) => (State::Missing, Some(found)),
        Finding::Note(found) => (State::Note, Some(found)),
    };
    let remedy = if state == State::Ok {
        Vec::new()
    } else {
        let steps = requirement.steps_on(machine);
        steps.iter().map(ToString::to_string).chain(requirement.advice()).collect()
    };
    Item { requirement: requirement.to_string(), state, found, remedy }
}

/// Makes what is missing, and tells each step before it is taken. What has no steps stays missing.
///
/// # Errors
///
/// Nothing was changed if this process may not, or the interface is not there. A step that fails
/// leaves what was made before it; the next call goes on from there.
pub async fn apply(
    requirements: &[Requirement],
    interface: &str,
    pin_dir: &Path,
    mut tell: impl FnMut(&Step),
) -> Result<(), Error> {
    if !rustix::process::geteuid().is_root() {
        return Err(Error::NotRoot);
    }
    let mut machine = Machine::read(requirements, pin_dir).await?;
    let interface = machine.interface(interface)?;
    if requirements.iter().any(|it| matches!(it, Requirement::Decap { .. })) {
        preflight::process()?;
    }
    for requirement in requirements {
        let steps = requirement.steps_on(&machine);
        if !matches!(requirement.check(&machine), Finding::Missing(_)) || steps.is_empty() {
            continue;
        }
        for step in steps {
            tell(&step);
            step.take(&interface, pin_dir)?;
        }
        machine = Machine::read(requirements, pin_dir).await?;
        if let Finding::Missing(found) = requirement.check(&machine) {
            return Err(Error::Still { requirement: requirement.to_string(), found });
        }
    }
    Ok(())
}
