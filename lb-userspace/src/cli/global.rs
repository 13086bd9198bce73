//! The options of all commands that talk to the daemon.

use std::path::PathBuf;

use clap::{
    Arg, ArgMatches, Command,
    error::{Error, ErrorKind},
    parser::ValueSource,
};

const HEADING: &str = "Global options";

#[derive(Debug, clap::Args)]
pub(super) struct Global {
    /// The daemon's socket
    ///
    /// It stands in the `runtime_dir` of the daemon's configuration, from where `lb run` itself takes
    /// it.
    #[arg(long, global = true, help_heading = HEADING, value_name = "PATH")]
    #[arg(env = "LB_SOCKET", default_value = "/run/lb/lb.sock")]
    pub(super) socket: PathBuf,
    /// Print JSON instead of tables
    ///
    /// The objects are those of the daemon's API, with exact numbers.
    #[arg(long, global = true, help_heading = HEADING)]
    pub(super) json: bool,
}

/// The commands that have no use for a global option.
const WITHOUT: &[(&str, &[&str])] = &[
    ("run", &["socket", "json"]),
    ("check", &["socket"]),
    ("decap", &["socket"]),
    ("backend-setup", &["socket"]),
    ("completions", &["socket", "json"]),
    ("man", &["socket", "json"]),
];

/// Leaves global options out of the help of commands that have no use for them.
pub(super) fn hide(command: Command) -> Command {
    WITHOUT.iter().fold(command, |command, (name, options)| {
        let global: Vec<Arg> = command
            .get_arguments()
            .filter(|arg| options.contains(&arg.get_id().as_str()))
            .map(|arg| arg.clone().hide(true))
            .collect();
        command.mut_subcommand(*name, |command| command.args(global))
    })
}

/// Refuses global options that the command has no use for, instead of ignoring them.
pub(super) fn check(command: &mut Command, matches: &ArgMatches) -> Result<(), Error> {
    let given = |option: &&&str| matches.value_source(option) == Some(ValueSource::CommandLine);
    let name = matches.subcommand_name().unwrap_or_default();
    let useless = WITHOUT.iter().find(|(without, _)| *without == name);
    match useless.and_then(|(_, options)| options.iter().find(given)) {
        Some(option) => {
            let text = format!("`lb {name}` has no use for --{option}");
            Err(command.error(ErrorKind::UnknownArgument, text))
        }
        None => Ok(()),
    }
}
