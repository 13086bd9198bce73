//! Running commands so that a failing one can be pasted into a shell and looked at.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

/// Runs `command` with the terminal of xtask; an error holds the whole command line.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot run `{command:?}`"))?;
    ensure!(status.success(), "`{command:?}` failed ({status})");
    Ok(())
}

/// What `command` prints to standard output; an error holds the command line and the last line
/// that it wrote to standard error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run `{command:?}`"))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "`{command:?}` failed ({}): {}",
        output.status,
        complaint.trim_end().lines().next_back().unwrap_or_default()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
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
    fn a_failure_holds_the_last_complaint() {
        let error = output(&mut sh("echo one >&2; echo two >&2; exit 1")).unwrap_err().to_string();
        assert!(error.ends_with("failed (exit status: 1): two"), "{error}");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = run(&mut Command::new("no-such-program")).unwrap_err().to_string();
        assert_eq!(error, r#"cannot run `"no-such-program"`"#);
    }
}
