//! One thing to do: shown as a line of shell, or done.

use std::{fmt, fs, process::Command};

use super::{Error, decap, machine, prefix_text};
use crate::{config::AttachMode, dataplane::kernel::Interface};

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Runs a program; the words have no blanks or quotes in them.
    Run(Vec<String>),
    /// Sets a value under `/proc/sys`.
    Sysctl {
        /// The path below.
        path: String,
        /// The value.
        value: i64,
    },
    /// Attaches the decapsulation.
    Decap {
        /// The interface.
        interface: String,
        /// What it undoes.
        options: decap::Options,
    },
}

impl Step {
    /// The words of a command.
    pub(super) fn run(command: &str) -> Self {
        Self::Run(command.split_whitespace().map(str::to_owned).collect())
    }

    /// Does it.
    pub(super) fn take(
        &self,
        interface: &Interface,
        pin_dir: &std::path::Path,
    ) -> Result<(), Error> {
        let failed = |reason| Error::Step { command: self.to_string(), reason };
        match self {
            Self::Run(words) => run(words).map_err(failed),
            Self::Sysctl { path, value } => {
                fs::write(machine::sysctl_file(path), value.to_string())
                    .map_err(|cause| failed(cause.to_string()))
            }
            Self::Decap { options, .. } => {
                decap::attach(interface, options, pin_dir).map(|_replaced| ())
            }
        }
    }
}

fn run(words: &[String]) -> Result<(), String> {
    let [program, arguments @ ..] = words else { return Ok(()) };
    let output = Command::new(program).args(arguments).output();
    let output = output.map_err(|cause| format!("cannot start {program}: {cause}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let text = text.trim().replace('\n', ": ");
    Err(if text.is_empty() { output.status.to_string() } else { text })
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(words) => f.write_str(&words.join(" ")),
            // With slashes, the dots of an interface's name are its own (sysctl(8)).
            Self::Sysctl { path, value } => write!(f, "sysctl -w {path}={value}"),
            Self::Decap { interface, options } => {
                let decap::Options { sources, gue_port, mode } = options;
                write!(f, "lb decap --interface {interface}")?;
                for source in sources {
                    write!(f, " --from {}", prefix_text(source))?;
                }
                if *gue_port != super::GUE_PORT {
                    write!(f, " --gue-port {gue_port}")?;
                }
                match mode {
                    AttachMode::Native => Ok(()),
                    AttachMode::Generic => f.write_str(" --mode generic"),
                }
            }
        }
    }
}
