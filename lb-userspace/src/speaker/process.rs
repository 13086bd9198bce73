//! The speaker's process, from its start to its end.

use std::{
    io,
    os::{
        fd::{AsRawFd as _, RawFd},
        unix::process::CommandExt as _,
    },
    path::Path,
    process::Command,
    sync::Arc,
};

use rustix::mm::{MlockAllFlags, mlockall};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
};

use super::{
    engine::{End, Engine},
    legacy::Legacy,
    message::{Holdings, Order, VERSION},
};
use crate::{
    api::server::bind,
    companion::{
        legacy::{bequeath, inherit},
        server::{News, serve},
    },
    topology::{self, Topology},
};

/// Above everything that is not real-time, below what the kernel runs so.
const PRIORITY: libc::c_int = 10;

/// The command's name, which a daemon starts it by.
pub const COMMAND: &str = "vrrp-speaker";

/// Speaks until it is told to end for good, or by SIGTERM or SIGINT: then it gives up its addresses.
///
/// `legacy` is the number of the open file that an earlier speaker left.
pub async fn run(socket: &Path, legacy: Option<RawFd>) -> anyhow::Result<()> {
    let mut legacy = legacy.map_or_else(|| Ok(Legacy::default()), inherit)?;
    let topology = follow()?;
    hurry();
    loop {
        let (publisher, view) = watch::channel(Holdings::default());
        let (noter, notes) = mpsc::unbounded_channel();
        let (sender, orders) = mpsc::channel(64);
        let mut engine = Engine::new(topology.clone(), publisher, noter)?;
        engine.resume(legacy).await;
        let listener = bind(socket)?;
        let server =
            tokio::spawn(serve(listener, News { version: VERSION, view, notes }, sender.clone()));
        let signals = tokio::spawn(resign_at_signals(sender)?);
        let end = engine.run(orders).await;
        server.abort();
        signals.abort();
        let _closed = tokio::join!(server, signals);
        match end {
            End::Resigned => {
                let _gone = std::fs::remove_file(socket);
                return Ok(());
            }
            End::Replaced(program, left) => {
                legacy = left;
                // It returns only if it fails.
                let error = replace(&program, socket, &legacy);
                tracing::error!("cannot go on as {}: {error}", program.display());
            }
        }
    }
}

async fn send_resign(orders: mpsc::Sender<Order>) {
    let _gone = orders.send(Order::Resign).await;
}

fn resign_at_signals(
    orders: mpsc::Sender<Order>,
) -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        send_resign(orders).await;
    })
}

/// The links, from a thread of its own: a table of many neighbours must not delay an advert.
fn follow() -> io::Result<watch::Receiver<Arc<Topology>>> {
    let (publisher, followed) = watch::channel(Arc::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let thread = std::thread::Builder::new().name("links".into());
    drop(thread.spawn(move || {
        runtime.block_on(async move {
            let (mut topology, _follower) = match topology::netlink::follow() {
                Ok(following) => following,
                Err(error) => {
                    tracing::error!("links cannot be followed: {error}");
                    return;
                }
            };
            while topology.changed().await.is_ok() {
                if publisher.send(topology.borrow_and_update().clone()).is_err() {
                    return;
                }
            }
        });
    })?);
    Ok(followed)
}

/// Lets adverts be in time on a busy machine (a late master is a dead one to its backups): real-time
/// scheduling for this thread alone, and no page of it on a disk.
fn hurry() {
    let parameters = libc::sched_param { sched_priority: PRIORITY };
    let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
    // SAFETY: it reads the parameters during the call.
    if unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) } != 0 {
        let error = io::Error::last_os_error();
        tracing::warn!("adverts may be late on a busy machine: no real-time priority: {error}");
    }
    if let Err(error) = mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE) {
        tracing::warn!("adverts may be late when memory is short: it cannot be locked: {error}");
    }
}

/// Becomes another program; adverts are due again before anybody has missed one.
fn replace(program: &Path, socket: &Path, legacy: &Legacy) -> io::Error {
    let file = match bequeath(legacy) {
        Ok(file) => file,
        Err(error) => return error,
    };
    let number = file.as_raw_fd().to_string();
    Command::new(program).arg("--socket").arg(socket).args([COMMAND, "--legacy", &number]).exec()
}
