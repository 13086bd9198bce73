//! Running other programs, and waiting for what they do.

use std::{
    env,
    ffi::OsStr,
    process::{Command, Output},
    thread,
    time::{Duration, Instant},
};

use crate::Error;

/// Where Debian keeps the administrator's programs; `su` without `-` leaves them out of PATH.
const SBIN: &str = "/usr/local/sbin:/usr/sbin:/sbin";

/// The programs that the lab calls, and the Debian packages that have them.
const TOOLS: &[(&str, &str)] = &[
    ("ip", "iproute2"),
    ("nsenter", "util-linux"),
    ("ethtool", "ethtool"),
    ("nginx", "nginx-light"),
    ("curl", "curl"),
];

/// Makes sure that all programs that the lab calls are installed.
pub fn check_tools() -> Result<(), Error> {
    let path = search_path();
    let missing: Vec<_> = TOOLS
        .iter()
        .filter(|(program, _)| !env::split_paths(&path).any(|dir| dir.join(program).is_file()))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::Tools {
        programs: missing.iter().map(|(program, _)| *program).collect(),
        packages: missing.iter().map(|(_, package)| *package).collect(),
    })
}

/// A command that is found in the administrator's directories too.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    let _: &mut Command = command.env("PATH", search_path());
    command
}

fn search_path() -> String {
    let path = env::var("PATH").unwrap_or_else(|_| "/usr/bin:/bin".into());
    format!("{path}:{SBIN}")
}

/// Runs a command to its end and returns what it wrote to stdout; a failure is reported whole.
pub fn run(command: &mut Command) -> Result<String, Error> {
    let output = output(command)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Error::Command {
        command: describe(command),
        status: output.status,
        output: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Runs a command to its end, however that is.
pub fn output(command: &mut Command) -> Result<Output, Error> {
    command.output().map_err(|source| Error::Start { command: describe(command), source })
}

/// The command line, for people.
#[must_use]
pub fn describe(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}

/// Looks every 20 ms until `look` succeeds; after `within`, its last reason is the error.
pub fn eventually<T>(
    within: Duration,
    what: &str,
    mut look: impl FnMut() -> Result<T, String>,
) -> Result<T, Error> {
    let end = Instant::now() + within;
    loop {
        match look() {
            Ok(value) => return Ok(value),
            Err(last) if Instant::now() >= end => {
                return Err(Error::Late { what: what.into(), within, last });
            }
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_reported_whole() {
        let mut failing = command("ls");
        let _: &mut Command = failing.arg("/nonexistent-for-certain");
        let error = run(&mut failing).unwrap_err().to_string();
        assert!(error.starts_with("`ls /nonexistent-for-certain` failed"), "{error}");
        assert!(error.contains("No such file"), "{error}");
    }

    #[test]
    fn waiting_ends_with_the_last_reason() {
        let mut looks = 0;
        let error = eventually::<()>(Duration::from_millis(50), "the moon", || {
            looks += 1;
            Err(format!("look {looks}"))
        })
        .unwrap_err()
        .to_string();
        assert!(looks > 1);
        assert!(error.contains("the moon") && error.ends_with(&format!("look {looks}")), "{error}");
    }
}
