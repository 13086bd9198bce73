//! The host's side: orders in, sockets and figures out.

mod sockets;

use std::{
    collections::BTreeMap,
    io,
    os::fd::OwnedFd,
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use lb_common::hash::HashKey;

use self::sockets::Bound;
use super::{
    Order, Report, SessionId, SessionView,
    live::Live,
    mail::{Message, Team},
    worker::{Worker, make_peer},
};
use crate::config::proxy::Place;

/// A listening socket that is handed over from one process to the next.
#[derive(Debug)]
pub struct Listener {
    /// Where it listens.
    pub place: Place,
    /// The socket. On TCP there is one for each thread.
    pub socket: OwnedFd,
}

/// What keeps proxies from serving.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A thread, or what it needs, cannot be had.
    #[error("cannot start a thread for proxies: {0}. Raise the limits of processes and open files")]
    Start(io::Error),
    /// An address cannot be listened at.
    #[error(
        "proxy `{proxy}` cannot listen at {place}: {error}. Free the address, give it to this machine \
         or change `listen`"
    )]
    Listen {
        /// The proxy's name.
        proxy: String,
        /// Where.
        place: Place,
        /// Why not.
        error: io::Error,
    },
}

/// Proxies at work, in threads of their own. Dropping it ends their sessions.
pub struct Engine {
    team: Arc<Team>,
    threads: Vec<JoinHandle<()>>,
    proxies: BTreeMap<String, Hosted>,
    key: HashKey,
}

/// A proxy, and its sockets.
struct Hosted {
    live: Arc<Live>,
    bound: Vec<Bound>,
}

impl Engine {
    /// Starts threads, at least one, that serve nothing yet. The seed is the cluster's, so that
    /// nodes choose the same backends by hash.
    pub fn start(threads: usize, seed: [u8; 16]) -> Result<Self, EngineError> {
        let threads = threads.clamp(1, SessionId::WORKERS);
        let made: io::Result<Vec<_>> = (0..threads).map(|_| make_peer()).collect();
        let (polls, peers): (Vec<_>, Vec<_>) =
            made.map_err(EngineError::Start)?.into_iter().unzip();
        let team = Arc::new(Team::new(peers));
        let key = HashKey::from_seed(seed);
        let mut engine = Self { team, threads: Vec::new(), proxies: BTreeMap::new(), key };
        let workers: io::Result<Vec<Worker>> = (polls.into_iter().enumerate())
            .map(|(at, poll)| Worker::new(poll, at, Arc::clone(&engine.team)))
            .collect();
        for worker in workers.map_err(EngineError::Start)? {
            let builder = thread::Builder::new().name("lb-proxy".into());
            let thread = builder.spawn(|| worker.run()).map_err(EngineError::Start)?;
            engine.threads.push(thread);
        }
        Ok(engine)
    }

    /// How long a thread looks for events before it sleeps, where they often come as soon; not at all, unless this
    /// is called.
    pub fn set_busy_poll(&self, limit: Duration) {
        self.team.tell_all(|| Message::BusyPoll { limit });
    }

    /// Makes the proxies what the orders say, all of them: who is not ordered stops listening.
    /// Sessions that nothing is said about stay untouched.
    ///
    /// `taken` are sockets of an earlier process. Where a place is among them, they are used, and
    /// those that no order wants are closed. On an error, nothing has changed.
    pub fn configure(&mut self, orders: &[Order], taken: Vec<Listener>) -> Result<(), EngineError> {
        let fresh = self.open(orders, taken)?;
        self.close(orders);
        for order in orders {
            let key = self.key;
            let hosted = self.proxies.entry(order.settings.name.clone()).or_insert_with(|| {
                Hosted { live: Arc::new(Live::new(order, key)), bound: Vec::new() }
            });
            hosted.heed(order, &self.team);
            hosted.set_options(&order.settings);
        }
        for fresh in fresh {
            if let Some(hosted) = self.proxies.get_mut(&fresh.proxy) {
                hosted.listen(fresh, &self.team);
            }
        }
        // A limit may have been raised.
        self.team.tell_all(|| Message::Resume);
        Ok(())
    }

    /// Heeds what orders say of backends, for sessions that go on after [`Engine::drain`]: nothing listens
    /// anew.
    pub fn judge(&self, orders: &[Order]) {
        for order in orders {
            let Some(hosted) = self.proxies.get(&order.settings.name) else { continue };
            hosted.heed(order, &self.team);
        }
    }

    /// All sessions, oldest first for each thread.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionView> {
        self.ask(|answer| Message::List { answer }).into_iter().flatten().collect()
    }

    /// How many sessions there are.
    #[must_use]
    pub fn load(&self) -> u32 {
        self.team.load()
    }

    /// Resets a session. Gives whether there was one.
    #[must_use]
    pub fn kill(&self, id: SessionId) -> bool {
        let (answer, answers) = mpsc::channel();
        self.team.tell(id.worker(), Message::Kill { id, answer });
        answers.recv().is_ok()
    }

    /// The proxies as they are, by name.
    #[must_use]
    pub fn report(&self) -> Vec<Report> {
        let _counted = self.ask(|answer| Message::Count { answer });
        self.proxies.values().map(|hosted| hosted.live.report()).collect()
    }

    /// The listening sockets, for the process that comes next. They stay in use here too.
    pub fn listeners(&self) -> io::Result<Vec<Listener>> {
        let bound = self.proxies.values().flat_map(|hosted| &hosted.bound);
        bound.map(Bound::try_clone).collect()
    }

    /// Accepts no more, after those who wait already. Sessions end by themselves, and are reset at
    /// the deadline.
    ///
    /// Clients that come later are refused, unless [`Engine::listeners`] are open elsewhere.
    pub fn drain(&mut self, deadline: Instant) {
        self.team.tell_all(|| Message::Drain { deadline });
        self.proxies.values_mut().for_each(|hosted| hosted.bound.clear());
    }

    /// Waits until all sessions have ended, after [`Engine::drain`].
    pub fn finish(mut self) {
        self.join();
    }

    fn join(&mut self) {
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a proxy's worker has panicked");
            }
        }
    }

    /// Asks all workers, and waits for those that are there.
    fn ask<T>(&self, question: impl Fn(mpsc::Sender<T>) -> Message) -> Vec<T> {
        let (answer, answers) = mpsc::channel();
        self.team.tell_all(|| question(answer.clone()));
        drop(answer);
        answers.iter().collect()
    }
}

impl Hosted {
    /// Tells what the threads share of a proxy, and the threads what becomes of their sessions.
    fn heed(&self, order: &Order, team: &Team) {
        let is_retimed = self.live.differs_in_time(order);
        for (member, end) in self.live.configure(order, team) {
            team.tell_all(|| Message::Close { member: Arc::clone(&member), end });
        }
        if is_retimed {
            team.tell_all(|| Message::Retime { proxy: Arc::clone(&self.live) });
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if !self.threads.is_empty() {
            self.drain(Instant::now());
            self.join();
        }
    }
}
