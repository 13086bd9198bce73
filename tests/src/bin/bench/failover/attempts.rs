//! Connections that begin one after another, and what became of each.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::Result;
use lb_tests::netns::Netns;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{MissedTickBehavior, interval, timeout},
};

/// From one beginning to the next: 200 a second.
pub(super) const PACE: Duration = Duration::from_millis(5);
/// An answer that takes longer was lost on its way, and something was sent again.
const PROMPT: Duration = Duration::from_millis(100);
/// A connection that was not answered by then has failed: beyond three retransmissions of a SYN.
const PATIENCE: Duration = Duration::from_secs(8);

/// When one began, and how long its answer took.
type Attempt = (Instant, Option<Duration>);

/// A thread that opens connections until it is asked what became of them.
pub(super) struct Attempts {
    stop: Arc<AtomicBool>,
    made: Arc<Mutex<Vec<Attempt>>>,
    thread: JoinHandle<()>,
}

/// What clients saw.
pub(super) struct Seen {
    /// The longest time in which no connection that began was answered promptly.
    pub(super) gap: Duration,
    /// Connections that were never answered.
    pub(super) failed: usize,
}

impl Attempts {
    pub(super) fn start(client: &Netns, to: SocketAddr) -> Result<Self> {
        let (stop, made) = (Arc::<AtomicBool>::default(), Arc::<Mutex<Vec<_>>>::default());
        let (stopped, list) = (Arc::clone(&stop), Arc::clone(&made));
        let thread = client.spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            match runtime {
                Ok(runtime) => runtime.block_on(attempts(to, &stopped, &list)),
                Err(error) => eprintln!("no runtime: {error}"),
            }
        })?;
        Ok(Self { stop, made, thread })
    }

    /// Ends them, when the last has been answered or has failed.
    pub(super) fn finish(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        if self.thread.join().is_err() {
            eprintln!("the thread of connections panicked");
        }
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner).clone();
        made.sort();
        let is_prompt = |took: &Option<Duration>| took.is_some_and(|took| took < PROMPT);
        let prompt: Vec<_> = made.iter().filter(|(_, took)| is_prompt(took)).collect();
        let pairs = prompt.windows(2);
        let gap = pairs.map(|pair| pair[1].0.duration_since(pair[0].0)).max().unwrap_or(PATIENCE);
        let failed = made.iter().filter(|(_, took)| took.is_none()).count();
        Seen { gap: gap.saturating_sub(PACE), failed }
    }
}

async fn attempts(to: SocketAddr, stop: &AtomicBool, made: &Arc<Mutex<Vec<Attempt>>>) {
    let mut beat = interval(PACE);
    beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut running = tokio::task::JoinSet::new();
    while !stop.load(Ordering::Relaxed) {
        let _ = beat.tick().await;
        let made = Arc::clone(made);
        let _ = running.spawn(async move {
            let begun = Instant::now();
            let answered = matches!(timeout(PATIENCE, ask(to)).await, Ok(Ok(())));
            let took = answered.then(|| begun.elapsed());
            made.lock().unwrap_or_else(PoisonError::into_inner).push((begun, took));
        });
        while running.try_join_next().is_some() {}
    }
    while running.join_next().await.is_some() {}
}

/// A connection of one word and its answer.
async fn ask(to: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect(to).await?;
    stream.write_all(&7u64.to_be_bytes()).await?;
    let mut answer = [0; 9];
    let _ = stream.read_exact(&mut answer).await?;
    Ok(())
}
