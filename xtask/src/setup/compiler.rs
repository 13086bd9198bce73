//! A compiler for `bpfel-unknown-none`. No toolchain ships `core` for it ready to use, so there
//! are two ways to one: build it from rustup's `rust-src`, or take Debian's prebuilt one.

use std::{
    env, fmt, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use super::{
    packages::Host,
    version::{self, Release},
};
use crate::{exec, workspace};

/// Overrides the choice: `debian` or `rustup`.
pub(crate) const OVERRIDE: &str = "LB_BPF_TOOLCHAIN";

const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CORE: &str = "/usr/lib/rustlib/bpfel-unknown-none/lib";
const DEBIAN_CLIPPY: &str = "/usr/bin/cargo-clippy";
const DEBIAN_PACKAGES: &[&str] = &["rustc-web", "libstd-rust-web-dev-bpf"];

/// Where the compiler comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Debian's `rustc-web` with a prebuilt `core`.
    Debian,
    /// The active toolchain, which builds `core` from its `rust-src` component.
    Rustup,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Debian => "debian",
            Self::Rustup => "rustup",
        })
    }
}

/// A compiler that is installed and complete.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Compiler {
    pub(crate) way: Way,
    pub(crate) release: Release,
    /// The major version of the LLVM whose bitcode it emits.
    pub(crate) llvm: u32,
}

impl Compiler {
    /// A verb of cargo that compiles for the BPF target.
    pub(crate) fn cargo(self, verb: &str) -> Command {
        let program = match (self.way, verb) {
            // A clippy of another release could not read this compiler's core.
            (Way::Debian, "clippy") => DEBIAN_CLIPPY,
            (Way::Debian | Way::Rustup, _) => "cargo",
        };
        let mut command = workspace::command(program);
        // Both the target and build-std are unstable, and neither compiler is a nightly.
        let _ = command.arg(verb).env("RUSTC_BOOTSTRAP", "1");
        let _ = match self.way {
            Way::Debian => command.env("RUSTC", DEBIAN_RUSTC),
            Way::Rustup => command.args(["-Z", "build-std=core"]),
        };
        command
    }
}

/// The way that the user asks for.
pub(crate) fn wanted() -> Result<Option<Way>> {
    match env::var(OVERRIDE).unwrap_or_default().as_str() {
        "" => Ok(None),
        "debian" => Ok(Some(Way::Debian)),
        "rustup" => Ok(Some(Way::Rustup)),
        other => bail!("{OVERRIDE}={other}: say `debian` or `rustup`"),
    }
}

/// The ways to try, best first. An explicit wish is obeyed, also where it fails. Otherwise what is
/// complete goes first, then Debian's way if apt is `ready` for it: it is fast, and its LLVM is
/// always one that Debian also has the library of.
pub(crate) fn order(
    wanted: Option<Way>,
    complete: &[Way],
    apt: bool,
    ready: impl FnOnce() -> bool,
) -> Vec<Way> {
    if let Some(way) = wanted {
        return vec![way];
    }
    if complete.contains(&Way::Debian) || (complete.is_empty() && apt && ready()) {
        vec![Way::Debian, Way::Rustup]
    } else if apt {
        vec![Way::Rustup, Way::Debian]
    } else {
        vec![Way::Rustup]
    }
}

/// The way's compiler, if it is complete.
pub(crate) fn find(way: Way) -> Option<Compiler> {
    let (rustc, complete) = match way {
        Way::Debian => (DEBIAN_RUSTC, has_prebuilt_core(Path::new(DEBIAN_CORE))),
        Way::Rustup => ("rustc", sources().is_ok_and(|sources| sources.is_file())),
    };
    let found = complete.then(|| describe(rustc).ok()).flatten()?;
    (Some(found.release) >= oldest()).then_some(Compiler {
        way,
        release: found.release,
        llvm: found.llvm,
    })
}

/// What the way lacks of Debian's packages for a compiler.
pub(crate) fn missing_packages(way: Way) -> Vec<String> {
    match way {
        Way::Debian if find(way).is_none() => {
            DEBIAN_PACKAGES.iter().map(|package| (*package).to_owned()).collect()
        }
        Way::Debian | Way::Rustup => Vec::new(),
    }
}

