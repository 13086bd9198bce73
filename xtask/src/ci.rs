//! `cargo xtask ci`: everything that must hold before a change is merged, cheapest first.

use std::time::Instant;

use anyhow::{Context as _, Result};

use crate::{
    build, exec, fuzz, lint, run,
    setup::{self, Needs},
    test, vm,
};

/// Runs every step, up to the first that fails.
pub(crate) fn run() -> Result<()> {
    test::require_root()?;
    let mut steps = Steps { start: Instant::now(), done: 0 };
    steps.next("format", lint::format)?;
    let needs = Needs { clippy: true, programs: true, machines: true };
    let toolchain = steps.next("setup", || setup::ensure(needs))?;
    steps.next("build", || build::all(&toolchain))?;
    steps.next("clippy", lint::host)?;
    steps.next("clippy on the BPF target", || lint::bpf(&toolchain))?;
    steps.next("docs", lint::docs)?;
    steps.next("tests on the host", || test::host(&[]))?;
    steps.next("fuzzing", || fuzz::run(fuzz::Options::default()))?;
    steps.next("tests in the kernel", || test::kernel(&[]))?;
    steps.next("tests on other kernels", || {
        vm::test::boot_and_test(&vm::test::Options::default())
    })?;
    steps.next("demo", || exec::run(run::demo_command().args(["--for", "10"])))?;
    steps.announce("all is well");
    Ok(())
}

/// How many there are.
const STEPS: usize = 11;

/// The steps that were begun.
struct Steps {
    start: Instant,
    done: usize,
}

impl Steps {
    fn next<T>(&mut self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.done += 1;
        self.announce(name);
        work().with_context(|| format!("ci stopped at \"{name}\""))
    }

    fn announce(&self, what: &str) {
        let seconds = self.start.elapsed().as_secs();
        let (minutes, seconds, done) = (seconds / 60, seconds % 60, self.done);
        eprintln!("\n==> {minutes:02}:{seconds:02} {done}/{STEPS} {what}");
    }
}
