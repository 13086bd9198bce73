//! A guest that runs lines of shell and answers: its console goes to a file, the lines come by its
//! second serial port (`shell.sh` is its first process).

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

use super::guest::Machine;
use crate::exec;

/// The first process of such a guest.
pub(crate) const INIT: &str = include_str!("shell.sh");
/// How long a line, or the boot, may take.
const LIMIT: Duration = Duration::from_secs(300);
/// Of the scheduler's promise to a guest's processor, in ns: shorter than what its receive queue takes.
const PERIOD: u32 = 4_000_000;

/// A guest that waits for lines. It ends when this is dropped.
pub(crate) struct Shell {
    machine: Machine,
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
        Ok(Self { machine, lines, answers, console })
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

    /// Gives its processor a share of one of the host's from now on, no more and no less
    /// (`SCHED_DEADLINE`), in thousandths. There is no way back: Linux 6.18 does not give back the
    /// share of a thread that sleeps when its policy changes, but that of one that ends.
    pub(crate) fn share(&self, share: u32) -> Result<()> {
        let runtime = (PERIOD / 1000 * share).to_string();
        let period = PERIOD.to_string();
        let mut chrt = Command::new("chrt");
        let _ = chrt
            .args(["--deadline", "--sched-runtime", &runtime])
            .args(["--sched-deadline", &period, "--sched-period", &period])
            .args(["--pid", "0", &self.processor()?.to_string()]);
        exec::output(&mut chrt)
            .map(drop)
            .context("the host's scheduler has no share left: other SCHED_DEADLINE threads hold it")
    }

    /// The thread that is its processor.
    fn processor(&self) -> Result<u32> {
        let threads = format!("/proc/{}/task", self.machine.0.id());
        for thread in fs::read_dir(&threads)? {
            let thread = thread?.path();
            let name = fs::read_to_string(thread.join("comm")).unwrap_or_default();
            let id = thread.file_name().and_then(|id| id.to_str()?.parse().ok());
            if let (true, Some(id)) = (name.starts_with("CPU 0/"), id) {
                return Ok(id);
            }
        }
        bail!("QEMU has no thread \"CPU 0/…\" in {threads}")
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
