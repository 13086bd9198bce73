//! `cargo xtask test`: the tests, all with the profile and the binaries that are shipped.

use std::{fs, path::Path, process::Command};

use anyhow::{Result, ensure};
use clap::Args;
use rustix::mount::UnmountFlags;

use crate::{
    build, exec, libtest,
    setup::{self, Needs},
    workspace,
};

const BPFFS: &str = "/sys/fs/bpf";

#[derive(Args)]
pub(crate) struct Options {
    /// Only what needs neither root nor a kernel: pure tests beside the code
    #[arg(long)]
    host_only: bool,
    /// Only tests whose name contains one of these
    filters: Vec<String>,
}

/// Sets up if need be, builds, and tests.
pub(crate) fn run(Options { host_only, filters }: Options) -> Result<()> {
    if !host_only {
        require_root()?;
    }
    let toolchain = setup::ensure(Needs { programs: !host_only, ..Needs::default() })?;
    build::all(&toolchain)?;
    host(&filters)?;
    if host_only { Ok(()) } else { kernel(&filters) }
}

/// Kernel tests are never skipped in silence: without root there is no result.
pub(crate) fn require_root() -> Result<()> {
    ensure!(
        workspace::is_root(),
        "the kernel tests load XDP programs and make network namespaces: run them as root, or \
         leave them out with `cargo xtask test --host-only`"
    );
    Ok(())
}

/// The tests beside the code.
pub(crate) fn host(filters: &[String]) -> Result<()> {
    let packages = ["lb-common", "lb-ebpf", "lb-userspace", "lb-model", "xtask"];
    libtest::run(
        workspace::cargo()
            .args(["test", "--release"])
            .args(packages.iter().flat_map(|package| ["-p", package]))
            .arg("--")
            .args(filters),
    )
}

/// The tests in the kernel.
pub(crate) fn kernel(filters: &[String]) -> Result<()> {
    let _mounted = Bpffs::mount()?;
    libtest::run(
        workspace::cargo()
            .args(["test", "--release", "-p", "lb-tests", "--"])
            // A namespace belongs to a thread, and names of interfaces and pins to the machine.
            .arg("--test-threads=1")
            .args(filters)
            .env("LB_BIN", workspace::binary("lb")),
    )
}

/// Pins need a bpffs; containers often come without. One that was mounted here goes with this.
struct Bpffs {
    ours: bool,
}

impl Bpffs {
    fn mount() -> Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        if is_bpffs_mounted(&mounts) {
            return Ok(Self { ours: false });
        }
        fs::create_dir_all(Path::new(BPFFS))?;
        exec::run(Command::new("mount").args(["-t", "bpf", "bpf", BPFFS]))?;
        Ok(Self { ours: true })
    }
}

impl Drop for Bpffs {
    fn drop(&mut self) {
        // Not by `exec`, which does nothing more once somebody has interrupted.
        if self.ours
            && let Err(error) = rustix::mount::unmount(BPFFS, UnmountFlags::empty())
        {
            eprintln!("xtask: {BPFFS} stays mounted: {error}");
        }
    }
}

fn is_bpffs_mounted(mounts: &str) -> bool {
    mounts.lines().any(|line| {
        let mut fields = line.split(' ').skip(1);
        fields.next() == Some(BPFFS) && fields.next() == Some("bpf")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bpffs_counts() {
        let sysfs = "sysfs /sys sysfs rw 0 0\n";
        assert!(is_bpffs_mounted(&format!("{sysfs}bpf /sys/fs/bpf bpf rw,mode=700 0 0\n")));
        assert!(!is_bpffs_mounted(sysfs));
        assert!(!is_bpffs_mounted("tmpfs /sys/fs/bpf tmpfs rw 0 0\n"));
        assert!(!is_bpffs_mounted("bpf /mnt/bpf bpf rw 0 0\n"));
    }
}
