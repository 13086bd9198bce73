//! `cargo xtask fuzz`: the parser against any bytes, guided by the branches that it takes.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result};
use clap::Args;

use crate::{
    exec::{self, Stream},
    progress::{self, Clock},
    setup, workspace,
};

/// What makes a compiler tell libFuzzer of branches and comparisons; stable Rust takes it.
/// Memory is watched by guard pages, since sanitizers need another compiler.
const COVERAGE: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cdebug-assertions",
    "-Ccodegen-units=1",
];

/// How long CI searches.
const SECONDS: u32 = 60;

const BINARY: &str = "lb-fuzz-parse";
const TARGET: &str = "x86_64-unknown-linux-gnu";

#[derive(Args)]
pub(crate) struct Options {
    /// How long, in seconds
    #[arg(long, default_value_t = SECONDS)]
    seconds: u32,
    /// Only run what a finding was written to
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self { seconds: SECONDS, replay: None }
    }
}

/// Builds the fuzzer and runs it.
pub(crate) fn run(Options { seconds, replay }: Options) -> Result<()> {
    setup::ensure_cpp()?;
    let binary = build()?;
    match replay {
        Some(file) => {
            let file = fs::canonicalize(&file)
                .with_context(|| format!("cannot find {}", file.display()))?;
            exec::run(Command::new(binary).arg(file))
        }
        None => search(&binary, seconds),
    }
}

/// Compiled in a folder of its own, with a target so that build scripts are spared.
fn build() -> Result<PathBuf> {
    let folder = workspace::target().join("fuzz");
    exec::run(
        workspace::cargo()
            .args(["build", "--release", "--package", "lb-fuzz", "--features", "engine"])
            .args(["--target", TARGET])
            .arg("--target-dir")
            .arg(&folder)
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env("RUSTFLAGS", COVERAGE.join(" ")),
    )?;
    Ok(folder.join(TARGET).join("release").join(BINARY))
}

/// Searches from valid packets and from what earlier runs kept.
fn search(binary: &Path, seconds: u32) -> Result<()> {
    let folder = workspace::target().join("fuzz");
    let (corpus, seeds, findings) =
        (folder.join("corpus"), folder.join("seeds"), folder.join("findings"));
    for folder in [&corpus, &seeds, &findings] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let mut prefix = std::ffi::OsString::from("-artifact_prefix=");
    prefix.push(&findings);
    prefix.push("/");
    let expected = Duration::from_secs(seconds.into());
    let _clock = Clock::start("fuzzing", Some(expected));
    exec::heard(
        Command::new(binary)
            .env("LB_FUZZ_SEEDS", &seeds)
            .arg(format!("-max_total_time={seconds}"))
            .args(["-print_final_stats=1", "-max_len=512", "-timeout=10", "-verbosity=1"])
            .arg(prefix)
            .args([&corpus, &seeds]),
        Stream::Error,
        progress::say,
    )
    .with_context(|| {
        format!(
            "the fuzzer found something: it is in {}, and `cargo xtask fuzz --replay FILE` shows \
             it again",
            findings.display()
        )
    })
}
