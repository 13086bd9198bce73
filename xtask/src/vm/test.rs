//! `cargo xtask vm test`.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use super::{
    archive::{Archive, Kernel, SERIES},
    budget,
    guest::{self, End, Engine, Guest},
    image,
    programs::Programs,
};
use crate::{
    build, interrupt,
    libtest::{Line, Tests},
    progress::{self, Progress},
    setup::{self, Needs},
    workspace,
};

/// How long a guest may take: several times what an emulated one takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(900);

#[derive(Args, Default)]
pub(crate) struct Options {
    /// Only kernels of this series, such as `6.1`; may be repeated
    #[arg(long, value_name = "SERIES", value_parser = SERIES)]
    kernel: Vec<String>,
    /// Put what the verifiers say into tests/budget.toml instead of holding them to it
    #[arg(long)]
    write_budget: bool,
}

/// A kernel with all that it runs.
struct Prepared {
    kernel: Kernel,
    initramfs: PathBuf,
    folder: PathBuf,
}

/// Fetches, builds, boots.
pub(crate) fn run(options: &Options) -> Result<()> {
    let toolchain = setup::ensure(Needs { programs: true, machines: true, ..Needs::default() })?;
    build::ebpf(&toolchain)?;
    boot_and_test(options)
}

/// The same where everything is set up, and the eBPF object built.
pub(crate) fn boot_and_test(options: &Options) -> Result<()> {
    let series: Vec<&str> = match options.kernel.as_slice() {
        [] => SERIES.to_vec(),
        chosen => chosen.iter().map(String::as_str).collect(),
    };
    let kernels = kernels(&series)?;
    let programs = Programs::build()?;
    let prepared: Vec<Prepared> =
        kernels.into_iter().map(|kernel| prepare(kernel, &programs)).collect::<Result<_>>()?;
    let newest = prepared.last().context("no kernel was asked for")?;
    let engine = guest::engine(&newest.kernel.image, &newest.initramfs, &newest.folder)?;
    eprintln!("xtask: {} kernels, {engine:?}", prepared.len());
    let word = if options.write_budget { "write" } else { "test" };
    let results = boot_all(&prepared, engine, word);
    interrupt::check()?;
    let said: Vec<String> = results.iter().flat_map(|result| result.budget.clone()).collect();
    if options.write_budget {
        budget::write(said.iter().map(String::as_str))?;
    }
    conclude(&results)
}

/// The newest of each series; fetching them takes a minute the first time.
fn kernels(series: &[&str]) -> Result<Vec<Kernel>> {
    progress::say("xtask: looking for kernels in Debian's archive");
    let bar = Progress::new("kernels", 0);
    let total = series.len() as u64;
    let archive = Archive::open()?;
    let fetch = |(done, series): (u64, &&str)| {
        bar.at(done, total, series);
        archive.kernel(series)
    };
    (0..).zip(series).map(fetch).collect()
}

fn prepare(kernel: Kernel, programs: &Programs) -> Result<Prepared> {
    let folder = workspace::target().join("vm").join(&kernel.series);
    fs::create_dir_all(&folder)?;
    let initramfs = image::make(&kernel, programs, &folder)?;
    Ok(Prepared { kernel, initramfs, folder })
}

/// What a kernel did.
struct Outcome {
    series: String,
    /// Why it failed, if it did.
    failure: Option<String>,
    budget: Vec<String>,
}

