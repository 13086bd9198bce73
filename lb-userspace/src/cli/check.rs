//! `lb check`.

use std::path::Path;

use serde::Serialize;

use super::{
    Error,
    output::{self, Output},
};
use crate::config::file;

/// What `lb check --json` prints.
#[derive(Serialize)]
struct Report {
    file: String,
    ok: bool,
    services: usize,
    backends: usize,
    warnings: Vec<String>,
    errors: Vec<String>,
}

pub(super) fn check(file: &Path, output: Output) -> Result<(), Error> {
    let name = file.display().to_string();
    match file::load(file) {
        Ok(loaded) => {
            let services = &loaded.config.services;
            let report = Report {
                file: name,
                ok: true,
                services: services.len(),
                backends: services.iter().map(|service| service.backends.len()).sum(),
                warnings: loaded.warnings.iter().map(ToString::to_string).collect(),
                errors: Vec::new(),
            };
            if !output.json {
                report.warnings.iter().for_each(|warning| output::complain(&warning));
            }
            output.show(&report, text)
        }
        Err(error) if output.json => {
            let errors = error.to_string().lines().map(str::to_owned).collect();
            let (services, backends, warnings) = (0, 0, Vec::new());
            let report = Report { file: name, ok: false, services, backends, warnings, errors };
            output.show(&report, text)?;
            Err(Error::Reported)
        }
        Err(error) => Err(error.into()),
    }
}

fn text(report: &Report) -> String {
    let Report { file, services, backends, .. } = report;
    let plural = |number: usize| if number == 1 { "" } else { "s" };
    format!(
        "{file}: ok: {services} service{}, {backends} backend{}\n",
        plural(*services),
        plural(*backends)
    )
}
