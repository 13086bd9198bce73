//! Long-lived TCP connections that say something ten times a second, and know whom they talk to.

use std::{
    collections::BTreeMap,
    io,
    net::{Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    runtime,
    sync::watch,
    time::{MissedTickBehavior, interval, timeout},
};

use crate::{Error, netns::Netns, nginx::Web};

/// How often each connection says something, whatever was answered so far.
const PACE: Duration = Duration::from_millis(100);
/// A connection that hears nothing for so long is broken: far beyond a few lost packets.
const SILENCE: Duration = Duration::from_secs(15);
/// So many at a time are opened.
const BURST: usize = 50;

/// A thread with a runtime of its own, in a namespace; it ends on drop.
#[derive(Debug)]
struct Worker {
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Runs `work` until it ends; it is told when it is to.
    fn start<F: Future<Output = ()>>(
        netns: &Netns,
        work: impl FnOnce(watch::Receiver<bool>) -> F + Send + 'static,
    ) -> Result<Self, Error> {
        let (stop, stopped) = watch::channel(false);
        let thread = netns.spawn(move || {
            match runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime.block_on(work(stopped)),
                Err(error) => eprintln!("no runtime: {error}"),
            }
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }

    fn end(&mut self) {
        let _: bool = self.stop.send_replace(true);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            eprintln!("a thread of sessions panicked");
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.end();
    }
}

/// A TCP server that echoes eight bytes at a time, each with its own number behind.
#[derive(Debug)]
pub struct Server(#[expect(dead_code, reason = "ends on drop")] Worker);

impl Server {
    /// Starts one on a web server's machine, at all its addresses.
    pub fn start(web: &Web, number: u8, ports: &'static [u16]) -> Result<Self, Error> {
        let name = web.name.clone();
        let worker = Worker::start(&web.netns, move |mut stopped| async move {
            for &port in ports {
                match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
                    Ok(listener) => drop(tokio::spawn(serve(listener, number))),
                    Err(error) => eprintln!("{name}: port {port}: {error}"),
                }
            }
            // An error means that nobody is left to wait for.
            drop(stopped.wait_for(|stop| *stop).await);
        })?;
        Ok(Self(worker))
    }
}

async fn serve(listener: TcpListener, number: u8) {
    while let Ok((stream, _)) = listener.accept().await {
        drop(tokio::spawn(async move {
            // The client judges; here an error is an end like any other.
            drop(echo(stream, number).await);
        }));
    }
}

async fn echo(mut stream: TcpStream, number: u8) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut word = [0; 9];
    word[8] = number;
    loop {
        let _: usize = stream.read_exact(&mut word[..8]).await?;
        stream.write_all(&word).await?;
    }
}

/// How a session stands.
#[derive(Clone, Debug)]
pub enum Fate {
    /// It goes on with this server.
    Live(u8),
    /// It ended, for this reason.
    Broken {
        /// The server that it had.
        server: Option<u8>,
        /// When.
        at: Instant,
        /// Why.
        error: String,
    },
}

type Fates = Arc<Mutex<BTreeMap<usize, Fate>>>;
/// When each was answered last.
type Answers = Arc<Mutex<BTreeMap<usize, Instant>>>;

/// Sessions from one namespace.
#[derive(Debug)]
pub struct Sessions {
    worker: Worker,
    fates: Fates,
    answers: Answers,
}

impl Sessions {
    /// Opens `count` of them, in turn to each of the addresses.
    pub fn start(netns: &Netns, to: Vec<SocketAddr>, count: usize) -> Result<Self, Error> {
        let (fates, answers) = (Fates::default(), Answers::default());
        let shared = (Arc::clone(&fates), Arc::clone(&answers));
        let worker = Worker::start(netns, move |mut stopped| async move {
            for (number, address) in to.into_iter().cycle().take(count).enumerate() {
                drop(tokio::spawn(session(number, address, shared.clone())));
                if number % BURST == BURST - 1 {
                    tokio::time::sleep(PACE / 4).await;
                }
            }
            drop(stopped.wait_for(|stop| *stop).await);
        })?;
        Ok(Self { worker, fates, answers })
    }

    /// How those stand that have been answered at least once, or have ended.
    #[must_use]
    pub fn fates(&self) -> BTreeMap<usize, Fate> {
        lock(&self.fates).clone()
    }

    /// How many have been answered since a moment.
    #[must_use]
    pub fn answered_since(&self, moment: Instant) -> usize {
        lock(&self.answers).values().filter(|last| **last >= moment).count()
    }

    /// Ends them all; how they stood.
    #[must_use]
    pub fn finish(mut self) -> BTreeMap<usize, Fate> {
        let fates = self.fates();
        self.worker.end();
        fates
    }
}

async fn session(number: usize, address: SocketAddr, (fates, answers): (Fates, Answers)) {
    let mut server = None;
    let end = talk(address, &mut server, |server, is_first| {
        let _ = lock(&answers).insert(number, Instant::now());
        if is_first {
            let _: Option<Fate> = lock(&fates).insert(number, Fate::Live(server));
        }
    });
    if let Err(error) = end.await {
        let (at, error) = (Instant::now(), error.to_string());
        let _: Option<Fate> = lock(&fates).insert(number, Fate::Broken { server, at, error });
    }
}

/// Says a word at every tick, and takes the answers as they come.
async fn talk(
    address: SocketAddr,
    server: &mut Option<u8>,
    heard: impl Fn(u8, bool),
) -> io::Result<()> {
    let stream = TcpStream::connect(address).await?;
    // What is lost must not hold back what comes behind.
    stream.set_nodelay(true)?;
    let (mut reader, mut writer) = stream.into_split();
    let say = async {
        let mut tick = interval(PACE);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for word in 0u64.. {
            let _: tokio::time::Instant = tick.tick().await;
            writer.write_all(&word.to_be_bytes()).await?;
        }
        Ok(())
    };
    let hear = async {
        for word in 0u64.. {
            let mut answer = [0; 9];
            let _: usize = timeout(SILENCE, reader.read_exact(&mut answer)).await??;
            let [said @ .., name] = answer;
            if u64::from_be_bytes(said) != word {
                return Err(io::Error::other("an answer to something else"));
            }
            match server.replace(name) {
                None => heard(name, true),
                Some(before) if before == name => heard(name, false),
                Some(_) => return Err(io::Error::other("another server answered")),
            }
        }
        Ok(())
    };
    let both: (io::Result<()>, io::Result<()>) = tokio::select! {
        end = say => (end, Ok(())),
        end = hear => (Ok(()), end),
    };
    both.0.and(both.1)
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
