//! The checks that need another view of the system than the test's own. Needs root.
#![expect(clippy::unwrap_used, reason = "a test's helpers fail by panicking")]

mod support;

use std::{path::Path, thread};

use lb_userspace::{
    config::{AttachMode, Node},
    preflight::{self, Error},
};
use rustix::thread::{CapabilitySet, UnshareFlags, capabilities, set_capabilities};
use support::{run, unshare};

/// A node that pins below `bpffs`.
fn node(dir: &tempfile::TempDir, bpffs: &Path) -> Node {
    Node {
        interfaces: vec!["lo".into()],
        mode: AttachMode::Generic,
        runtime_dir: dir.path().join("run"),
        pin_dir: bpffs.join("node/pins"),
        seed: [0; 16],
        tunnel_source: Vec::new(),
        probe_aliases: Vec::new(),
        watchdog: None,
        proxy_threads: None,
        proxy_busy_poll: std::time::Duration::ZERO,
        proxy_drain: std::time::Duration::ZERO,
    }
}

/// Runs a test in a thread with a bpffs of its own.
fn with_bpffs(test: impl FnOnce(&Node) + Send + 'static) {
    let inside = || {
        let dir = tempfile::tempdir().unwrap();
        unshare(UnshareFlags::NEWNS);
        let _ = run("mount --make-rprivate /");
        let bpffs = dir.path().join("bpf");
        std::fs::create_dir(&bpffs).unwrap();
        let _ = run(&format!("mount -t bpf bpf {}", bpffs.display()));
        test(&node(&dir, &bpffs));
        let _ = run(&format!("umount {}", bpffs.display()));
    };
    thread::spawn(inside).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

#[test]
fn a_fit_environment_is_accepted_and_a_bpffs_can_be_locked() {
    with_bpffs(|node| {
        preflight::environment(node).unwrap();
        let lock = preflight::lock(node).unwrap();
        let other = Node { runtime_dir: node.runtime_dir.join("other"), ..node.clone() };
        let error = preflight::lock(&other).unwrap_err();
        assert!(matches!(error, Error::Pinned { .. }), "{error:?}");
        preflight::environment(node).unwrap();
        drop(lock);
        drop(preflight::lock(&other).unwrap());
    });
}

#[test]
fn a_missing_bpffs_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let error = preflight::environment(&node(&dir, dir.path())).unwrap_err();
    assert!(matches!(error, Error::NotBpffs { .. }), "{error:?}");
    assert!(!dir.path().join("run").exists(), "nothing has been touched");
}

#[test]
fn missing_capabilities_are_named() {
    with_bpffs(|node| {
        let all = capabilities(None).unwrap();
        let mut fewer = all;
        fewer.effective -= CapabilitySet::SYS_ADMIN | CapabilitySet::NET_ADMIN | CapabilitySet::BPF;
        set_capabilities(None, fewer).unwrap();
        let error = preflight::environment(node).unwrap_err();
        set_capabilities(None, all).unwrap();
        let Error::Capabilities { names, .. } = error else { panic!("{error:?}") };
        assert_eq!(names, ["CAP_BPF", "CAP_NET_ADMIN"]);
    });
}
