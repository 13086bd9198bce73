//! `cargo xtask build`: the eBPF objects, then the binaries that embed the node's.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result};

use crate::{
    exec,
    setup::{self, Needs, Toolchain},
    workspace,
};

const TARGET: &str = "bpfel-unknown-none";

const RUSTFLAGS: &[&str] = &[
    // BTF is made from debug information; maps are defined by it.
    "-C debuginfo=2",
    "-C link-arg=--btf",
    // 32-bit arithmetic and jumps: fewer instructions, known to kernels since 5.1.
    "-C target-cpu=v3",
    // The kernel's CPUs read unaligned words of a packet; without this, each is read bytewise.
    "-C link-arg=--cpu-features=+allows-misaligned-mem-access",
];

/// Sets up if need be, and builds everything.
pub(crate) fn run() -> Result<()> {
    all(&setup::ensure(Needs::default())?)
}

/// Builds everything.
pub(crate) fn all(toolchain: &Toolchain) -> Result<()> {
    ebpf(toolchain)?;
    binaries()
}

/// Builds the node's eBPF object, and that of the benchmark's driver.
pub(crate) fn ebpf(toolchain: &Toolchain) -> Result<()> {
    let build = toolchain.compiler.cargo("build");
    exec::run(for_bpf(build, toolchain).arg("--bins"))?;
    let built = workspace::target().join("bpf").join(TARGET).join("release");
    place(&built.join("lb-ebpf"), &workspace::object())?;
    place(&built.join("lb-driver"), &workspace::driver())
}

/// What every compilation of the eBPF crate has in common.
pub(crate) fn for_bpf(mut cargo: Command, toolchain: &Toolchain) -> Command {
    let _ = cargo
        .args(["--release", "--package", "lb-ebpf", "--target", TARGET])
        .args(["--target-dir", "target/bpf"])
        // These would win over the flags below.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("CARGO_TARGET_BPFEL_UNKNOWN_NONE_RUSTFLAGS", RUSTFLAGS.join(" "))
        .env("CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER", &toolchain.linker);
    cargo
}

/// Builds the binaries, around the object that is there.
pub(crate) fn binaries() -> Result<()> {
    exec::run(workspace::cargo().args([
        "build",
        "--release",
        "-p",
        "lb-userspace",
        "-p",
        "lb-tests",
    ]))
}

/// Copies the object where the daemon's build looks for it, unless it is there already: a new
/// time stamp alone would compile the daemon again.
fn place(built: &Path, object: &Path) -> Result<()> {
    let new = fs::read(built).with_context(|| format!("cannot read {}", built.display()))?;
    if fs::read(object).is_ok_and(|old| old == new) {
        return Ok(());
    }
    fs::write(object, new).with_context(|| format!("cannot write {}", object.display()))
}

#[cfg(test)]
mod tests {
    use std::env;

    use super::*;

    #[test]
    fn an_unchanged_object_keeps_its_time_stamp() {
        let folder = env::temp_dir().join(format!("lb-xtask-place-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (built, object) = (folder.join("built"), folder.join("object"));
        fs::write(&built, "1").unwrap();
        place(&built, &object).unwrap();
        let first = object.metadata().unwrap().modified().unwrap();
        place(&built, &object).unwrap();
        assert_eq!(object.metadata().unwrap().modified().unwrap(), first);
        fs::write(&built, "2").unwrap();
        place(&built, &object).unwrap();
        assert_eq!(fs::read(&object).unwrap(), b"2");
        fs::remove_dir_all(&folder).unwrap();
    }
}
