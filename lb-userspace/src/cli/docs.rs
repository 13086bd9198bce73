//! Completion scripts and man pages, made from the commands themselves.

use std::{fs, path::Path};

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Error, args::Args, output::Output};

pub(super) fn completions(shell: Shell, output: Output) -> Result<(), Error> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "lb", &mut script);
    output.print(&String::from_utf8_lossy(&script))
}

pub(super) fn man(directory: &Path, output: Output) -> Result<(), Error> {
    let failed = |source| Error::Write { to: directory.display().to_string(), source };
    fs::create_dir_all(directory).map_err(failed)?;
    clap_mangen::generate_to(Args::command(), directory).map_err(failed)?;
    output.print(&format!("man pages written to {}\n", directory.display()))
}
