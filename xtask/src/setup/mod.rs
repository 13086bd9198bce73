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

use crate::workspace;

/// What a verb needs beside a compiler and a linker.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Needs {
    /// Clippy for the BPF target.
    pub(crate) clippy: bool,
    /// The programs that the demo and the tests run.
    pub(crate) programs: bool,
    /// What virtual machines are made of.
    pub(crate) machines: bool,
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
    let Toolchain { compiler, linker } =
        ensure(Needs { clippy: true, programs: true, machines: true })?;
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
    let missing = || programs::missing_packages(needs.machines);
    let programs = if needs.programs { missing() } else { Vec::new() };
    if !programs.is_empty() {
        programs::explain_missing(needs.machines);
    }
    let toolchain = find_or_install(needs, &programs, &host)?;
    // They came with the toolchain's packages, if it took any.
    let programs = if programs.is_empty() { programs } else { missing() };
    if !programs.is_empty() {
        host.install(&programs)?;
    }
    Ok(toolchain)
}

/// Sees to it that there is a C++ compiler, in which libFuzzer is written.
pub(crate) fn ensure_cpp() -> Result<()> {
    if workspace::find_program(programs::CPP.name).is_none() {
        Host::probe().install(&[programs::CPP.package.to_owned()])?;
    }
    Ok(())
}

/// Tries one way after the other.
fn find_or_install(needs: Needs, programs: &[String], host: &Host) -> Result<Toolchain> {
    let complete = [Way::Debian, Way::Rustup]
        .into_iter()
        .filter(|way| compiler::find(*way).is_some())
        .collect::<Vec<_>>();
    let ready = || host.can_install() && compiler::check_offer(host).is_ok();
    let ways = compiler::order(compiler::wanted()?, &complete, host.has_apt(), ready);
    let mut refusals = Vec::new();
    for way in ways {
        match prepare(way, needs, programs, host) {
            Ok(toolchain) => return Ok(toolchain),
            Err(error) => {
                eprintln!("xtask: the {way} way to an eBPF toolchain is closed: {error:#}");
                refusals.push(format!("\n  {way}: {error:#}"));
            }
        }
    }
    if !host.has_apt() {
        refusals.push(format!("\n  in all, this machine needs: {}", by_hand(programs)));
    }
    bail!("there is no toolchain for eBPF; solve one of these:{}", refusals.concat())
}

/// Completes one way, with one call of the package manager for all that is missing.
fn prepare(way: Way, needs: Needs, programs: &[String], host: &Host) -> Result<Toolchain> {
    if way == Way::Rustup && compiler::find(way).is_none() {
        compiler::add_sources()?;
    }
    let mut packages = compiler::missing_packages(way);
    if !packages.is_empty() && host.can_install() {
        compiler::check_offer(host)?;
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

/// The package of the LLVM to build the linker against.
fn llvm_package(emitted: u32, host: &Host) -> Result<String> {
    let package = |llvm| format!("llvm-{llvm}-dev");
    if !host.has_apt() {
        bail!("{}", linker::advice(emitted));
    }
    if !host.can_install() {
        return Ok(package(emitted));
    }
    linker::choose_llvm(emitted, |llvm| host.candidate(&package(llvm)).is_some())
        .map(package)
        .with_context(|| format!("neither apt nor bpf-linker has LLVM {emitted} or newer"))
}

/// What is to be installed where xtask cannot.
fn by_hand(programs: &[String]) -> String {
    let mut needs = Vec::new();
    if compiler::find(Way::Rustup).is_none() {
        needs.push("`rustup component add rust-src`".to_owned());
    }
    needs.extend(compiler::active_llvm().ok().map(linker::advice));
    if !programs.is_empty() {
        needs.push(format!("install what the Debian packages {} hold", programs.join(" ")));
    }
    needs.join("; ")
}