/// What the way lacks of Debian's packages for a clippy that fits the compiler.
pub(crate) fn missing_clippy(way: Way) -> Option<String> {
    (way == Way::Debian && !Path::new(DEBIAN_CLIPPY).exists()).then(|| "rust-web-clippy".to_owned())
}

/// Whether apt has a compiler that is new enough.
pub(crate) fn check_offer(host: &Host) -> Result<()> {
    for package in DEBIAN_PACKAGES {
        let Some(offered) = host.candidate(package) else {
            bail!("apt knows no package {package}");
        };
        if Some(offered) < oldest() {
            bail!(
                "apt offers {package} {}.{}, but {} is needed: is this release's security archive \
                 among the apt sources?",
                offered.0,
                offered.1,
                env!("CARGO_PKG_RUST_VERSION")
            );
        }
    }
    Ok(())
}

/// The LLVM that the way's compiler emits bitcode of, also before it is installed.
pub(crate) fn expected_llvm(way: Way, host: &Host) -> Result<u32> {
    if let Some(compiler) = find(way) {
        return Ok(compiler.llvm);
    }
    let forecast = match way {
        Way::Debian => host.llvm_behind(DEBIAN_PACKAGES[0]),
        Way::Rustup => None,
    };
    forecast.map_or_else(active_llvm, Ok)
}

/// The LLVM of the active toolchain.
pub(crate) fn active_llvm() -> Result<u32> {
    Ok(describe("rustc")?.llvm)
}

/// Lets rustup fetch the sources of `core`.
pub(crate) fn add_sources() -> Result<()> {
    eprintln!("xtask: asking rustup for rust-src, to build core for the BPF target from");
    exec::output(
        Command::new("rustup")
            .args(["component", "add", "rust-src"])
            // Where there is no network, this shall be known at once.
            .env("RUSTUP_MAX_RETRIES", "0"),
    )
    .map(drop)
}

fn describe(rustc: &str) -> Result<version::Rustc> {
    let text = exec::output(Command::new(rustc).arg("-vV"))?;
    version::rustc(&text).with_context(|| format!("`{rustc} -vV` names no LLVM version"))
}

/// The oldest compiler that takes the workspace.
fn oldest() -> Option<Release> {
    version::release(env!("CARGO_PKG_RUST_VERSION"))
}

fn sources() -> Result<PathBuf> {
    let sysroot = exec::output(Command::new("rustc").args(["--print", "sysroot"]))?;
    Ok(Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/core/src/lib.rs"))
}

fn has_prebuilt_core(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|entries| {
        entries.flatten().any(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with("libcore-") && name.ends_with(".rlib")
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unasked() -> bool {
        panic!("asking apt takes seconds: only where nothing is complete")
    }

    #[test]
    fn a_wish_is_obeyed() {
        assert_eq!(order(Some(Way::Rustup), &[Way::Debian], true, unasked), [Way::Rustup]);
        assert_eq!(order(Some(Way::Debian), &[], true, unasked), [Way::Debian]);
    }

    #[test]
    fn what_is_complete_goes_first() {
        assert_eq!(order(None, &[Way::Rustup], true, unasked)[0], Way::Rustup);
        assert_eq!(order(None, &[Way::Debian], true, unasked)[0], Way::Debian);
        assert_eq!(order(None, &[Way::Debian, Way::Rustup], true, unasked)[0], Way::Debian);
    }

    #[test]
    fn what_can_be_installed_goes_first_and_the_other_follows() {
        assert_eq!(order(None, &[], true, || true), [Way::Debian, Way::Rustup]);
        assert_eq!(order(None, &[], true, || false), [Way::Rustup, Way::Debian]);
    }

    #[test]
    fn without_apt_there_is_one_way() {
        assert_eq!(order(None, &[], false, unasked), [Way::Rustup]);
        assert_eq!(order(None, &[Way::Rustup], false, unasked), [Way::Rustup]);
    }

    #[test]
    fn the_workspace_names_its_oldest_compiler() {
        assert!(oldest() >= Some((1, 85)), "edition 2024 needs 1.85");
    }
}
