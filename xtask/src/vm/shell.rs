//! A guest that runs lines of shell and answers: its console goes to a file, the lines come by its
//! second serial port (`shell.sh` is its first process).

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

use super::guest::Machine;

/// The first process of such a guest.
pub(crate) const INIT: &str = include_str!("shell.sh");
/// How long a line, or the boot, may take.
const LIMIT: Duration = Duration::from_secs(300);

/// A guest that waits for lines. It ends when this is dropped.
pub(crate) struct Shell {
    _machine: Machine,
    lines: ChildStdin,
    answers: Receiver<String>,
    /// Where the console is kept, for errors.
    console: String,
}

impl Shell {
    /// Starts `qemu`, whose serial ports are still free; [`Shell::ready`] waits for it.
    pub(crate) fn start(mut qemu: Command, console: &Path) -> Result<Self> {
        let _ = qemu.arg("-serial").arg(format!("file:{}", console.display()));
        let _ = qemu.args(["-serial", "stdio"]);
        let child = qemu.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut machine = Machine(child.spawn().context("cannot run QEMU by setpriv")?);
        let lines = machine.0.stdin.take().context("QEMU's input")?;
        let output = machine.0.stdout.take().context("QEMU's output")?;
        let (to, answers) = mpsc::channel();
        // It ends with the machine, whose output it reads.
        drop(thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if to.send(line.trim_end().to_owned()).is_err() {
                    return;
                }
            }
        }));
        let console = console.display().to_string();
        Ok(Self { _machine: machine, lines, answers, console })
    }

    /// Waits until it has booted.
    pub(crate) fn ready(&mut self) -> Result<()> {
        let (_, code) = self.answer()?;
        ensure!(code == "up", "the guest did not start well: {code}; see {}", self.console);
        Ok(())
    }

    /// Runs a line; gives what it printed.
    pub(crate) fn run(&mut self, line: &str) -> Result<String> {
        ensure!(!line.contains('\n'), "a guest takes one line at a time: {line}");
        writeln!(self.lines, "{line}")?;
        self.lines.flush()?;
        let (said, code) = self.answer()?;
        ensure!(code == "0", "`{line}` failed ({code}): {}", said.trim_end());
        Ok(said)
    }

    /// All up to the guest's own word, and that word.
    fn answer(&mut self) -> Result<(String, String)> {
        let end = Instant::now() + LIMIT;
        let mut said = String::new();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let Ok(line) = self.answers.recv_timeout(left) else {
                bail!("the guest says no more; its console: {}", self.console);
            };
            match line.strip_prefix("guest: ") {
                Some(word) => return Ok((said, word.to_owned())),
                None => said.extend([&line, "\n"]),
            }
        }
    }
}
