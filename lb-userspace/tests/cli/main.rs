//! The `lb` command as its users see it: output, errors and exit codes, against a daemon without a
//! data plane.
#![expect(clippy::unwrap_used, reason = "a test")]

mod backend;
mod change;
mod config;
mod daemon;
mod show;
mod usage;

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

use daemon::Daemon;
use serde::de::DeserializeOwned;

fn lb(socket: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lb"));
    let _command = command.env_remove("LB_LOG").env("LB_SOCKET", socket).stdin(Stdio::null());
    command
}

/// Exit code, stdout and stderr.
fn outcome(output: Output) -> (i32, String, String) {
    let Output { status, stdout, stderr } = output;
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn run(socket: &Path, arguments: &[&str]) -> (i32, String, String) {
    outcome(lb(socket).args(arguments).output().unwrap())
}

fn good(daemon: &Daemon, arguments: &[&str]) -> String {
    let (code, stdout, stderr) = run(&daemon.socket(), arguments);
    assert_eq!((code, stderr.as_str()), (0, ""), "{arguments:?}: {stdout}");
    stdout
}

fn json<T: DeserializeOwned>(daemon: &Daemon, arguments: &[&str]) -> T {
    let text = good(daemon, &[&["--json"], arguments].concat());
    assert_eq!(text.lines().count(), 1, "{text}");
    serde_json::from_str(&text).unwrap()
}

fn no_daemon() -> &'static Path {
    Path::new("/nonexistent/lb.sock")
}
