//! The forwarder's process, from its start to its end.

use std::{
    io::{self, Write as _},
    os::fd::{AsRawFd as _, RawFd},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::Context as _;
use rustix::{
    process::{Resource, Rlimit, getrlimit, setrlimit},
    thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities},
};
use tokio::{
    io::AsyncReadExt as _,
    process::Command,
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Interval, MissedTickBehavior, interval, timeout},
};

use super::{
    desk::{self, Asked, Desk, Question},
    host::Host,
    legacy::Legacy,
    message::{Holdings, Noted, Order, VERSION},
};
use crate::{
    api::server::bind,
    companion::{
        legacy::{bequeath, inherit},
        server::{News, serve},
    },
    proxy::{self, mysql::monitor::Told},
};

/// The command's name, which a daemon starts it by.
pub const COMMAND: &str = "proxy-forwarder";

/// How often the daemon is told how all is.
const ROUND: Duration = Duration::from_secs(1);
/// How often it is looked whether the last session has ended.
const GLANCE: Duration = Duration::from_millis(50);
/// How long another program may take to go on.
const PATIENCE: Duration = Duration::from_secs(10);

/// Hosts proxies until it is told to end, or another program goes on; and then until its sessions have ended.
///
/// `legacy` is the number of the open file that an earlier forwarder left.
pub async fn run(socket: &Path, legacy: Option<RawFd>) -> anyhow::Result<()> {
    prepare();
    let mut process = Process::new(socket)?;
    if let Some(number) = legacy {
        let legacy: Legacy = inherit(number)?;
        process.host.take_over(legacy)?;
    }
    let mut server = process.listen()?;
    if legacy.is_some() {
        io::stdout().write_all(b"ready\n").context("cannot tell the process before")?;
    }
    loop {
        let end = process.work().await;
        if let End::Replaced(program) = end {
            let Err(error) = process.succeed(&program).await else { break };
            tracing::error!("cannot go on as {}: {error:#}", program.display());
            server.abort();
            server = process.listen()?;
            continue;
        }
        let _gone = std::fs::remove_file(socket);
        if let End::Over = end {
            return Ok(());
        }
        break;
    }
    server.abort();
    process.fade().await;
    Ok(())
}

/// How its work ends.
enum End {
    /// Its sessions have their time.
    Resigned,
    /// This program goes on.
    Replaced(PathBuf),
    /// At once, with its sessions.
    Over,
}

struct Process {
    socket: PathBuf,
    host: Host,
    told: mpsc::UnboundedReceiver<Told>,
    desk: Desk,
    ask: mpsc::Sender<Asked>,
    asked: mpsc::Receiver<Asked>,
    terminate: Signal,
    interrupt: Signal,
    // For the daemon, and from it.
    publisher: watch::Sender<Holdings>,
    noter: mpsc::UnboundedSender<Noted>,
    orders: mpsc::Receiver<Order>,
    /// For the processes that this one follows.
    followed: watch::Sender<Vec<proxy::Order>>,
}

impl Process {
    fn new(socket: &Path) -> anyhow::Result<Self> {
        let (host, told) = Host::new();
        let (ask, asked) = mpsc::channel(16);
        let followed = watch::Sender::default();
        drop(tokio::spawn(pass_on(socket.to_owned(), followed.subscribe())));
        Ok(Self {
            socket: socket.to_owned(),
            host,
            told,
            desk: Desk::open(socket)?,
            ask,
            asked,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            publisher: watch::Sender::new(Holdings::default()),
            noter: mpsc::unbounded_channel().0,
            orders: mpsc::channel(1).1,
            followed,
        })
    }

    /// Lets a daemon come.
    fn listen(&mut self) -> anyhow::Result<JoinHandle<()>> {
        let (noter, notes) = mpsc::unbounded_channel();
        let (sender, orders) = mpsc::channel(64);
        (self.noter, self.orders) = (noter, orders);
        let news = News { version: VERSION, view: self.publisher.subscribe(), notes };
        Ok(tokio::spawn(serve(bind(&self.socket)?, news, sender)))
    }

