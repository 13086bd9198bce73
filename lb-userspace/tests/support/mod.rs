//! What tests with namespaces share.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test's helpers fail by panicking")]

use std::process::Command;

use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Moves the calling thread into new namespaces; its child processes are born there.
pub(crate) fn unshare(flags: UnshareFlags) {
    // SAFETY: the table of file descriptors stays shared.
    unsafe { unshare_unsafe(flags) }.expect("new namespaces: this test needs root");
}

/// Runs a command and returns what it printed.
pub(crate) fn run(command: &str) -> String {
    let mut words = command.split_whitespace();
    let output = Command::new(words.next().unwrap()).args(words).output().expect(command);
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
