//! What all processes of a machine take, and what this one may.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use lb_tests::netns::{self, Netns};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Of 9,000 sessions, this process has both ends, and the proxy has as many.
const DESCRIPTORS: u64 = 20_000;
/// The clock ticks of a second in what the kernel shows to programs (`USER_HZ`).
const TICKS: f64 = 100.0;

/// Lets this process, and those that it starts, open as many files as the sessions need.
pub(super) fn allow_descriptors() -> Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    ensure!(
        maximum.is_none_or(|most| most >= DESCRIPTORS),
        "a process must be able to open {DESCRIPTORS} files: raise the limit by \
         `ulimit -Hn {DESCRIPTORS}`"
    );
    setrlimit(Resource::Nofile, Rlimit { current: Some(DESCRIPTORS), maximum })
        .context("cannot raise the limit of open files")
}

/// The seconds of CPUs that they have taken so far, in user space and in the kernel (proc(5), `stat`).
pub(super) fn cpu(machine: &Netns) -> Result<f64> {
    let ticks = |pid: i32| {
        let stat = read(pid, "stat")?;
        ticks(&stat).with_context(|| format!("process {pid} has a strange `stat`: {stat}"))
    };
    Ok(f64::from(sum(machine, ticks)?) / TICKS)
}

/// Their resident memory, in bytes (proc(5), `status`).
pub(super) fn resident(machine: &Netns) -> Result<f64> {
    let kilobytes = |pid: i32| {
        let status = read(pid, "status")?;
        kilobytes(&status).with_context(|| format!("process {pid} says no `VmRSS`"))
    };
    Ok(f64::from(sum(machine, kilobytes)?) * 1024.0)
}

fn sum(machine: &Netns, of: impl Fn(i32) -> Result<u32>) -> Result<u32> {
    let pids = netns::pids(machine.name())?;
    ensure!(!pids.is_empty(), "nothing runs in {}", machine.name());
    pids.into_iter().map(of).sum()
}

fn read(pid: i32, name: &str) -> Result<String> {
    let file = format!("/proc/{pid}/{name}");
    fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))
}

/// `utime` and `stime`, the fields 14 and 15; the second, a name, may hold anything.
fn ticks(stat: &str) -> Option<u32> {
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    let (user, system) = (fields.next()?.parse::<u32>().ok()?, fields.next()?.parse::<u32>().ok()?);
    Some(user + system)
}

fn kilobytes(status: &str) -> Option<u32> {
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    resident.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_any_name() {
        let stat = "7 (a) 1 2) S 1 7 7 0 -1 4194560 90 0 3 0 250 75 0 0 20 0 3 0 99 1 2";
        assert_eq!(ticks(stat), Some(325));
        assert_eq!(ticks("7 (short) S 1"), None);
    }

    #[test]
    fn memory_is_what_is_resident() {
        let status = "Name:\tlb\nVmHWM:\t   99 kB\nVmRSS:\t    1234 kB\n";
        assert_eq!(kilobytes(status), Some(1234));
        assert_eq!(kilobytes("Name:\tkthreadd\n"), None);
    }
}
