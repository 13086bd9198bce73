//! What workers are told, by the host and by each other.

use std::{
    io,
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::Relaxed},
        mpsc::Sender,
    },
    time::{Duration, Instant},
};

use super::{
    end::End,
    live::Live,
    lock,
    pool::Member,
    queue::Address,
    session::Client,
    table::{SessionId, SessionView},
};
use crate::config::proxy::Place;

/// A message to a worker.
pub(super) enum Message {
    /// Accept from a socket.
    Listen { proxy: Arc<Live>, place: Place, socket: OwnedFd },
    /// Take what waits at a proxy's place, then accept no more there.
    Unlisten { proxy: Arc<Live>, place: Place },
    /// Serve a client that another worker accepted; it is counted already.
    Adopt { proxy: Arc<Live>, client: Client },
    /// A session that waits has a backend, which counts it already.
    Grant { session: Address, proxy: Arc<Live>, member: Arc<Member> },
    /// A proxy is no longer full.
    Resume,
    /// A proxy's timeouts may have changed.
    Retime { proxy: Arc<Live> },
    /// Look for events for so long, before sleeping.
    BusyPoll { limit: Duration },
    /// End a backend's sessions. Those that are still connecting to it seek another one.
    Close { member: Arc<Member>, end: End },
    /// End a session; answered if it is there.
    Kill { id: SessionId, answer: Sender<()> },
    /// Say which sessions there are.
    List { answer: Sender<Vec<SessionView>> },
    /// Bring the shared counters up to date.
    Count { answer: Sender<()> },
    /// Accept no more, and end when the sessions have, at this time at the latest.
    Drain { deadline: Instant },
}

/// A worker, as others see it. On a cache line of its own: `load` is read by all.
#[repr(align(64))]
pub(super) struct Peer {
    /// What waits for it; `None` once it has ended.
    messages: Mutex<Option<Vec<Message>>>,
    waker: mio::Waker,
    /// The sessions that it has.
    load: AtomicU32,
}

/// All workers.
pub(super) struct Team(Vec<Peer>);

impl Peer {
    pub(super) fn new(poll: &mio::Poll, token: mio::Token) -> io::Result<Self> {
        let waker = mio::Waker::new(poll.registry(), token)?;
        Ok(Self { messages: Mutex::new(Some(Vec::new())), waker, load: AtomicU32::new(0) })
    }

    /// Takes what waits.
    pub(super) fn take(&self) -> Vec<Message> {
        lock(&self.messages).as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Takes no more messages, if none waits. Gives whether that is so.
    pub(super) fn close(&self) -> bool {
        lock(&self.messages).take_if(|messages| messages.is_empty()).is_some()
    }

    /// Takes no more messages, whatever waits: nobody is left to read it.
    pub(super) fn abandon(&self) {
        *lock(&self.messages) = None;
    }
}

impl Team {
    pub(super) fn new(peers: Vec<Peer>) -> Self {
        Self(peers)
    }

    pub(super) fn peer(&self, worker: usize) -> Option<&Peer> {
        self.0.get(worker)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Leaves a message with a worker. Gives it back if the worker has ended.
    pub(super) fn post(&self, worker: usize, message: Message) -> Option<Message> {
        let Some(peer) = self.0.get(worker) else { return Some(message) };
        let first = match lock(&peer.messages).as_mut() {
            Some(messages) => {
                messages.push(message);
                messages.len() == 1
            }
            None => return Some(message),
        };
        if first && let Err(error) = peer.waker.wake() {
            tracing::error!(%error, "a proxy's worker cannot be woken");
        }
        None
    }

    /// Leaves a message with a worker that needs none once it has ended.
    pub(super) fn tell(&self, worker: usize, message: Message) {
        drop(self.post(worker, message));
    }

    /// Leaves a message with every worker.
    pub(super) fn tell_all(&self, message: impl Fn() -> Message) {
        for worker in 0..self.0.len() {
            self.tell(worker, message());
        }
    }

    /// A worker has one session more.
    pub(super) fn gained(&self, worker: usize) {
        if let Some(peer) = self.0.get(worker) {
            let _before = peer.load.fetch_add(1, Relaxed);
        }
    }

    /// A worker has one session less.
    pub(super) fn lost(&self, worker: usize) {
        if let Some(peer) = self.0.get(worker) {
            let _before = peer.load.fetch_sub(1, Relaxed);
        }
    }

    /// The sessions of all workers.
    pub(super) fn load(&self) -> u32 {
        self.0.iter().map(|peer| peer.load.load(Relaxed)).sum()
    }

    /// The worker that a new session had better go to, if it is not the one that accepted it: the
    /// kernel spreads few connections badly over the sockets of several threads.
    pub(super) fn idler(&self, than: usize) -> Option<usize> {
        let own = self.0.get(than)?.load.load(Relaxed);
        let loads = self.0.iter().map(|peer| peer.load.load(Relaxed));
        let (least, load) = loads.enumerate().min_by_key(|(_, load)| *load)?;
        // To hand one over costs more than a small difference between many.
        (own > load + load / 8).then_some(least)
    }
}