    async fn work(&mut self) -> End {
        let mut round = ticks(ROUND);
        loop {
            tokio::select! {
                Some(order) = self.orders.recv() => if let Some(end) = self.obey(order) {
                    return end;
                },
                Some(told) = self.told.recv() => self.hear(told),
                Some(asked) = self.asked.recv() => if self.answer(asked) {
                    return End::Over;
                },
                () = self.desk.open_door(&self.ask) => {}
                _ = round.tick() => {
                    self.host.retry();
                    self.publish();
                }
                _ = self.terminate.recv() => return End::Resigned,
                _ = self.interrupt.recv() => return End::Resigned,
            }
        }
    }

    fn obey(&mut self, order: Order) -> Option<End> {
        match order {
            Order::Resign => return Some(End::Resigned),
            Order::Replace(program) => return Some(End::Replaced(program)),
            Order::Configure(duties) => match self.host.configure(duties) {
                Ok(false) => {
                    let _before = self.followed.send_replace(self.host.orders().to_vec());
                    self.publish();
                }
                Ok(true) => match std::env::current_exe() {
                    Ok(program) => return Some(End::Replaced(program)),
                    Err(error) => tracing::error!("cannot begin anew: {error}"),
                },
                Err(error) => tracing::error!("{error}"),
            },
        }
        None
    }

    /// Gives whether it is to end.
    fn answer(&mut self, (question, to): Asked) -> bool {
        let ends = question == Question::End;
        let _left = to.send(self.host.answer(question));
        ends
    }

    fn hear(&mut self, told: Told) {
        if let Some(noted) = self.host.hear(told) {
            let _nobody = self.noter.send(noted);
        }
        self.publish();
    }

    fn publish(&self) {
        let _before = self.publisher.send_replace(self.host.holdings());
    }

    /// Starts the program that goes on, and waits until it listens. The daemon, which is connected to this
    /// one meanwhile, starts no other.
    async fn succeed(&mut self, program: &Path) -> anyhow::Result<()> {
        let (legacy, sockets) = self.host.bequeath()?;
        let file = bequeath(&legacy)?;
        std::fs::remove_file(&self.socket)?;
        let mut child = Command::new(program)
            .arg("--socket")
            .arg(&self.socket)
            .args([COMMAND, "--legacy", &file.as_raw_fd().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let mut words = child.stdout.take().context("it has no stdout")?;
        let ready = timeout(PATIENCE, words.read_u8()).await;
        if matches!(ready, Ok(Ok(_))) {
            drop(sockets);
            return Ok(());
        }
        child.kill().await?;
        anyhow::bail!("it did not begin: its log says why");
    }

    /// Lets the sessions end.
    async fn fade(mut self) {
        self.host.drain();
        let mut glance = ticks(GLANCE);
        // The first is at once, when those who wait to be accepted are no sessions yet.
        let _at_once = glance.tick().await;
        loop {
            tokio::select! {
                Some(told) = self.told.recv() => drop(self.host.hear(told)),
                Some(asked) = self.asked.recv() => if self.answer(asked) {
                    return;
                },
                () = self.desk.open_door(&self.ask) => {}
                _ = glance.tick() => if self.host.load() == 0 {
                    self.host.finish();
                    return;
                },
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
            }
        }
    }
}

/// Passes on what this process is ordered, for as long as it works.
async fn pass_on(socket: PathBuf, mut followed: watch::Receiver<Vec<proxy::Order>>) {
    while followed.changed().await.is_ok() {
        let orders = followed.borrow_and_update().clone();
        if let Err(error) = desk::pass_on(&socket, orders).await {
            tracing::warn!("sessions of an earlier process do not hear of their backends: {error}");
        }
    }
}

fn ticks(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Takes as many open files as it may have, two for each session, and keeps no rights but those to ports
/// below 1024 and to other users' sockets.
fn prepare() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::warn!("the limit of open files stays: {error}");
    }
    let needed = CapabilitySet::NET_BIND_SERVICE | CapabilitySet::DAC_OVERRIDE;
    let less = capabilities(None).and_then(|CapabilitySets { permitted, .. }| {
        let kept = permitted & needed;
        let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: kept };
        set_capabilities(None, sets)
    });
    if let Err(error) = less {
        tracing::warn!("it keeps all rights: {error}");
    }
}
