//! `cargo xtask run`: the demo site, or a node on this machine's interfaces.

use std::{ffi::OsString, os::unix::process::CommandExt as _, process::Command};

use anyhow::{Error, Result, bail};
use clap::Args;

use crate::{
    build, interrupt,
    setup::{self, Needs},
    workspace,
};

#[derive(Args)]
pub(crate) struct Options {
    /// Given to `lb run` if `--config` is among them, otherwise to `lb-lab demo`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Sets up if need be, builds, and becomes the demo or the node.
pub(crate) fn run(Options { arguments }: Options) -> Result<()> {
    let node = names_config(&arguments);
    build::all(&setup::ensure(Needs { programs: !node, ..Needs::default() })?)?;
    let mut command = if node { node_command() } else { demo_command() };
    let _ = command.args(arguments);
    if !workspace::is_root() {
        bail!("built, but XDP programs and interfaces need root: run `sudo {}`", shown(&command));
    }
    interrupt::adopt_no_more()?;
    // Ctrl-C shall reach nobody but the program itself, which cleans up.
    Err(Error::new(command.exec()).context(format!("cannot run `{command:?}`")))
}

/// The demo site.
pub(crate) fn demo_command() -> Command {
    let mut command = Command::new(workspace::binary("lb-lab"));
    let _ = command.arg("demo");
    command
}

fn node_command() -> Command {
    let mut command = Command::new(workspace::binary("lb"));
    let _ = command.arg("run");
    command
}

fn names_config(arguments: &[OsString]) -> bool {
    arguments.iter().any(|argument| {
        argument == "--config" || argument.to_string_lossy().starts_with("--config=")
    })
}

/// The command as a line to type.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        options: Options,
    }

    fn arguments(text: &str) -> Vec<OsString> {
        text.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn a_configuration_means_a_node() {
        assert!(names_config(&arguments("--config lb.toml")));
        assert!(names_config(&arguments("--log debug --config=lb.toml")));
        assert!(!names_config(&arguments("--for 10")));
        assert!(!names_config(&[]));
    }

    #[test]
    fn arguments_are_passed_on_with_and_without_a_separator() {
        for line in ["run -- --for 10", "run --for 10"] {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            assert_eq!(cli.options.arguments, arguments("--for 10"), "{line}");
        }
        let cli = Cli::try_parse_from(["run", "--", "--config", "a b.toml"]).unwrap();
        assert_eq!(cli.options.arguments, ["--config", "a b.toml"]);
    }
}
