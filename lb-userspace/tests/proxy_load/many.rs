//! Thousands of sessions at once, and a long one: no byte is lost or changed, and memory is bounded.

use std::{
    net::SocketAddr,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
};

use crate::{
    PATIENCE, alone,
    host::{Host, Report},
    listen,
    party::{Gate, Party},
    plan::Plan,
    until,
};

const SESSIONS: u64 = 9_000;
/// Connections that are being made at once.
const OPENING: usize = 512;
const GB: u64 = 1_000_000_000;
/// What a direction keeps at most while its receiver takes nothing, in kB.
const STUCK: u64 = 512;

/// How far all sides are.
#[derive(Default)]
struct Progress {
    open: AtomicUsize,
    /// Sides of sessions in which nobody stalls.
    done: AtomicUsize,
}

/// Runs a future on a thread of its own.
fn run(future: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    thread::spawn(move || {
        let outcome = runtime.block_on(async { tokio::time::timeout(PATIENCE, future).await });
        outcome.expect("a session does not end");
    })
}

/// A server for so many sessions, whose clients say which they are.
async fn serve(listener: TcpListener, count: usize, gate: Gate, progress: Arc<Progress>) {
    let mut sessions = JoinSet::new();
    for _ in 0..count {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (gate, progress) = (gate.clone(), Arc::clone(&progress));
        let _handle = sessions.spawn(async move {
            let (seed, length) =
                (stream.read_u64().await.unwrap(), stream.read_u64().await.unwrap());
            stream.write_u8(1).await.unwrap();
            assert_eq!(stream.read_u8().await.unwrap(), 2);
            let plan = plan(seed, length);
            Party::server(stream, &plan).play(gate).await;
            let _before = progress.done.fetch_add(usize::from(!plan.stalls()), Relaxed);
        });
    }
    let _all = sessions.join_all().await;
}

/// The clients of sessions with these numbers.
async fn visit(
    at: SocketAddr,
    seeds: Range<u64>,
    length: u64,
    [go, gate]: [Gate; 2],
    progress: Arc<Progress>,
) {
    let opening = Arc::new(Semaphore::new(OPENING));
    let mut sessions = JoinSet::new();
    for seed in seeds {
        let (opening, progress) = (Arc::clone(&opening), Arc::clone(&progress));
        let (mut go, gate) = (go.clone(), gate.clone());
        let _handle = sessions.spawn(async move {
            let permit = opening.acquire().await.unwrap();
            let mut stream = TcpStream::connect(at).await.unwrap();
            stream.write_u64(seed).await.unwrap();
            stream.write_u64(length).await.unwrap();
            assert_eq!(stream.read_u8().await.unwrap(), 1);
            drop(permit);
            let _before = progress.open.fetch_add(1, Relaxed);
            drop(go.wait_for(|go| *go).await.unwrap());
            stream.write_u8(2).await.unwrap();
            let plan = plan(seed, length);
            Party::client(stream, &plan).play(gate).await;
            let _before = progress.done.fetch_add(usize::from(!plan.stalls()), Relaxed);
        });
    }
    let _all = sessions.join_all().await;
}

/// One of many, if it has no length of its own.
fn plan(seed: u64, length: u64) -> Plan {
    if length == 0 { Plan::new(seed) } else { Plan::long(seed, length) }
}

