//! `cargo xtask lint`: format, clippy on the host and on the BPF target, and docs.

use anyhow::Result;

use crate::{
    build, exec,
    setup::{self, Needs, Toolchain},
    workspace,
};

/// Sets up if need be, and checks all.
pub(crate) fn run() -> Result<()> {
    step(1, "format");
    format()?;
    step(2, "setup and the eBPF object");
    let toolchain = setup::ensure(Needs { clippy: true, ..Needs::default() })?;
    // The daemon embeds the object, so that not even its lints run without one.
    build::ebpf(&toolchain)?;
    step(3, "clippy");
    host()?;
    step(4, "clippy on the BPF target");
    bpf(&toolchain)?;
    step(5, "docs");
    docs()
}

fn step(number: usize, what: &str) {
    eprintln!("==> {number}/5 {what}");
}

/// Whether the sources are formatted.
pub(crate) fn format() -> Result<()> {
    exec::run(workspace::cargo().args(["fmt", "--all", "--check"]))
}

/// Clippy for everything that runs on the host.
pub(crate) fn host() -> Result<()> {
    // The profile is the build's, so that build scripts and macros are compiled once.
    exec::run(workspace::cargo().args([
        "clippy",
        "--release",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))
}

/// Clippy for the packet path as the kernel gets it: the programs themselves exist on the BPF
/// target only.
pub(crate) fn bpf(toolchain: &Toolchain) -> Result<()> {
    let clippy = toolchain.compiler.cargo("clippy");
    exec::run(build::for_bpf(clippy, toolchain).args(["--", "-D", "warnings"]))
}

/// Docs without a dead link, those of private items too.
pub(crate) fn docs() -> Result<()> {
    exec::run(
        workspace::cargo()
            .args(["doc", "--release", "--workspace", "--no-deps", "--document-private-items"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
}
