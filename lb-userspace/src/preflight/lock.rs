//! One node per machine, runtime directory and set of pinned maps.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

use super::{Error, storage::pin_dir_error};
use crate::config::Node;

/// The right to be the node; given back when this is dropped or the process ends.
#[derive(Debug)]
#[must_use = "dropping the lock lets another `lb run` start"]
pub struct Lock {
    _file: File,
    _pin_dir: File,
}

/// Takes the right to be the node, and creates the directories that it lives in.
///
/// The lock file in the runtime directory names the process for others. The pinned maps have a
/// lock of their own, since two configurations may share them; a bpffs has no regular files, so
/// the directory itself is locked.
pub fn lock(node: &Node) -> Result<Lock, Error> {
    let file = lock_runtime_dir(&node.runtime_dir, node.lock_file())?;
    let path = &node.pin_dir;
    let pin_dir = open_dir(path)
        .and_then(|dir| Ok(try_lock(&dir)?.then_some(dir)))
        .map_err(|cause| pin_dir_error(path, cause))?
        .ok_or_else(|| Error::Pinned { path: path.clone() })?;
    Ok(Lock { _file: file, _pin_dir: pin_dir })
}

fn lock_runtime_dir(dir: &Path, path: PathBuf) -> Result<File, Error> {
    let failed = |cause| Error::RuntimeDir { path: dir.into(), cause };
    std::fs::create_dir_all(dir).map_err(failed)?;
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(failed)?;
    if try_lock(&file).map_err(failed)? {
        let pid = std::process::id();
        file.set_len(0).and_then(|()| writeln!(file, "{pid}")).map_err(failed)?;
        return Ok(file);
    }
    let mut pid = String::new();
    let pid = file.read_to_string(&mut pid).ok().and_then(|_| pid.trim().parse().ok());
    Err(Error::Running { pid, path })
}

fn open_dir(path: &Path) -> io::Result<File> {
    // What is pinned is root's business.
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    File::open(path)
}

/// Whether the lock was free. It belongs to the open file, which child processes do not inherit.
fn try_lock(file: &File) -> io::Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AttachMode;

    fn node(runtime_dir: PathBuf, pin_dir: PathBuf) -> Node {
        Node {
            interfaces: vec!["lo".into()],
            mode: AttachMode::Generic,
            runtime_dir,
            pin_dir,
            seed: [0; 16],
            tunnel_source: Vec::new(),
            probe_aliases: Vec::new(),
            watchdog: None,
            proxy_threads: None,
            proxy_busy_poll: std::time::Duration::ZERO,
            proxy_drain: std::time::Duration::ZERO,
        }
    }

    #[test]
    fn a_second_node_in_the_runtime_dir_is_refused_and_told_the_pid() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("run");
        let first = lock(&node(run.clone(), dir.path().join("pins"))).unwrap();
        let error = lock(&node(run.clone(), dir.path().join("other"))).unwrap_err();
        assert!(
            matches!(error, Error::Running { pid: Some(pid), .. } if pid == std::process::id())
        );
        let named =
            format!("as process {}: it holds {}/lb.lock", std::process::id(), run.display());
        assert!(error.to_string().contains(&named), "{error}");
        assert!(!dir.path().join("other").exists(), "the refused one has touched nothing");
        drop(first);
        let _again = lock(&node(run, dir.path().join("other"))).unwrap();
    }

    #[test]
    fn a_second_node_on_the_same_pins_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let pins = dir.path().join("pins");
        let first = lock(&node(dir.path().join("one"), pins.clone())).unwrap();
        let error = lock(&node(dir.path().join("two"), pins.clone())).unwrap_err();
        assert!(matches!(error, Error::Pinned { .. }), "{error:?}");
        assert!(error.to_string().contains("pin_dir of its own"), "{error}");
        drop(first);
        let _two = lock(&node(dir.path().join("two"), pins)).unwrap();
    }

    #[test]
    fn a_lock_file_without_a_pid_is_still_a_lock() {
        let dir = tempfile::tempdir().unwrap();
        let held = File::create(dir.path().join("lb.lock")).unwrap();
        assert!(try_lock(&held).unwrap());
        let error = lock(&node(dir.path().into(), dir.path().join("pins"))).unwrap_err();
        assert!(matches!(error, Error::Running { pid: None, .. }), "{error:?}");
    }

    #[test]
    fn directories_that_cannot_be_made_are_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let bad = file.path().join("sub");
        let error = lock(&node(bad.clone(), dir.path().join("pins"))).unwrap_err();
        assert!(matches!(error, Error::RuntimeDir { .. }), "{error:?}");
        let error = lock(&node(dir.path().into(), bad)).unwrap_err();
        assert!(matches!(error, Error::PinDir { .. }), "{error:?}");
    }
}
