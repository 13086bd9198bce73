//! Finding or installing what building and running need. Everything is looked at each time, and
//! cheaply: there is no record that could be wrong.

mod compiler;
mod linker;
mod packages;
mod programs;
mod version;

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

pub(crate) use compiler::Compiler;
use compiler::Way;
use packages::Host;

/// What a verb needs beside a compiler and a linker.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Needs {
    /// Clippy for the BPF target.
    pub(crate) clippy: bool,
    /// The programs that the demo and the tests run.
    pub(crate) programs: bool,
}

/// What builds the eBPF object.
#[derive(Debug)]
pub(crate) struct Toolchain {
    pub(crate) compiler: Compiler,
    /// The path of `bpf-linker`.
    pub(crate) linker: PathBuf,
}

/// `cargo xtask setup`: all that any verb needs.
pub(crate) fn run() -> Result<()> {
    let Toolchain { compiler, linker } = ensure(Needs { clippy: true, programs: true })?;
    let Compiler { way, release, llvm } = compiler;
    let core = match way {
        Way::Debian => "Debian's rustc-web, with its prebuilt core",
        Way::Rustup => "the active toolchain, with core built from rust-src",
    };
    println!("eBPF compiler  {}.{}, LLVM {llvm}: {core}", release.0, release.1);
    println!("eBPF linker    {}", linker.display());
    println!("programs       {}", programs::names());
    Ok(())
}

/// Sees to it that everything needed is there. Where it all is, this costs a few short commands.
pub(crate) fn ensure(needs: Needs) -> Result<Toolchain> {
    let host = Host::probe();
    let programs = if needs.programs { programs::missing_packages() } else { Vec::new() };
    let complete = [Way::Debian, Way::Rustup]
        .into_iter()
        .filter(|way| compiler::find(*way).is_some())
        .collect::<Vec<_>>();
    let offered = || host.can_install() && compiler::debian_offers(&host).is_ok();
    let ways = compiler::order(compiler::wanted()?, &complete, offered);

    let mut refusals = Vec::new();
    for way in &ways {
        match prepare(*way, needs, &programs, &host) {
            Ok(toolchain) => {
                install_rest(needs, &host)?;
                return Ok(toolchain);
            }
            Err(error) => {
                eprintln!("xtask: no eBPF build the {way} way: {error:#}");
                refusals.push(format!("\n  {way}: {error:#}"));
            }
        }
    }
    bail!("there is no toolchain for eBPF; one of these must be solved:{}", refusals.concat())
}

/// Completes one way, with one call of the package manager for all that is missing.
fn prepare(way: Way, needs: Needs, programs: &[String], host: &Host) -> Result<Toolchain> {
    if way == Way::Rustup && compiler::find(way).is_none() {
        compiler::add_sources()?;
    }
    let mut packages = compiler::missing_packages(way);
    if !packages.is_empty() && host.can_install() {
        compiler::debian_offers(host)?;
    }
    packages.extend(needs.clippy.then(|| compiler::missing_clippy(way)).flatten());
    let llvm = compiler::expected_llvm(way, host)?;
    if linker::find(llvm).is_none() && linker::installed_llvm(llvm).is_none() {
        packages.push(llvm_package(llvm, host)?);
    }
    if !packages.is_empty() {
        packages.extend_from_slice(programs);
        host.install(&packages)?;
    }
    let compiler = compiler::find(way)
        .with_context(|| format!("the {way} compiler was installed, but is not complete"))?;
    let linker = linker::find(compiler.llvm).map_or_else(|| linker::build(compiler.llvm), Ok)?;
    Ok(Toolchain { compiler, linker })
}

/// Installs the programs that did not come with the toolchain.
fn install_rest(needs: Needs, host: &Host) -> Result<()> {
    let missing = if needs.programs { programs::missing_packages() } else { Vec::new() };
    if missing.is_empty() { Ok(()) } else { host.install(&missing) }
}

/// The package of the LLVM to build the linker against.
fn llvm_package(emitted: u32, host: &Host) -> Result<String> {
    let package = |llvm| format!("llvm-{llvm}-dev");
    if !host.can_install() {
        return Ok(package(emitted));
    }
    linker::choose_llvm(emitted, |llvm| host.candidate(&package(llvm)).is_some())
        .map(package)
        .with_context(|| format!("neither apt nor bpf-linker has LLVM {emitted} or newer"))
}
