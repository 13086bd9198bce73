//! The daemon's end of the speaker's socket.

use std::{
    io,
    os::unix::net::UnixStream as StdStream,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, watch},
    time::sleep,
};

use super::{
    message::{Duties, Holdings, Noted, Order, Report, RouteState, Said, VERSION, What, build},
    process::COMMAND,
};
use crate::{
    events::{Event, Events, Kind},
    vrrp::State,
};

/// How long a speaker that does not come is waited for before it is started again.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a new one takes to listen, at the least.
const BEGINNING: Duration = Duration::from_millis(5);

/// What the speaker is to know.
pub struct Wishes {
    /// What it is there for.
    pub duties: watch::Receiver<Duties>,
    /// What is seen of what is tracked, as soon as anything is: nothing must not look like a failure.
    pub report: watch::Receiver<Option<Report>>,
}

/// The speaker, as the daemon sees it.
#[derive(Clone, Debug)]
pub struct Speaker {
    holdings: watch::Receiver<Option<Holdings>>,
    orders: mpsc::Sender<Order>,
}

impl Speaker {
    /// How all that it holds is; `None` while no speaker answers.
    #[must_use]
    pub fn holdings(&self) -> Option<Holdings> {
        self.holdings.borrow().clone()
    }

    /// Gives an order; it is forgotten while no speaker answers.
    pub fn order(&self, order: Order) {
        let _lost = self.orders.try_send(order);
    }
}

/// Keeps in touch with the speaker behind a socket, in a task of the current runtime: starts it as soon as
/// there is anything to speak for, and leaves it running.
#[must_use]
pub fn spawn(socket: PathBuf, wishes: Wishes, events: Events) -> Speaker {
    let (publisher, holdings) = watch::channel(None);
    let (orders, wanted) = mpsc::channel(16);
    // It ends with the runtime.
    drop(tokio::spawn(Contact { socket, wishes, events, publisher, wanted, stuck: None }.keep()));
    Speaker { holdings, orders }
}

/// Tells a speaker to end for good, and waits until it has; gives whether there was one.
pub fn resign(socket: &Path) -> io::Result<bool> {
    use std::io::Write as _;
    let mut stream = match StdStream::connect(socket) {
        Ok(stream) => stream,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            return Ok(false);
        }
        Err(error) => return Err(error),
    };
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(&line(&Order::Resign)?)?;
    let _said = io::copy(&mut stream, &mut io::sink())?;
    Ok(true)
}

struct Contact {
    socket: PathBuf,
    wishes: Wishes,
    events: Events,
    publisher: watch::Sender<Option<Holdings>>,
    wanted: mpsc::Receiver<Order>,
    /// The speaker's program that could not be replaced.
    stuck: Option<String>,
}

impl Contact {
    async fn keep(mut self) {
        loop {
            let stream = self.connect().await;
            if let Err(error) = self.talk(stream).await {
                tracing::warn!("the VRRP speaker is gone: {error}");
            }
            let _ = self.publisher.send_replace(None);
            if self.wishes.duties.has_changed().is_err() {
                return;
            }
        }
    }

    /// The speaker that runs, or a new one if there is anything to speak for.
    async fn connect(&mut self) -> UnixStream {
        loop {
            if let Ok(stream) = UnixStream::connect(&self.socket).await {
                return stream;
            }
            if self.wishes.duties.borrow_and_update().is_empty() {
                if self.wishes.duties.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
                continue;
            }
            if let Some(stream) = self.start().await {
                return stream;
            }
        }
    }

    /// Starts a speaker, which outlives this process.
    async fn start(&self) -> Option<UnixStream> {
        let started = std::env::current_exe().and_then(|program| {
            tokio::process::Command::new(program)
                .arg("--socket")
                .arg(&self.socket)
                .arg(COMMAND)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .process_group(0)
                .spawn()
        });
        if let Err(error) = started {
            tracing::error!("no VRRP speaker can be started: {error}");
        }
        let mut pause = BEGINNING;
        while pause < PATIENCE {
            sleep(pause).await;
            if let Ok(stream) = UnixStream::connect(&self.socket).await {
                return Some(stream);
            }
            pause *= 2;
        }
        None
    }

