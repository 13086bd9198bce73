//! `cargo xtask fuzz`: what reads bytes from the wire against any bytes, guided by the branches that it
//! takes.

use std::{fs, path::PathBuf, process::Command, time::Duration};

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};

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

const TRIPLE: &str = "x86_64-unknown-linux-gnu";

/// What is fuzzed: a binary each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Target {
    /// The parser of the packet path
    Parse,
    /// The reader of VRRP messages
    Vrrp,
    /// The reader of what agents on backends say
    Agent,
}

impl Target {
    const fn name(self) -> &'static str {
        match self {
            Self::Parse => "parse",
            Self::Vrrp => "vrrp",
            Self::Agent => "agent",
        }
    }

    /// How long CI searches: the two small ones have shown all their branches after a second.
    const fn seconds(self) -> u32 {
        match self {
            Self::Parse => 60,
            Self::Vrrp | Self::Agent => 10,
        }
    }

    fn binary(self) -> PathBuf {
        folder().join(TRIPLE).join("release").join(format!("lb-fuzz-{}", self.name()))
    }
}

#[derive(Args, Default)]
pub(crate) struct Options {
    /// Only this one
    #[arg(long)]
    target: Option<Target>,
    /// How long each, in seconds [default: 60 for parse, 10 for the others]
    #[arg(long)]
    seconds: Option<u32>,
    /// Only run what a finding was written to
    #[arg(long, value_name = "FILE", requires = "target")]
    replay: Option<PathBuf>,
}

/// Builds the fuzzers and runs them.
pub(crate) fn run(Options { target, seconds, replay }: Options) -> Result<()> {
    setup::ensure_cpp()?;
    build()?;
    let targets = target.map_or(Target::value_variants().to_vec(), |target| vec![target]);
    for target in targets {
        match &replay {
            Some(file) => {
                let file = fs::canonicalize(file)
                    .with_context(|| format!("cannot find {}", file.display()))?;
                exec::run(Command::new(target.binary()).arg(file))?;
            }
            None => search(target, seconds.unwrap_or(target.seconds()))?,
        }
    }
    Ok(())
}

fn folder() -> PathBuf {
    workspace::target().join("fuzz")
}

/// Compiled in a folder of its own, with a target so that build scripts are spared.
fn build() -> Result<()> {
    exec::run(
        workspace::cargo()
            .args(["build", "--release", "--package", "lb-fuzz", "--features", "engine"])
            .args(["--target", TRIPLE])
            .arg("--target-dir")
            .arg(folder())
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env("RUSTFLAGS", COVERAGE.join(" ")),
    )
}

/// Searches from valid input and from what earlier runs kept.
fn search(target: Target, seconds: u32) -> Result<()> {
    let name = target.name();
    let [corpus, seeds, findings] =
        ["corpus", "seeds", "findings"].map(|it| folder().join(it).join(name));
    for folder in [&corpus, &seeds, &findings] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let mut prefix = std::ffi::OsString::from("-artifact_prefix=");
    prefix.push(&findings);
    prefix.push("/");
    let expected = Duration::from_secs(seconds.into());
    let _clock = Clock::start(&format!("fuzzing {name}"), Some(expected));
    exec::heard(
        Command::new(target.binary())
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
            "the fuzzer found something: it is in {}, and `cargo xtask fuzz --target {name} \
             --replay FILE` shows it again",
            findings.display()
        )
    })
}
