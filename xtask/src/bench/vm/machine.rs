//! Machines that run lines of shell: guests, hosts by ssh, and paper.

use std::{cell::RefCell, path::Path, process::Command, rc::Rc};

use anyhow::Result;

use crate::{exec, vm::shell::Shell};

/// What runs a line of shell.
pub(super) trait Machine {
    /// Runs a line; gives what it printed. A line that fails is an error.
    fn run(&mut self, line: &str) -> Result<String>;

    /// Holds its processor to its pace, or lets go of it.
    fn hold(&mut self, _held: bool) -> Result<()> {
        Ok(())
    }
}

/// A guest, or a network namespace in one.
pub(super) struct Guest {
    pub(super) shell: Rc<RefCell<Shell>>,
    pub(super) namespace: Option<&'static str>,
    /// The share of a host's processor that it is held to, in thousandths.
    pub(super) share: u32,
}

impl Machine for Guest {
    fn run(&mut self, line: &str) -> Result<String> {
        let mut shell = self.shell.borrow_mut();
        match self.namespace {
            None => shell.run(line),
            Some(name) => {
                shell.run(&format!("nsenter --net=/run/netns/{name} sh -c {}", quoted(line)))
            }
        }
    }

    fn hold(&mut self, held: bool) -> Result<()> {
        self.shell.borrow().share(held.then_some(self.share))
    }
}

/// A host that is reached by ssh.
pub(super) struct Remote {
    pub(super) host: String,
}

impl Remote {
    /// Copies a file there.
    pub(super) fn copy(&self, file: &Path, to: &str) -> Command {
        let mut command = Command::new("scp");
        let _ = command
            .args(["-q", "-o", "BatchMode=yes"])
            .arg(file)
            .arg(format!("{}:{to}", self.host));
        command
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new("ssh");
        let _ = command
            .args(["-o", "BatchMode=yes", &self.host, "--"])
            .arg(format!("sh -c {}", quoted(line)));
        command
    }
}

impl Machine for Remote {
    fn run(&mut self, line: &str) -> Result<String> {
        exec::output(&mut self.command(line))
    }
}

/// Prints what a host would run. It answers as a host that counts a packet a second, so that
/// everything goes on.
pub(super) struct Paper {
    pub(super) host: String,
}

impl Machine for Paper {
    fn run(&mut self, line: &str) -> Result<String> {
        println!("ssh {} -- sh -c {}", self.host, quoted(line));
        Ok("1 1000000000\n".to_owned())
    }
}

/// One word of shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_survive_a_shell() {
        let line = r#"echo 'a b' "$HOME" \; it'"#;
        let said =
            exec::output(Command::new("sh").args(["-c", &format!("printf %s {}", quoted(line))]));
        assert_eq!(said.unwrap(), line);
    }
}
