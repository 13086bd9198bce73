//! Bad input, and more of it than there is room for.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use socket2::SockRef;
use tokio::{io::AsyncReadExt as _, sync::Semaphore, task::JoinSet};

use crate::{PATIENCE, alone, host::Host, listen, until};

/// Takes headers from this machine, and awaits them for a second.
const HEADERS: &str = "accept_proxy = { from = ['127.0.0.0/8'], timeout = '1s' }";

/// A server that greets with a byte and waits for the end, and how many it has greeted.
fn greeter() -> (SocketAddr, Arc<AtomicU64>) {
    let ((listener, at), greeted) = (listen(), Arc::<AtomicU64>::default());
    listener.set_nonblocking(true).unwrap();
    let count = Arc::clone(&greeted);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    drop(thread::spawn(move || {
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _before = count.fetch_add(1, Relaxed);
                drop(tokio::spawn(async move {
                    // Who is gone needs no greeting.
                    let _greeted = stream.try_write(b"a");
                    let _ended = stream.read(&mut [0; 16]).await;
                }));
            }
        });
    }));
    (at, greeted)
}

fn connect(at: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn connect_all(at: SocketAddr, count: u64) -> Vec<TcpStream> {
    (0..count).map(|_| connect(at)).collect()
}

fn assert_greeted(mut stream: &TcpStream) {
    let mut byte = [0];
    stream.read_exact(&mut byte).unwrap();
    assert_eq!(&byte, b"a");
}

fn assert_reset(mut stream: &TcpStream) {
    let outcome = stream.read(&mut [0; 16]).map_err(|error| error.kind());
    assert_eq!(outcome, Err(ErrorKind::ConnectionReset));
}

/// Makes closing it a reset, so that the kernel keeps nothing of many connections.
fn abandon(stream: impl std::os::fd::AsFd) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
}

