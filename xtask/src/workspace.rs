//! Where things are in the workspace, and on the machine.

use std::{
    env,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Command,
};

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    // Asked at run time first: the folder may have moved since xtask was compiled.
    let manifest = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest.parent().map(Path::to_path_buf).unwrap_or(manifest)
}

/// Where everything that is built goes.
pub(crate) fn target() -> PathBuf {
    root().join("target")
}

/// The eBPF object that the daemon embeds.
pub(crate) fn object() -> PathBuf {
    target().join("bpf/lb.o")
}

/// The eBPF object that drives the node's program in benchmarks.
pub(crate) fn driver() -> PathBuf {
    target().join("bpf/lb-driver.o")
}

/// A binary of the workspace.
pub(crate) fn binary(name: &str) -> PathBuf {
    target().join("release").join(name)
}

/// `cargo` in the workspace.
pub(crate) fn cargo() -> Command {
    command("cargo")
}

/// A program that does cargo's work in the workspace. The target folder is fixed, whatever the
/// environment says: the daemon's build script and the tests look for files in it.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    let _ = command.current_dir(root()).env("CARGO_TARGET_DIR", target());
    command
}

/// A program on `PATH`, or where Debian keeps those of the administrator.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|folder| folder.join(name))
        .find(|candidate| is_executable(candidate))
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.is_file() && file.mode() & 0o111 != 0)
}

/// Whether this process has the rights of root.
pub(crate) fn is_root() -> bool {
    Path::new("/proc/self").metadata().is_ok_and(|process| process.uid() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_holds_the_workspace() {
        assert!(root().join("xtask/src/workspace.rs").is_file());
    }

    #[test]
    fn programs_are_executable_files() {
        assert!(find_program("sh").is_some());
        assert_eq!(find_program("no-such-program"), None);
        assert!(!is_executable(Path::new("/etc/passwd")));
        assert!(!is_executable(Path::new("/usr")));
    }
}
