//! The proxy engine under much load and bad input, in a process of its own so that its memory and its
//! descriptors are nobody else's.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test's helpers fail by panicking"
)]

mod abuse;
mod bytes;
mod host;
mod many;
mod party;
mod plan;

use std::{
    net::{SocketAddr, TcpListener},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};

/// Nothing that is awaited takes so long, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(120);
/// Each process has one end of two of 9,000 sessions' connections, or both ends of one.
const DESCRIPTORS: u64 = 20_000;

/// Lets one test run at a time: each takes most of the descriptors.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let maximum = getrlimit(Resource::Nofile).maximum;
    assert!(
        maximum.is_none_or(|most| most >= DESCRIPTORS),
        "a process must be able to open {DESCRIPTORS} files: `ulimit -Hn {DESCRIPTORS}`"
    );
    setrlimit(Resource::Nofile, Rlimit { current: Some(DESCRIPTORS), maximum }).unwrap();
    alone
}

/// A listener for as many clients as may come at once.
fn listen() -> (TcpListener, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(4096).unwrap();
    let listener = TcpListener::from(socket);
    let at = listener.local_addr().unwrap();
    (listener, at)
}

/// Waits for a condition.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