/// Bytes that begin as a header does, for a while. Those behind are of no header: with bytes below 0x80, one in
/// some ten thousand had a length and addresses that made it one.
fn garbage(random: &mut fastrand::Rng) -> Vec<u8> {
    let header = random
        .choice([b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2".as_slice(), b"\r\n\r\n\0\r\nQUIT\n\x21\x11"])
        .unwrap();
    let mut bytes = header[..random.usize(..=header.len())].to_vec();
    bytes.extend((0..random.usize(1..300)).map(|_| random.u8(0x80..)));
    bytes
}

#[test]
fn garbage_instead_of_headers_ends_by_name() {
    let _alone = alone();
    let (backend, greeted) = greeter();
    let mut host = Host::start(backend, HEADERS);
    let seed = fastrand::u64(..);
    println!("LB_SEED: {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let clients = connect_all(host.at, 1000);
    for mut client in &clients {
        // It may be cut off within.
        let _sent: io::Result<()> = client.write_all(&garbage(&mut random));
    }
    clients.iter().for_each(assert_reset);
    let report = host.settle();
    // What may yet become a header is awaited.
    assert_eq!(report.ended(&["bad_header", "header_timeout"]), 1000);
    assert!(report.ended(&["bad_header"]) > 800);
    assert_eq!(greeted.load(Relaxed), 0, "no backend heard of them");
    let mut client = connect(host.at);
    client.write_all(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n").unwrap();
    assert_greeted(&client);
}

#[test]
fn who_is_slow_or_silent_ends_in_time_by_name() {
    let _alone = alone();
    let (backend, greeted) = greeter();
    let mut host = Host::start(backend, HEADERS);
    let (silent, slow) = (connect_all(host.at, 300), connect_all(host.at, 300));
    // 4,000 bytes are to follow. A byte at a time puts nothing off.
    let start = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x0f\xa0".as_slice();
    let mut bytes = start.iter().chain(std::iter::repeat(&0));
    until("the slow have ended", || {
        let byte = [*bytes.next().unwrap()];
        for mut client in &slow {
            let _sent = client.write(&byte);
        }
        host.report().number("/load") == 0
    });
    silent.iter().for_each(assert_reset);
    let report = host.settle();
    assert_eq!(report.ended(&["header_timeout"]), 600);
    assert_eq!(greeted.load(Relaxed), 0, "no backend heard of them");

    // Without headers, who never sends has a backend, until it has been idle for too long.
    let mut host = Host::start(backend, "timeout = { client = '500ms' }");
    let silent = connect_all(host.at, 300);
    silent.iter().for_each(assert_greeted);
    silent.iter().for_each(assert_reset);
    assert_eq!(host.settle().ended(&["client_idle"]), 300);
}

#[test]
fn backends_that_accept_and_say_nothing_are_given_up_by_name() {
    let _alone = alone();
    let (mute, backend) = listen();
    let held = thread::spawn(move || -> Vec<_> {
        mute.incoming().take(300).map(Result::unwrap).collect()
    });
    let mut host = Host::start(backend, "timeout = { backend = '500ms' }");
    let clients = connect_all(host.at, 300);
    clients.iter().for_each(assert_reset);
    assert_eq!(host.settle().ended(&["backend_idle"]), 300);
    held.join().unwrap().iter().for_each(assert_reset);
}

#[test]
fn without_descriptors_clients_wait_and_the_log_says_why() {
    let _alone = alone();
    let (backend, greeted) = greeter();
    let mut host = Host::limited(backend, "", 200);
    let files = host.descriptors();
    let mut clients = connect_all(host.at, 600);
    let mut done = 0;
    // Those who wait are greeted when others leave.
    while !clients.is_empty() {
        until("somebody is greeted", || greeted.load(Relaxed) > done);
        clients.retain(|client| {
            client.set_nonblocking(true).unwrap();
            let mut client: &TcpStream = client;
            let outcome = client.read(&mut [0; 1]).map_err(|error| error.kind());
            if let Ok(read) = outcome {
                assert_eq!(read, 1);
                abandon(client);
                done += 1;
            } else {
                assert_eq!(outcome, Err(ErrorKind::WouldBlock), "after {done}");
            }
            outcome.is_err()
        });
    }
    let report = host.settle();
    assert_eq!((done, report.ended(&["client_reset"])), (600, 600));
    assert_eq!(report.number("/backend/sessions_total"), 600, "each counts once");
    let log = host.log();
    assert!(log.contains("no file descriptors are left"), "{log}");
    assert!(log.lines().count() <= 2, "each thread says it once a minute at most: {log}");
    until("all descriptors are free", || host.descriptors() == files);
}

#[test]
fn a_burst_of_connections_is_served_within_the_limits() {
    const BURST: u64 = 50_000;
    const AT_ONCE: usize = 4_000;
    const LIMIT: u64 = 1_000;
    let _alone = alone();
    let (backend, greeted) = greeter();
    let mut host = Host::start(backend, &format!("max_connections = {LIMIT}"));
    let (files, before, at) = (host.descriptors(), host.memory("VmRSS:"), host.at);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let served = runtime.block_on(async move {
        let (room, mut clients) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
        for number in 0..BURST {
            let room = Arc::clone(&room);
            let _handle = clients.spawn(async move {
                let _permit = room.acquire().await.unwrap();
                let mut stream = tokio::net::TcpStream::connect(at).await.unwrap();
                // Each fifth one does not wait to be served.
                let waits = number % 5 > 0;
                if waits {
                    assert_eq!(stream.read_u8().await.unwrap(), b'a');
                }
                abandon(&stream);
                u64::from(waits)
            });
        }
        clients.join_all().await.into_iter().sum::<u64>()
    });
    assert_eq!(served, BURST / 5 * 4);
    let report = host.settle();
    let (sessions, most) = (report.number("/totals/sessions_total"), host.memory("VmHWM:"));
    println!(
        "{BURST} connections, {sessions} sessions, {} at once at most, {} connections to the \
         backend; kB resident: {before} before, {most} at most",
        report.number("/totals/sessions_max"),
        greeted.load(Relaxed),
    );
    assert!(report.number("/totals/sessions_max") <= LIMIT);
    assert!((served..=BURST).contains(&sessions));
    assert_eq!(report.ended(&["client_reset"]), sessions, "{report:?}");
    assert!(most - before < LIMIT * 4, "more than 4 kB a session");
    assert_eq!(host.descriptors(), files);
}
