//! Network namespaces that live as long as the test that made them.
#![expect(clippy::unwrap_used, reason = "a test's helpers fail by panicking")]

use std::{
    fs::File,
    os::fd::{AsFd, AsRawFd},
    thread,
};

use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

use crate::support::{run, unshare};

/// A network namespace without a name, which vanishes with this value.
pub(crate) struct Namespace(File);

impl Namespace {
    /// A new one, with `lo` up.
    pub(crate) fn new() -> Self {
        thread::spawn(|| {
            unshare(UnshareFlags::NEWNET);
            let _ = run("ip link set lo up");
            Self(File::open("/proc/thread-self/ns/net").unwrap())
        })
        .join()
        .unwrap()
    }

    /// A path by which `ip` and `nsenter` find it.
    pub(crate) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }

    /// Runs a function in a thread of its own within the namespace.
    pub(crate) fn enter<T: Send>(&self, inside: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                move_into_link_name_space(self.0.as_fd(), Some(LinkNameSpaceType::Network))
                    .unwrap();
                inside()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Runs a command within the namespace.
    pub(crate) fn run(&self, command: &str) -> String {
        self.enter(|| run(command))
    }
}

/// Connects two namespaces by a pair of veths.
pub(crate) fn connect(one: (&Namespace, &str), other: (&Namespace, &str)) {
    let path = other.0.path();
    let (name, peer) = (one.1, other.1);
    let _ = one.0.run(&format!("ip link add {name} type veth peer name {peer} netns {path}"));
}
