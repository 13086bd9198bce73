//! Why the lab could not do something.

use std::{io, path::PathBuf, process::ExitStatus, time::Duration};

use aya::{EbpfError, programs::ProgramError};

/// Why the lab could not do something.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program said no.
    #[error("`{command}` failed ({status}): {}", output.trim())]
    Command {
        /// The command line.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// What it wrote to stderr.
        output: String,
    },
    /// A program could not be started.
    #[error("`{command}` cannot be started: {source}")]
    Start {
        /// The command line.
        command: String,
        /// Why.
        source: io::Error,
    },
    /// A file operation failed.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// A verb, such as `create`.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something did not happen in time.
    #[error("not within {} s: {what}; at last: {last}", within.as_secs_f32())]
    Late {
        /// What was waited for.
        what: String,
        /// How long.
        within: Duration,
        /// Why it had not happened at the last look.
        last: String,
    },
    /// The eBPF object could not be loaded.
    #[error("cannot load the eBPF object: {0}")]
    Object(#[from] EbpfError),
    /// The pass-all program is missing, or was refused.
    #[error("cannot attach the XDP program `{program}` to {interface}: {source}")]
    Attach {
        /// The program's name.
        program: &'static str,
        /// The interface.
        interface: String,
        /// Why.
        source: ProgramError,
    },
    /// The object has no program of that name.
    #[error("the eBPF object has no program `{0}`")]
    NoProgram(&'static str),
    /// Namespaces and XDP need root.
    #[error("this makes network namespaces and loads XDP programs: run it as root (sudo)")]
    NotRoot,
    /// Programs are missing on this machine.
    #[error("missing: {}; on Debian: apt-get install {}", programs.join(", "), packages.join(" "))]
    Tools {
        /// Their names.
        programs: Vec<&'static str>,
        /// The Debian packages that have them.
        packages: Vec<&'static str>,
    },
    /// What should be cleaned up is in use.
    #[error("{prefix} is running (process {pid}): end that first")]
    Running {
        /// The site's prefix.
        prefix: String,
        /// The process that made it.
        pid: String,
    },
    /// A directory that the lab would own holds something that the lab did not make.
    #[error(
        "{} is in use by an lb node that is not the demo's: \
         stop that node and remove the directory, or run the demo on another machine",
        .0.display()
    )]
    Foreign(PathBuf),
    /// The `lb` binary is not there.
    #[error("no lb binary at {}: build it with `cargo xtask build`, or set LB_BIN", .0.display())]
    NoBinary(PathBuf),
    /// The daemon answered something else than it should.
    #[error("`{command}` answered what cannot be understood ({source}): {output}")]
    Answer {
        /// The command line.
        command: String,
        /// What is wrong with it.
        source: serde_json::Error,
        /// What it answered.
        output: String,
    },
}

impl Error {
    /// For `map_err` on file operations.
    pub fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }
}
