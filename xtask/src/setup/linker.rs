//! `bpf-linker`: turns the compiler's LLVM bitcode into one BPF object.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::version::{self, Release};
use crate::{
    exec,
    progress::{self, Clock},
    workspace,
};

/// The line of releases that the build's flags were written for.
const LINE: Release = (0, 13);

/// The LLVMs that this line can be built against.
const LLVMS: &[u32] = &[21, 22, 23];

/// A linker that reads the bitcode of LLVM `emitted`: one that xtask built, or one on `PATH`.
pub(crate) fn find(emitted: u32) -> Option<PathBuf> {
    let built = LLVMS.iter().map(|llvm| folder(*llvm).join("bin/bpf-linker"));
    built
        .chain(workspace::find_program("bpf-linker"))
        .find(|candidate| suits(candidate, emitted).unwrap_or(false))
}

/// The LLVM to build against, if its library is installed.
pub(crate) fn installed_llvm(emitted: u32) -> Option<u32> {
    choose_llvm(emitted, |llvm| prefix(llvm).join("lib/libLLVM.so").exists())
}

/// The oldest LLVM that reads what LLVM `emitted` wrote (newer ones read older bitcode, never the
/// other way round), that the linker supports, and that is `available`.
pub(crate) fn choose_llvm(emitted: u32, available: impl Fn(u32) -> bool) -> Option<u32> {
    LLVMS.iter().copied().find(|llvm| *llvm >= emitted && available(*llvm))
}

/// Builds the linker from crates.io against Debian's LLVM.
pub(crate) fn build(emitted: u32) -> Result<PathBuf> {
    let llvm = installed_llvm(emitted).with_context(|| {
        format!("bpf-linker must be built against LLVM {emitted} or newer, and none is installed")
    })?;
    let folder = folder(llvm);
    progress::say(&format!(
        "xtask: building bpf-linker with LLVM {llvm} into {}",
        folder.display()
    ));
    let _clock = Clock::start("building bpf-linker", None);
    exec::run(
        Command::new("cargo")
            .env("LLVM_PREFIX", prefix(llvm))
            .args(["install", "bpf-linker", "--quiet", "--locked", "--force"])
            .args(["--version", &format!("~{}.{}", LINE.0, LINE.1)])
            .args(["--no-default-features", "--features", &format!("llvm-{llvm}")])
            .arg("--root")
            .arg(&folder),
    )?;
    let linker = folder.join("bin/bpf-linker");
    let suits = suits(&linker, emitted)?;
    anyhow::ensure!(suits, "{} was built, but does not read LLVM {emitted}", linker.display());
    Ok(linker)
}

/// What to do where there is no Debian package to build against.
pub(crate) fn advice(emitted: u32) -> String {
    format!(
        "put bpf-linker {}.{} or newer, with LLVM {emitted} or newer, on PATH \
         (https://github.com/aya-rs/bpf-linker/releases)",
        LINE.0, LINE.1
    )
}

/// Whether a linker is new enough, and its LLVM too.
fn suits(linker: &Path, emitted: u32) -> Result<bool> {
    let announced = exec::output(Command::new(linker).arg("--version"))?;
    // LLVM answers this itself and exits before anything is read or written.
    let llvm = exec::output(
        Command::new(linker)
            .args(["--llvm-args=--version", "-o"])
            .arg(env::temp_dir().join("lb-never-written"))
            .arg("/dev/null"),
    )?;
    Ok(version::linker(&announced) >= Some(LINE) && version::llvm(&llvm) >= Some(emitted))
}

/// Where Debian's `llvm-NN-dev` is.
fn prefix(llvm: u32) -> PathBuf {
    PathBuf::from(format!("/usr/lib/llvm-{llvm}"))
}

/// Where xtask's own linker goes: outside the workspace, so that neither `cargo clean` nor a
/// second checkout costs another build.
fn folder(llvm: u32) -> PathBuf {
    let cache = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))
        .unwrap_or_else(workspace::target);
    cache.join(format!("lb/bpf-linker-{}.{}-llvm-{llvm}", LINE.0, LINE.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_llvm_that_reads_the_bitcode_is_chosen() {
        assert_eq!(choose_llvm(22, |_| true), Some(22));
        assert_eq!(choose_llvm(22, |llvm| llvm != 22), Some(23));
        assert_eq!(choose_llvm(19, |_| true), Some(21));
    }

    #[test]
    fn an_older_llvm_is_never_chosen() {
        assert_eq!(choose_llvm(22, |llvm| llvm == 21), None);
        assert_eq!(choose_llvm(24, |_| true), None);
    }
}
