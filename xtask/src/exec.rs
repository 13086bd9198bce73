//! Running commands so that a failing one can be pasted into a shell and looked at.

use std::{
    io::{BufRead as _, BufReader, Read},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    interrupt,
    progress::{self, Progress},
};

/// Runs `command` with the terminal of xtask; an error holds the whole command line.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    interrupt::check()?;
    let status = command.status().with_context(|| format!("cannot run `{command:?}`"))?;
    ensure!(status.success(), "`{command:?}` failed ({status})");
    Ok(())
}

/// Runs a command that tells on standard error how far it is ([`progress::told`]).
pub(crate) fn watched(command: &mut Command, what: &str) -> Result<()> {
    let progress = Progress::new(what, 0);
    let hear = |line: &str| match progress::told(line) {
        Some((done, total, doing)) => progress.at(done, total, doing),
        None => progress::say(line),
    };
    heard(command, Stream::Error, hear)
}

/// A stream that is listened to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Output,
    Error,
}

/// Runs a command, and hears each line of one of its streams.
pub(crate) fn heard(command: &mut Command, stream: Stream, hear: impl FnMut(&str)) -> Result<()> {
    interrupt::check()?;
    let _ = match stream {
        Stream::Output => command.stdout(Stdio::piped()),
        Stream::Error => command.stderr(Stdio::piped()),
    };
    let mut child = command.spawn().with_context(|| format!("cannot run `{command:?}`"))?;
    match stream {
        Stream::Output => child.stdout.take().map(|stream| lines(stream, hear)),
        Stream::Error => child.stderr.take().map(|stream| lines(stream, hear)),
    }
    .unwrap_or(Ok(()))?;
    let status = child.wait()?;
    ensure!(status.success(), "`{command:?}` failed ({status})");
    Ok(())
}

/// Hears all lines, of whatever bytes.
fn lines(stream: impl Read, mut hear: impl FnMut(&str)) -> Result<()> {
    let (mut stream, mut line) = (BufReader::new(stream), Vec::new());
    while stream.read_until(b'\n', &mut line)? > 0 {
        hear(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
    Ok(())
}

/// What `command` prints to standard output; an error holds the command line and the line of
/// standard error that says most.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    interrupt::check()?;
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run `{command:?}`"))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "`{command:?}` failed ({}): {}",
        output.status,
        essence(&complaint)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The first line that calls itself an error, or the last line: a backtrace may follow.
fn essence(complaint: &str) -> &str {
    let mut lines = complaint.lines().filter(|line| !line.trim().is_empty());
    let error = lines.clone().find(|line| line.starts_with("error"));
    error.or_else(|| lines.next_back()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        let _ = command.args(["-c", script]);
        command
    }

    #[test]
    fn a_failure_names_the_command() {
        let error = run(&mut sh("exit 3")).unwrap_err().to_string();
        assert_eq!(error, r#"`"sh" "-c" "exit 3"` failed (exit status: 3)"#);
    }

    #[test]
    fn a_complaint_is_cut_to_its_essence() {
        let rustup = "info: downloading\nerror: could not download\n\n  15: <unknown>\n";
        assert_eq!(essence(rustup), "error: could not download");
        assert_eq!(essence("one\ntwo\n\n"), "two");
        assert_eq!(essence(""), "");
    }

    #[test]
    fn a_failure_holds_the_complaint() {
        let error = output(&mut sh("echo one >&2; echo two >&2; exit 1")).unwrap_err().to_string();
        assert!(error.ends_with("failed (exit status: 1): two"), "{error}");
    }

    #[test]
    fn each_line_is_heard() {
        let mut heard = Vec::new();
        let mut script = sh(r"printf 'one\n\377\ntwo' >&2");
        super::heard(&mut script, Stream::Error, |line| heard.push(line.to_owned())).unwrap();
        assert_eq!(heard, ["one", "\u{fffd}", "two"]);
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = run(&mut Command::new("no-such-program")).unwrap_err().to_string();
        assert_eq!(error, r#"cannot run `"no-such-program"`"#);
    }
}
