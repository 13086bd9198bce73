//! Ctrl-C and termination: the verb that runs fails at its next step, so that everything it owns is
//! given back, and no process that it started stays.

use std::{
    cell::Cell,
    fs,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, getpid, kill_process, set_child_subreaper};

use crate::workspace;

/// How long processes may take to end by themselves.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often somebody has asked for the end.
static ASKED: AtomicUsize = AtomicUsize::new(0);

/// Hears signals from now on. A second one does not wait for anybody.
///
/// What loses its parent becomes this process's child, and is found in the end.
pub(crate) fn listen() -> Result<()> {
    set_child_subreaper(Some(getpid())).context("cannot adopt processes")?;
    ctrlc::set_handler(|| {
        let signal = match ASKED.fetch_add(1, Ordering::Relaxed) {
            0 => Signal::TERM,
            _ => Signal::KILL,
        };
        // Whoever waits for one of them goes on, and finds that it is over.
        let _: bool = signal_all(signal);
    })
    .context("cannot listen for signals")
}

/// Before this process becomes another program: that one buries nobody.
pub(crate) fn adopt_no_more() -> Result<()> {
    set_child_subreaper(None).context("cannot stop adopting processes")
}

/// Whether it is over.
pub(crate) fn happened() -> bool {
    ASKED.load(Ordering::Relaxed) > 0
}

thread_local! {
    /// Whether this thread gives back what it owns.
    static TIDYING: Cell<bool> = const { Cell::new(false) };
}

/// Gives something back, for which commands have to run although it is over.
pub(crate) fn tidying<T>(work: impl FnOnce() -> T) -> T {
    let before = TIDYING.replace(true);
    let outcome = work();
    TIDYING.set(before);
    outcome
}

/// Fails if it is over.
pub(crate) fn check() -> Result<()> {
    if happened() && !TIDYING.get() {
        bail!("interrupted");
    }
    Ok(())
}

/// Sees to it that nothing stays: processes that are slow to end, and what tests that were ended
/// could not remove.
pub(crate) fn tidy() {
    let start = Instant::now();
    while signal_all(if start.elapsed() > PATIENCE { Signal::KILL } else { Signal::TERM }) {
        thread::sleep(Duration::from_millis(100));
    }
    let lab = workspace::binary("lb-lab");
    if workspace::is_root() && lab.exists() {
        match Command::new(lab).arg("clean").status() {
            Ok(status) if status.success() => {}
            outcome => eprintln!("xtask: `lb-lab clean` failed: {outcome:?}"),
        }
    }
}

/// Signals everything that this process has started, and what that has. Gives whether there was
/// anything.
fn signal_all(signal: Signal) -> bool {
    let descendants = descendants(getpid().as_raw_nonzero().get(), &processes());
    for pid in &descendants {
        if let Some(pid) = Pid::from_raw(*pid) {
            // It may have ended by itself.
            let _gone = kill_process(pid, signal);
        }
    }
    !descendants.is_empty()
}

/// All processes that are not waiting to be buried, with their parents.
fn processes() -> Vec<(i32, i32)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let stats = entries.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    stats.filter_map(|stat| parent(&stat)).collect()
}

/// The number of a process and of its parent, from its `stat` (proc(5)); the name may hold anything.
fn parent(stat: &str) -> Option<(i32, i32)> {
    let pid = stat.split(' ').next()?.parse().ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?;
    (!matches!(state, "Z" | "X")).then_some((pid, fields.next()?.parse().ok()?))
}

/// The children of a process and theirs.
fn descendants(of: i32, processes: &[(i32, i32)]) -> Vec<i32> {
    let mut found = vec![of];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(processes.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    let _itself = found.remove(0);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_a_parent_whatever_its_name_is() {
        assert_eq!(parent("17 (a) b) S 4 17 17 0 -1"), Some((17, 4)));
        assert_eq!(parent("17 (sh) Z 4 17 17 0 -1"), None);
        assert_eq!(parent("nonsense"), None);
    }

    #[test]
    fn grandchildren_are_found_and_others_are_not() {
        let processes = [(2, 1), (5, 3), (3, 2), (4, 2), (9, 1), (10, 9)];
        assert_eq!(descendants(2, &processes), [3, 4, 5]);
        assert!(descendants(10, &processes).is_empty());
    }
}
