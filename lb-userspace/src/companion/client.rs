//! The daemon's end of a companion's socket.

use std::{
    io,
    os::unix::net::UnixStream as StdStream,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, watch},
    time::sleep,
};

use super::{Said, build, if_there, line};
use crate::events::{Event, Events, Kind};

/// How long a companion that does not come is waited for before it is started again.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a new one takes to listen, at the least.
const BEGINNING: Duration = Duration::from_millis(5);

/// What a daemon wants of a kind of companion.
pub trait Wishes: Send + Sync + 'static {
    /// What it says to it.
    type Order: Serialize + Send + 'static;
    /// How all is that the companion holds.
    type View: DeserializeOwned + Clone + Send + Sync + 'static;
    /// What happens there.
    type Noted: DeserializeOwned + Send;

    /// What people call it.
    const NAME: &'static str;
    /// The command that it runs as.
    const COMMAND: &'static str;
    /// The version of what is said. Between different ones, only [`Said::Hello`] and [`Wishes::replace`]
    /// are understood for sure.
    const VERSION: u32;

    /// The order to go on as another program.
    fn replace(program: PathBuf) -> Self::Order;
    /// What happened, as an event of the node.
    fn event(noted: &Self::Noted) -> Event;
    /// Whether nobody wishes anything any more.
    fn is_over(&self) -> bool;
    /// Ready when there is anything to do for a companion.
    fn needed(&mut self) -> impl Future<Output = ()> + Send;
    /// Another companion listens, which knows of nothing yet.
    fn again(&mut self);
    /// The next order. It may be dropped before it is ready.
    fn next(&mut self) -> impl Future<Output = Self::Order> + Send;
}

/// A companion, as the daemon sees it.
#[derive(Debug)]
pub struct Companion<W: Wishes> {
    view: watch::Receiver<Option<W::View>>,
    orders: mpsc::Sender<W::Order>,
}

impl<W: Wishes> Companion<W> {
    /// How all that it holds is; `None` while none answers.
    #[must_use]
    pub fn view(&self) -> Option<W::View> {
        self.view.borrow().clone()
    }

    /// Gives an order; it is forgotten while none answers.
    pub fn order(&self, order: W::Order) {
        let _lost = self.orders.try_send(order);
    }
}

/// Keeps in touch with the companion behind a socket, in a task of the current runtime: starts it as soon as
/// there is anything to do, and leaves it running.
#[must_use]
pub fn spawn<W: Wishes>(socket: PathBuf, wishes: W, events: Events) -> Companion<W> {
    let (publisher, view) = watch::channel(None);
    let (orders, wanted) = mpsc::channel(16);
    // It ends with the runtime.
    drop(tokio::spawn(Contact { socket, wishes, events, publisher, wanted, stuck: None }.keep()));
    Companion { view, orders }
}

/// Gives an order that ends a companion, and waits until it has closed its socket; gives whether there was
/// one.
pub fn end<Order: Serialize>(socket: &Path, order: &Order) -> io::Result<bool> {
    use std::io::Write as _;
    let Some(mut stream) = if_there(StdStream::connect(socket))? else { return Ok(false) };
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(&line(order)?)?;
    let _said = io::copy(&mut stream, &mut io::sink())?;
    Ok(true)
}

struct Contact<W: Wishes> {
    socket: PathBuf,
    wishes: W,
    events: Events,
    publisher: watch::Sender<Option<W::View>>,
    wanted: mpsc::Receiver<W::Order>,
    /// The companion's program that could not be replaced.
    stuck: Option<String>,
}

impl<W: Wishes> Contact<W> {
    async fn keep(mut self) {
        loop {
            let stream = self.connect().await;
            if let Err(error) = self.talk(stream).await {
                tracing::warn!("{} is gone: {error}", W::NAME);
            }
            let _ = self.publisher.send_replace(None);
            if self.wishes.is_over() {
                return;
            }
        }
    }

    /// The companion that runs, or a new one if there is anything to do.
    async fn connect(&mut self) -> UnixStream {
        loop {
            if let Ok(stream) = UnixStream::connect(&self.socket).await {
                return stream;
            }
            self.wishes.needed().await;
            if let Some(stream) = self.start().await {
                return stream;
            }
        }
    }

    /// Starts a companion, which outlives this process.
    async fn start(&self) -> Option<UnixStream> {
        let started = std::env::current_exe().and_then(|program| {
            tokio::process::Command::new(program)
                .arg("--socket")
                .arg(&self.socket)
                .arg(W::COMMAND)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .process_group(0)
                .spawn()
        });
        if let Err(error) = started {
            tracing::error!("{} cannot be started: {error}", W::NAME);
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
        self.wishes.again();
        loop {
            let order = tokio::select! {
                order = self.wishes.next() => order,
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

    /// Makes sure that the companion is of this daemon's program; gives whether it is.
    async fn greet(
        &mut self,
        lines: &mut Lines<BufReader<OwnedReadHalf>>,
        writer: &mut OwnedWriteHalf,
    ) -> io::Result<bool> {
        let hello = lines.next_line().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let hello: Said<serde_json::Value, serde_json::Value> = serde_json::from_str(&hello)?;
        let Said::Hello { version, build: other, pid } = hello else {
            return Err(io::Error::other("it does not say what it is"));
        };
        if (version, &other) == (W::VERSION, &build()) {
            return Ok(true);
        }
        if self.stuck.replace(other.clone()).as_ref() == Some(&other) {
            // It has tried, and its log says why it could not.
            let cause = format!("{} (process {pid}) stays as it is, lb {other}", W::NAME);
            self.events.note(Event::new(Kind::Failing, cause));
            sleep(PATIENCE).await;
            return Ok(version == W::VERSION);
        }
        tracing::info!("{} (process {pid}) goes on as this program", W::NAME);
        let program = std::env::current_exe()?;
        writer.write_all(&line(&W::replace(program))?).await?;
        // It closes the connection as it changes.
        while lines.next_line().await?.is_some() {}
        sleep(BEGINNING).await;
        Ok(false)
    }

    fn hear(&self, said: Said<W::View, W::Noted>) {
        match said {
            Said::Hello { .. } => {}
            Said::View(view) => drop(self.publisher.send_replace(Some(view))),
            Said::Noted(noted) => self.events.note(W::event(&noted)),
        }
    }
}
