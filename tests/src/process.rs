//! Child processes that do not outlive the lab.

use std::{
    fs,
    os::unix::process::CommandExt,
    process::{Child, Command, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    process::{
        Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group,
        set_parent_process_death_signal, waitid,
    },
};

use crate::{Error, run::describe};

/// How long a process may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);

/// A child process in a process group of its own. It is ended on drop, and by the kernel if the
/// thread that started it ends: a thread that starts one lives as long as it is needed.
#[derive(Debug)]
pub struct Process {
    child: Child,
    pid: Pid,
}

impl Process {
    /// Starts a command.
    pub fn start(command: &mut Command) -> Result<Self, Error> {
        let _: &mut Command = command.process_group(0);
        // SAFETY: between fork and exec the closure makes one system call and allocates nothing.
        let _: &mut Command = unsafe {
            command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::TERM))?))
        };
        let child = command
            .spawn()
            .map_err(|source| Error::Start { command: describe(command), source })?;
        let pid = Pid::from_child(&child);
        Ok(Self { child, pid })
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// SIGTERM, and SIGKILL for what is left of its group after five seconds.
    pub fn end(&mut self) {
        if self.ended().is_some() {
            return;
        }
        drop_result(kill_process(self.pid, Signal::TERM));
        let deadline = Instant::now() + GRACE;
        while !self.is_dead() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        self.kill();
    }

    /// SIGKILL to its group.
    pub fn kill(&mut self) {
        if self.ended().is_none() {
            self.kill_group();
        }
    }

    /// The group's id stays taken while the child is not waited for, so that nobody else is hit.
    fn kill_group(&mut self) {
        drop_result(kill_process_group(self.pid, Signal::KILL));
        if let Err(error) = self.child.wait() {
            eprintln!("process {}: {error}", self.child.id());
        }
    }

    /// Whether it ended; it is not waited for.
    fn is_dead(&self) -> bool {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        matches!(waitid(WaitId::Pid(self.pid), look), Ok(Some(_)) | Err(_))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// Ends processes that are not children of ours, as a crashed run leaves them.
pub fn end_all(pids: &[i32]) {
    let own = rustix::process::getpid();
    let pids: Vec<Pid> =
        pids.iter().filter_map(|pid| Pid::from_raw(*pid)).filter(|pid| *pid != own).collect();
    for pid in &pids {
        drop_result(kill_process(*pid, Signal::TERM));
    }
    let deadline = Instant::now() + GRACE;
    while pids.iter().any(|pid| is_alive(*pid)) && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(5));
    }
    for pid in &pids {
        drop_result(kill_process(*pid, Signal::KILL));
    }
}

/// Whether a process runs: one that ended has no namespaces, even if nobody has waited for it.
fn is_alive(pid: Pid) -> bool {
    fs::read_link(format!("/proc/{}/ns/net", pid.as_raw_nonzero())).is_ok()
}

/// A process that is gone already is what was wanted.
fn drop_result(result: Result<(), Errno>) {
    if let Err(error) = result
        && error != Errno::SRCH
    {
        eprintln!("a signal was refused: {error}");
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader},
        process::Stdio,
    };

    use super::*;
    use crate::run::{command, eventually};

    #[test]
    fn a_process_that_ignores_sigterm_ends_with_its_group() {
        let mut shell = command("sh");
        let script = "trap '' TERM; sleep 1000 & echo $!; wait";
        let _: &mut Command = shell.args(["-c", script]).stdout(Stdio::piped());
        let mut process = Process::start(&mut shell).unwrap();
        let mut line = String::new();
        let stdout = process.child.stdout.take().unwrap();
        let _: usize = BufReader::new(stdout).read_line(&mut line).unwrap();
        let grandchild = Pid::from_raw(line.trim().parse().unwrap()).unwrap();
        assert!(process.ended().is_none() && is_alive(grandchild));
        process.kill();
        assert!(process.ended().is_some());
        eventually(Duration::from_secs(5), "the grandchild ends", || {
            if is_alive(grandchild) { Err("it lives".into()) } else { Ok(()) }
        })
        .unwrap();
    }

    #[test]
    fn dropping_ends_it() {
        let process = Process::start(command("sleep").arg("1000")).unwrap();
        let pid = process.pid;
        drop(process);
        assert!(!is_alive(pid));
    }
}
