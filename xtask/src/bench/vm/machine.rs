//! Machines that run lines of shell: guests, hosts by ssh, and paper.

use std::{cell::RefCell, path::PathBuf, process::Command, rc::Rc};

use anyhow::Result;

use crate::{exec, vm::shell::Shell};

/// What runs a line of shell.
pub(super) trait Machine {
    /// Runs a line; gives what it printed. A line that fails is an error.
    fn run(&mut self, line: &str) -> Result<String>;

    /// Brings the programs to it.
    fn equip(&mut self) -> Result<()> {
        Ok(())
    }

    /// Removes them.
    fn strip(&mut self) -> Result<()> {
        Ok(())
    }

    /// Whether what was done to it outlives the run, unless it is undone.
    fn stays(&self) -> bool;
}

/// A guest, or a network namespace in one.
pub(super) struct Guest {
    pub(super) shell: Rc<RefCell<Shell>>,
    pub(super) namespace: Option<&'static str>,
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

    fn stays(&self) -> bool {
        false
    }
}

/// A host that is reached by ssh, or one on paper: its commands are told instead of run, and it answers
/// as a host that counts a packet a second, so that everything goes on.
pub(super) struct Host {
    /// As ssh takes it.
    pub(super) name: String,
    /// The folder that the programs go to.
    pub(super) folder: String,
    pub(super) programs: Vec<PathBuf>,
    /// What hears of commands that are not run.
    pub(super) paper: Option<Tell>,
}

/// Hears of a command.
pub(super) type Tell = Rc<dyn Fn(&str)>;

impl Host {
    fn command(&self, program: &str, arguments: &[String]) -> Result<String> {
        if let Some(tell) = &self.paper {
            tell(&format!("{program} {}", arguments.join(" ")));
            return Ok("1 1000000000\n".to_owned());
        }
        let mut command = Command::new(program);
        exec::output(command.args(["-o", "BatchMode=yes"]).args(arguments))
    }
}

impl Machine for Host {
    fn run(&mut self, line: &str) -> Result<String> {
        // The shell there takes a word off once.
        let line = format!("sh -c {}", quoted(line));
        self.command("ssh", &[self.name.clone(), "--".to_owned(), line])
    }

    fn equip(&mut self) -> Result<()> {
        let _ = self.run(&format!("mkdir -p {}", self.folder))?;
        let files = self.programs.iter().map(|file| file.display().to_string());
        let to = format!("{}:{}/", self.name, self.folder);
        self.command("scp", &files.chain([to]).collect::<Vec<_>>()).map(drop)
    }

    fn strip(&mut self) -> Result<()> {
        let folder = &self.folder;
        let name =
            |file: &PathBuf| file.file_name().map(|name| format!("{folder}/{}", name.display()));
        let files: Vec<String> = self.programs.iter().filter_map(name).collect();
        // A host may have two roles.
        self.run(&format!("rm -f {}; rmdir {folder} 2> /dev/null; true", files.join(" "))).map(drop)
    }

    fn stays(&self) -> bool {
        true
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