    async fn talk(&mut self, stream: UnixStream) -> io::Result<()> {
        let (reader, mut writer) = stream.into_split();
        let mut lines = BufReader::new(reader).lines();
        if !self.greet(&mut lines, &mut writer).await? {
            return Ok(());
        }
        self.wishes.duties.mark_changed();
        self.wishes.report.mark_changed();
        loop {
            let order = tokio::select! {
                Ok(()) = self.wishes.duties.changed() => {
                    let duties = self.wishes.duties.borrow_and_update().clone();
                    if duties.is_empty() { Order::Resign } else { Order::Configure(duties) }
                }
                Ok(()) = self.wishes.report.changed() => {
                    let report = self.wishes.report.borrow_and_update().clone();
                    let Some(report) = report else { continue };
                    Order::Report(report)
                }
                Some(order) = self.wanted.recv() => order,
                line = lines.next_line() => {
                    let Some(line) = line? else { return Ok(()) };
                    self.hear(serde_json::from_str(&line)?);
                    continue;
                }
            };
            writer.write_all(&line(&order)?).await?;
        }
    }

    /// Makes sure that the speaker is of this daemon's program; gives whether it is.
    async fn greet(
        &mut self,
        lines: &mut Lines<BufReader<OwnedReadHalf>>,
        writer: &mut OwnedWriteHalf,
    ) -> io::Result<bool> {
        let hello = lines.next_line().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let Said::Hello { version, build: other, pid } = serde_json::from_str(&hello)? else {
            return Err(io::Error::other("it does not say what it is"));
        };
        if (version, &other) == (VERSION, &build()) {
            return Ok(true);
        }
        if self.stuck.replace(other.clone()).as_ref() == Some(&other) {
            // It has tried, and its log says why it could not.
            let cause = format!("the VRRP speaker (process {pid}) stays as it is, lb {other}");
            self.events.note(Event::new(Kind::Failing, cause));
            sleep(PATIENCE).await;
            return Ok(version == VERSION);
        }
        tracing::info!("the VRRP speaker (process {pid}) goes on as this program");
        let program = std::env::current_exe()?;
        writer.write_all(&line(&Order::Replace(program))?).await?;
        // It closes the connection as it changes.
        while lines.next_line().await?.is_some() {}
        sleep(BEGINNING).await;
        Ok(false)
    }

    fn hear(&self, said: Said) {
        match said {
            Said::Hello { .. } => {}
            Said::View(view) => drop(self.publisher.send_replace(Some(view))),
            Said::Noted(noted) => self.events.note(event(&noted)),
        }
    }
}

/// What has happened to a virtual router or a route, as an event of the node.
fn event(Noted { subject, what }: &Noted) -> Event {
    let (kind, cause) = match what {
        What::Became(state, cause) => {
            let kind = match state {
                State::Master => Kind::Master,
                State::Backup => Kind::Backup,
                State::Fault => Kind::Fault,
            };
            (kind, cause.to_string())
        }
        What::Rival(peer) => {
            let cause = format!(
                "{} is master as well, with priority {}: the link between the nodes is split, or was",
                peer.address, peer.priority
            );
            (Kind::SplitBrain, cause)
        }
        What::RivalGone(peer) => {
            (Kind::SplitHealed, format!("{} is not master any more", peer.address))
        }
        What::Route(state, cause, who) => {
            let kind = match state {
                RouteState::Announced => Kind::Announced,
                RouteState::Withdrawn => Kind::Withdrawn,
            };
            return Event::new(kind, cause).of_route(subject).by(who);
        }
    };
    Event::new(kind, cause).of_router(subject)
}

fn line(order: &Order) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(order)?;
    line.push(b'\n');
    Ok(line)
}