/// All kernels, as many at once as there are processors.
fn boot_all(prepared: &[Prepared], engine: Engine, word: &str) -> Vec<Outcome> {
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(Vec::new());
    let work = || {
        while let Some(guest) = prepared.get(next.fetch_add(1, Ordering::Relaxed))
            && !interrupt::happened()
        {
            let outcome = boot(guest, engine, word);
            outcomes.lock().unwrap_or_else(PoisonError::into_inner).push(outcome);
        }
    };
    let workers = thread::available_parallelism().map_or(1, usize::from).min(prepared.len());
    thread::scope(|scope| {
        for _ in 0..workers {
            drop(scope.spawn(work));
        }
    });
    outcomes.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn boot(Prepared { kernel, initramfs, folder }: &Prepared, engine: Engine, word: &str) -> Outcome {
    let (series, start) = (&kernel.series, Instant::now());
    let log = folder.join("console.log");
    let image = &kernel.image;
    let guest = Guest { engine, image, initramfs, word, log: log.clone(), limit: LIMIT };
    let mut report = Report::default();
    progress::say(&format!("xtask: {series}: Linux {} boots", kernel.release));
    let bar = Progress::new(&format!("Linux {series}"), 0);
    let end = guest.run(|line| {
        if let Some(news) = report.hear(line) {
            let seconds = start.elapsed().as_secs();
            progress::say(&format!("xtask: {series}: {seconds:>3} s: {news}"));
        }
        let Tests { done, announced, current } = &report.tests;
        bar.at(*done, *announced, current);
    });
    let failure = match end {
        Err(error) => Some(format!("{error:#}")),
        Ok(End::Late) => Some(format!("it took longer than {} s", LIMIT.as_secs())),
        Ok(End::Off) => report.failure(),
    };
    let failure = failure.map(|failure| format!("{failure}; all that it said: {}", log.display()));
    Outcome { series: series.clone(), failure, budget: report.budget }
}

/// What a guest has said so far.
#[derive(Default)]
struct Report {
    tests: Tests,
    failed: Vec<String>,
    parts: Vec<(String, bool)>,
    budget: Vec<String>,
}

impl Report {
    /// Takes note of a line; gives what is worth telling at once.
    fn hear(&mut self, line: &str) -> Option<String> {
        let _: Line = self.tests.hear(line);
        // What a test says stands between its name and its end.
        if line.ends_with("FAILED") {
            self.failed.push(self.tests.current.clone());
        }
        // Another test's name may stand before it on the line.
        if let Some((_, figures)) = line.split_once("budget: ") {
            let line = format!("budget: {figures}");
            self.budget.push(line.clone());
            return Some(line);
        }
        let part = line.strip_prefix("vm: ")?;
        if let Some((name, code)) = part.split_once(' ')
            && name != "up"
        {
            self.parts.push((name.to_owned(), code == "0"));
            return Some(format!(
                "{name}: {}, {} tests have ended",
                verdict(code),
                self.tests.done
            ));
        }
        None
    }

    /// What is wrong, once it is over: both parts must have come to a good end.
    fn failure(&self) -> Option<String> {
        if !self.failed.is_empty() {
            return Some(format!("failed: {}", self.failed.join(", ")));
        }
        let good = |part: &str| self.parts.iter().any(|(name, good)| name == part && *good);
        let bad: Vec<&str> = ["packet", "node"].into_iter().filter(|part| !good(part)).collect();
        (!bad.is_empty()).then(|| format!("no good end of: {}", bad.join(", ")))
    }
}

fn verdict(code: &str) -> &'static str {
    if code == "0" { "good" } else { "failed" }
}

fn conclude(outcomes: &[Outcome]) -> Result<()> {
    let failures: Vec<String> = outcomes
        .iter()
        .filter_map(|outcome| Some(format!("{}: {}", outcome.series, outcome.failure.as_ref()?)))
        .collect();
    if failures.is_empty() {
        let series: Vec<&str> = outcomes.iter().map(|outcome| outcome.series.as_str()).collect();
        eprintln!("xtask: all is well on {}", series.join(", "));
        return Ok(());
    }
    bail!("{}", failures.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(console: &str) -> Report {
        let mut report = Report::default();
        console.lines().for_each(|line| drop(report.hear(line)));
        report
    }

    #[test]
    fn both_parts_must_come_to_a_good_end() {
        let good = "vm: up 6.1\ntest a ... ok\ntest result: ok. 1 passed; 0 failed\nvm: packet 0\n\
                    test b ... \nok\ntest result: ok. 1 passed; 0 failed\nvm: node 0\n";
        assert_eq!((report(good).failure(), report(good).tests.done), (None, 2));
        let crashed = report("vm: packet 0\n[  1.0] Kernel panic\n").failure();
        assert_eq!(crashed.as_deref(), Some("no good end of: node"));
        let failed = report("test x::y ... so\nFAILED\nvm: packet 101\nvm: node 0\n").failure();
        assert_eq!(failed.as_deref(), Some("failed: x::y"));
        let told = report("test budget ... budget: 6.1 lb stack = 4\n").budget;
        assert_eq!(told, ["budget: 6.1 lb stack = 4"]);
    }
}