#[test]
fn nine_thousand_sessions_lose_nothing_and_leave_nothing_behind() {
    let _alone = alone();
    let (listener, backend) = listen();
    listener.set_nonblocking(true).unwrap();
    let mut host = Host::start(backend, "max_connections = 9500");
    let (files, empty) = (host.descriptors(), host.memory("VmRSS:"));
    let first = fastrand::u64(..1 << 40);
    println!("the first session's number: {first}");
    let seeds = first..first + SESSIONS;
    let plans: Vec<Plan> = seeds.clone().map(Plan::new).collect();
    let stalled = plans.iter().filter(|plan| plan.stalls()).count();

    let progress = Arc::<Progress>::default();
    let ((start, go), (open, gate)) = (watch::channel(false), watch::channel(false));
    let (at, count) = (host.at, plans.len());
    let (passed, gate_there, known) = (gate.clone(), gate, Arc::clone(&progress));
    let server = run(async move {
        serve(TcpListener::from_std(listener).unwrap(), count, passed, known).await;
    });
    let clients = run(visit(at, seeds, 0, [go, gate_there], Arc::clone(&progress)));
    until("all are open", || progress.open.load(Relaxed) == count);
    let idle = host.memory("VmRSS:");
    assert_eq!(host.report().number("/totals/sessions"), SESSIONS);

    start.send(true).unwrap();
    let wanted = 2 * (count - stalled);
    until("those have ended that nobody stalls", || {
        assert!(!clients.is_finished() && !server.is_finished(), "a session has failed");
        progress.done.load(Relaxed) == wanted
    });
    let stuck = host.memory("VmRSS:");
    open.send(true).unwrap();
    clients.join().unwrap();
    server.join().unwrap();
    let report = host.settle();
    let most = host.memory("VmHWM:");
    println!(
        "{SESSIONS} sessions, {stalled} stalled: {} bytes there, {} back; kB resident: {empty} \
         before, {idle} idle, {stuck} stalled, {most} at most",
        report.number("/totals/bytes_in"),
        report.number("/totals/bytes_out"),
    );
    check(&report, &plans);
    assert_eq!(host.descriptors(), files);
    assert!(idle - empty < 2 * SESSIONS, "an idle session takes more than 2 kB");
    assert!(most - idle < stalled as u64 * STUCK, "a session keeps more than it may");
}

/// What was counted is what was to happen.
fn check(report: &Report, plans: &[Plan]) {
    let count = |is_so: fn(&Plan) -> bool| plans.iter().filter(|plan| is_so(plan)).count() as u64;
    assert_eq!(report.ended(&["client_closed", "backend_closed"]), count(Plan::is_whole));
    assert_eq!(report.ended(&["client_reset"]), count(|plan| plan.client.resets));
    assert_eq!(report.ended(&["backend_reset"]), count(|plan| plan.server.resets));
    assert_eq!(report.all_ended(), SESSIONS);
    let sum = |of: fn(&Plan) -> u64, plans: &mut dyn Iterator<Item = &Plan>| plans.map(of).sum();
    // What is said before the parts begin.
    let (hello, welcome) = (17 * SESSIONS, SESSIONS);
    for (name, of, extra) in [
        ("/totals/bytes_in", (|it: &Plan| it.client.sends) as fn(&Plan) -> u64, hello),
        ("/totals/bytes_out", |it: &Plan| it.server.sends, welcome),
    ] {
        let least: u64 = sum(of, &mut plans.iter().filter(|plan| plan.is_whole()));
        let most: u64 = sum(of, &mut plans.iter());
        let counted = report.number(name) - extra;
        assert!((least..=most).contains(&counted), "{name}: {counted} of {least} to {most}");
    }
    let all = report.number("/totals/bytes_in") + report.number("/totals/bytes_out");
    assert!(all >= GB, "{all} bytes in all");
}

#[test]
fn a_session_of_a_gigabyte_loses_nothing() {
    let _alone = alone();
    let (listener, backend) = listen();
    listener.set_nonblocking(true).unwrap();
    let mut host = Host::start(backend, "");
    let before = host.memory("VmRSS:");
    let ((_start, go), (_open, gate)) = (watch::channel(true), watch::channel(true));
    let (at, progress) = (host.at, Arc::<Progress>::default());
    let (passed, known) = (gate.clone(), Arc::clone(&progress));
    let server = run(async move {
        serve(TcpListener::from_std(listener).unwrap(), 1, passed, known).await;
    });
    let client = run(visit(at, 1..2, GB, [go, gate], progress));
    client.join().unwrap();
    server.join().unwrap();
    let report = host.settle();
    let counted = (report.number("/totals/bytes_in"), report.number("/totals/bytes_out"));
    let most = host.memory("VmHWM:");
    println!("bytes: {counted:?}; kB resident: {before} before, {most} at most");
    assert_eq!(counted, (GB / 2 + 17, GB / 2 + 1));
    assert!(most - before < 4 * STUCK, "{} kB more", most - before);
}
