//! Completion scripts, made from the commands themselves.

use clap_complete::Shell;

use super::{Error, args::Args, output::Output};

pub(super) fn print(shell: Shell, output: Output) -> Result<(), Error> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::whole_command(), "lb", &mut script);
    output.print(&String::from_utf8_lossy(&script))
}
