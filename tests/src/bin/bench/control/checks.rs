//! Health checks of many backends: what they take of a CPU.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use lb_common::{
    addr::{Port, Protocol},
    service::ServiceKey,
};
use lb_userspace::{
    config::{Check, CheckKind, Flap, Through},
    health::{
        Target, TargetKey, Targets,
        probe::{Network, Prober},
        sm::Outcome,
        supervisor,
    },
};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use tokio::{net::TcpListener, runtime, sync::watch, time::sleep};

pub(super) const BACKENDS: u32 = 10_000;
pub(super) const MEASURED: Duration = Duration::from_secs(20);
/// The most that the checks may take of one CPU, in percent.
const BAR: f64 = 30.0;
const INTERVAL: Duration = Duration::from_secs(1);
/// Ports that are listened at; each has a hundredth of the backends, by their addresses.
const PORTS: u32 = 100;

/// What the checks took.
#[derive(Serialize)]
pub(super) struct Checked {
    backends: u32,
    seconds: f64,
    /// Checks that ended well meanwhile.
    checks: u64,
    /// Of one CPU, in user space and in the kernel.
    percent: f64,
}

/// Every backend is checked by TCP each second: the thread that checks is measured, with what the
/// kernel does in it, which on loopback is the peer's part of the handshake as well.
pub(super) fn measure() -> Result<Checked> {
    let good = Arc::new(AtomicU64::new(0));
    let ports = listen()?;
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (_targets, receiver) = watch::channel(Arc::new(targets(&ports)));
        let prober = Counted { network: Network::default(), good: good.clone() };
        let (view, _task) = supervisor::spawn_with(receiver, prober);
        // They begin as down: all have proven themselves when it begins.
        sleep(3 * INTERVAL).await;
        let down = || view.borrow().values().filter(|finding| !finding.up).count();
        ensure!(down() == 0, "{} of {BACKENDS} backends are down at the start", down());
        let (cpu, count) = (thread_time(), good.load(Ordering::Relaxed));
        let start = std::time::Instant::now();
        sleep(MEASURED).await;
        let (seconds, cpu) = (start.elapsed().as_secs_f64(), thread_time().saturating_sub(cpu));
        let checks = good.load(Ordering::Relaxed) - count;
        ensure!(down() == 0, "{} of {BACKENDS} backends are down at the end", down());
        let expected = u64::from(BACKENDS) * MEASURED.as_secs();
        ensure!(checks * 100 > expected * 99, "{checks} checks, not {expected}");
        Ok(Checked {
            backends: BACKENDS,
            seconds,
            checks,
            percent: 100.0 * cpu.as_secs_f64() / seconds,
        })
    })
}

/// Counts what ends well.
#[derive(Clone)]
struct Counted {
    network: Network,
    good: Arc<AtomicU64>,
}

impl Prober for Counted {
    async fn probe(self, key: TargetKey, target: Arc<Target>) -> Option<Outcome> {
        let outcome = self.network.probe(key, target).await;
        let good = outcome.as_ref().is_some_and(|outcome| outcome.ok);
        let _ = self.good.fetch_add(u64::from(good), Ordering::Relaxed);
        outcome
    }
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { backends, seconds, checks, percent } = self;
        let verdict = if *percent <= BAR { "met" } else { "missed" };
        write!(
            f,
            "{backends} backends by tcp each second: {checks} checks in {seconds:.1} s take \
             {percent:.1} % of a CPU (at most {BAR} %: {verdict})"
        )
    }
}

/// The CPU time of this thread.
fn thread_time() -> Duration {
    // Never negative.
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap_or_default()
}

/// Accepts connections in another thread; gives the ports.
fn listen() -> Result<Vec<u16>> {
    let (ready, ports) = mpsc::channel();
    drop(thread::spawn(move || -> Result<()> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut ports = Vec::new();
            for _ in 0..PORTS {
                let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
                ports.push(listener.local_addr()?.port());
                drop(tokio::spawn(accept(listener)));
            }
            ready.send(ports)?;
            std::future::pending().await
        })
    }));
    ports.recv().context("the listeners did not start")
}

async fn accept(listener: TcpListener) {
    while let Ok(connection) = listener.accept().await {
        drop(connection);
    }
}

fn targets(ports: &[u16]) -> Targets {
    let vip = Ipv4Addr::new(192, 0, 2, 1).octets();
    let service =
        ServiceKey::new(lb_common::addr::Addr::from_v4(vip), Port::new(80), Protocol::TCP);
    let check = Arc::new(Check {
        kind: CheckKind::Tcp,
        through: Through::Direct,
        port: None,
        interval: INTERVAL,
        fast_interval: INTERVAL,
        timeout: INTERVAL / 2,
        rise: 1,
        fall: 1,
        slow_start: Duration::ZERO,
        flap: Flap::default(),
    });
    let target = |number: u32| {
        let address = Ipv4Addr::from_bits(0x7f01_0001 + number / PORTS);
        let port = ports[(number % PORTS) as usize];
        let key = TargetKey::Service { service, backend: SocketAddr::from((address, port)) };
        let names = ("web".to_owned(), format!("web{number}"));
        (
            key,
            Target { names, check: check.clone(), alias: None, header: None, initially_up: false },
        )
    };
    (0..BACKENDS).map(target).collect()
}
