//! `lb check`.

use std::path::Path;

use serde::Serialize;

use super::{
    Error,
    output::{self, Output},
};
use crate::config::{Config, file};

/// What `lb check --json` prints.
#[derive(Serialize)]
struct Report {
    file: String,
    ok: bool,
    services: usize,
    proxies: usize,
    backends: usize,
    warnings: Vec<String>,
    errors: Vec<String>,
}

pub(super) fn check(file: &Path, output: Output) -> Result<(), Error> {
    let name = file.display().to_string();
    match file::load(file) {
        Ok(loaded) => {
            let Config { services, proxies, .. } = &loaded.config;
            let of_services = services.iter().map(|it| it.backends.len());
            let of_proxies = proxies.iter().map(|it| it.backends.len());
            let report = Report {
                file: name,
                ok: true,
                services: services.len(),
                proxies: proxies.len(),
                backends: of_services.chain(of_proxies).sum(),
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
            let (services, proxies, backends, warnings) = (0, 0, 0, Vec::new());
            let report =
                Report { file: name, ok: false, services, proxies, backends, warnings, errors };
            output.show(&report, text)?;
            Err(Error::Reported)
        }
        Err(error) => Err(error.into()),
    }
}

fn text(report: &Report) -> String {
    let Report { file, services, proxies, backends, .. } = report;
    let plural = |number: usize| if number == 1 { "" } else { "s" };
    let proxies = match proxies {
        0 => String::new(),
        1 => ", 1 proxy".into(),
        several => format!(", {several} proxies"),
    };
    format!(
        "{file}: ok: {services} service{}{proxies}, {backends} backend{}\n",
        plural(*services),
        plural(*backends)
    )
}
