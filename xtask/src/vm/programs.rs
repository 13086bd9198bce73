//! What the guests run.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::{build, exec, workspace};

/// The programs under test.
pub(crate) struct Programs {
    /// The `lb` binary, linked statically.
    pub(crate) lb: PathBuf,
    /// The packet tables.
    pub(crate) packet: PathBuf,
    /// The tests of a whole node.
    pub(crate) vm: PathBuf,
}

impl Programs {
    /// Builds them, around the eBPF object that is there.
    pub(crate) fn build() -> Result<Self> {
        let folder = statically(&[("lb-userspace", "lb")])?;
        let tests = || {
            let mut cargo = workspace::cargo();
            let _ = cargo.args(["test", "--release", "--package", "lb-tests", "--no-run"]);
            let _ = cargo.args(["--test", "packet", "--test", "vm"]);
            cargo
        };
        exec::run(&mut tests())?;
        let built = exec::output(tests().args(["-q", "--message-format", "json"]))?;
        let (packet, vm) = (executable(&built, "packet")?, executable(&built, "vm")?);
        Ok(Self { lb: folder.join("lb"), packet, vm })
    }
}

/// Builds `lb` and `lb-bench`, around the eBPF object that is there; gives the folder that holds them.
pub(crate) fn build_bench() -> Result<PathBuf> {
    statically(&[("lb-userspace", "lb"), ("lb-tests", "lb-bench")])
}

/// Links binaries of some packages statically, of what the host's are made of, and puts those back
/// into their places. Gives the folder of the copies.
fn statically(binaries: &[(&str, &str)]) -> Result<PathBuf> {
    let folder = workspace::target().join("vm");
    fs::create_dir_all(&folder)?;
    for (package, binary) in binaries {
        let mut cargo = workspace::cargo();
        let _ = cargo.args(["rustc", "--release", "--package", package, "--bin", binary]).args([
            "--",
            "-C",
            "target-feature=+crt-static",
        ]);
        exec::run(&mut cargo)?;
        let copy = folder.join(binary);
        let _ = fs::copy(workspace::binary(binary), &copy)
            .with_context(|| format!("cannot write {}", copy.display()))?;
    }
    build::binaries()?;
    Ok(folder)
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
