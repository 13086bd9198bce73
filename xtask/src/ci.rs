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
    let start = Instant::now();
    step(start, "format", lint::format)?;
    let needs = Needs { clippy: true, programs: true, machines: true };
    let toolchain = step(start, "setup", || setup::ensure(needs))?;
    step(start, "build", || build::all(&toolchain))?;
    step(start, "clippy", lint::host)?;
    step(start, "clippy on the BPF target", || lint::bpf(&toolchain))?;
    step(start, "docs", lint::docs)?;
    step(start, "tests on the host", || test::host(&[]))?;
    step(start, "fuzzing the parser", || fuzz::run(fuzz::Options::default()))?;
    step(start, "tests in the kernel", || test::kernel(&[]))?;
    step(start, "kernels", || vm::test::boot_and_test(&vm::test::Options::default()))?;
    step(start, "demo", || exec::run(run::demo_command().args(["--for", "10"])))?;
    announce(start, "all is well");
    Ok(())
}

fn step<T>(start: Instant, name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    announce(start, name);
    work().with_context(|| format!("ci stopped at \"{name}\""))
}

fn announce(start: Instant, what: &str) {
    let seconds = start.elapsed().as_secs();
    eprintln!("\n==> {:02}:{:02} {what}", seconds / 60, seconds % 60);
}
