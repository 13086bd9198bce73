//! What the guests run: linked statically, so that an image needs no libraries for it.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{exec, workspace};

/// The programs under test.
pub(crate) struct Programs {
    /// The `lb` binary.
    pub(crate) lb: PathBuf,
    /// The packet tables.
    pub(crate) packet: PathBuf,
    /// The tests of a whole node.
    pub(crate) vm: PathBuf,
}

impl Programs {
    /// Builds them, around the eBPF object that is there.
    pub(crate) fn build() -> Result<Self> {
        let host = host()?;
        exec::run(cargo("build", &host).args(["-p", "lb-userspace", "--bin", "lb"]))?;
        let mut tests = cargo("test", &host);
        let _ = tests.args(["-p", "lb-tests", "--test", "packet", "--test", "vm", "--no-run"]);
        exec::run(&mut tests)?;
        let built = exec::output(tests.args(["-q", "--message-format", "json"]))?;
        Ok(Self {
            lb: workspace::target().join(&host).join("release/lb"),
            packet: executable(&built, "packet")?,
            vm: executable(&built, "vm")?,
        })
    }
}

/// Builds `lb` and `lb-bench`, around the eBPF object that is there; gives the folder that holds them.
pub(crate) fn build_bench() -> Result<PathBuf> {
    let host = host()?;
    let mut build = cargo("build", &host);
    exec::run(build.args([
        "-p",
        "lb-userspace",
        "--bin",
        "lb",
        "-p",
        "lb-tests",
        "--bin",
        "lb-bench",
    ]))?;
    Ok(workspace::target().join(&host).join("release"))
}

/// cargo, for programs that need no libraries.
fn cargo(verb: &str, host: &str) -> Command {
    let flags = format!("CARGO_TARGET_{}_RUSTFLAGS", host.replace('-', "_").to_ascii_uppercase());
    let mut cargo = workspace::cargo();
    let _ = cargo
        .args([verb, "--release", "--target", host])
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env(flags, "-C target-feature=+crt-static")
        .env("CARGO_PROFILE_RELEASE_STRIP", "debuginfo");
    cargo
}

/// The triple that cargo builds for.
fn host() -> Result<String> {
    let version = exec::output(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("`rustc -vV` names no host")?.to_owned())
}

/// The path of a test among cargo's messages.
fn executable(messages: &str, test: &str) -> Result<PathBuf> {
    let start = format!("{test}-");
    let paths = messages.lines().filter_map(|line| {
        let (_, rest) = line.split_once("\"executable\":\"")?;
        Some(Path::new(rest.split_once('"')?.0))
    });
    let is_it = |path: &&Path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with(&start))
    };
    let mut found = paths.filter(is_it);
    Ok(found.next().with_context(|| format!("cargo built no test `{test}`"))?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executables_are_found_among_messages() {
        let messages = "{\"reason\":\"compiler-artifact\",\"executable\":null}\n\
            {\"reason\":\"compiler-artifact\",\"executable\":\"/t/deps/packet-0a1b\",\"fresh\":true}\n";
        assert_eq!(executable(messages, "packet").unwrap(), Path::new("/t/deps/packet-0a1b"));
        assert!(executable(messages, "vm").is_err());
    }
}
