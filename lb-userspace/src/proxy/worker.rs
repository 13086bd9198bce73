//! A thread that serves: it waits for events, messages and deadlines, and lets sessions advance.

mod accept;
mod inbox;
mod polling;

use std::{
    io,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use mio::{Events, Poll, Token};
use slab::Slab;

use self::polling::Polling;
use super::{
    End,
    listener::{Listener, Shortage},
    mail::{Peer, Team},
    scratch::Scratch,
    session::{Core, Next, Session, micros, read_token},
    table::SessionId,
    timers::Timers,
};

/// Events per call of the kernel.
const EVENTS: usize = 256;
/// The longest wait: the kernel takes no more than 31 bits of milliseconds (`epoll_wait(2)`).
const LONGEST: Duration = Duration::from_secs(3600);
const INBOX: Token = Token(usize::MAX);
/// Marks the tokens of listeners, which have their places in the other bits.
const LISTENER: usize = 1 << (usize::BITS - 1);

/// A worker before its thread has begun.
pub(super) struct Worker {
    poll: Poll,
    epoch: Instant,
    polling: Polling,
    core: Core,
    sessions: Slab<Box<Session>>,
    listeners: Slab<Listener>,
    /// Sessions that have bytes to move.
    turns: Vec<usize>,
    /// Those that have read in a turn, and send next.
    group: Vec<usize>,
    /// Listeners where more clients may wait.
    crowds: Vec<usize>,
    shortage: Shortage,
    /// Whether there are messages.
    has_mail: bool,
    /// The sessions that it has had.
    number: u64,
}

/// Whoever waits for an answer must not wait for one that has ended, even by a panic.
impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(peer) = self.core.team.peer(self.core.worker) {
            peer.abandon();
        }
    }
}

/// What epoll is to be for a worker, and the worker as others see it.
pub(super) fn make_peer() -> io::Result<(Poll, Peer)> {
    let poll = Poll::new()?;
    let peer = Peer::new(&poll, INBOX)?;
    Ok((poll, peer))
}

impl Worker {
    pub(super) fn new(poll: Poll, worker: usize, team: Arc<Team>) -> io::Result<Self> {
        let core = Core {
            registry: poll.registry().try_clone()?,
            timers: Timers::default(),
            scratch: Scratch::new(),
            now: 0,
            team,
            worker,
            deadline: None,
            exhausted: false,
            lacking: Vec::new(),
        };
        Ok(Self {
            poll,
            epoch: Instant::now(),
            polling: Polling::new(Duration::ZERO),
            core,
            sessions: Slab::new(),
            listeners: Slab::new(),
            turns: Vec::new(),
            group: Vec::new(),
            crowds: Vec::new(),
            shortage: Shortage::default(),
            has_mail: false,
            number: 0,
        })
    }

    /// Serves until it is drained.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS);
        while !self.is_done() {
            if let Err(error) = self.wait(&mut events)
                && error.kind() != io::ErrorKind::Interrupted
            {
                tracing::error!(%error, "a proxy's worker cannot wait for events");
                return;
            }
            self.core.now = self.clock();
            for event in &events {
                self.handle(event);
            }
            // A message may give a session another socket, which events of the same batch do not mean.
            if std::mem::take(&mut self.has_mail) {
                self.read_inbox();
            }
            self.take_turns();
            while let Some(key) = self.core.timers.take_due(self.core.now) {
                self.drive(key, Session::expired);
            }
            self.look_for_descriptors();
        }
    }

    /// Waits for events, or until there is something to do without.
    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        let timeout = self.timeout();
        if timeout == Some(Duration::ZERO) {
            return self.poll.poll(events, timeout);
        }
        let begun = self.clock();
        if !self.look(begun, events)? {
            self.poll.poll(events, self.timeout())?;
        }
        self.polling.waited(self.clock() - begun);
        Ok(())
    }

    /// Looks for events, if that is worth while. Gives whether there are some.
    fn look(&mut self, begun: u64, events: &mut Events) -> io::Result<bool> {
        let Some(mut look) = self.polling.begin(begun) else { return Ok(false) };
        loop {
            self.poll.poll(events, Some(Duration::ZERO))?;
            if !events.is_empty() {
                return Ok(true);
            }
            thread::yield_now();
            if !self.polling.goes_on(&mut look, self.clock()) {
                return Ok(false);
            }
        }
    }

    /// Whether it is drained. Then nobody can leave a message any more.
    fn is_done(&self) -> bool {
        self.core.deadline.is_some()
            && self.sessions.is_empty()
            && self.core.team.peer(self.core.worker).is_none_or(Peer::close)
    }

    fn handle(&mut self, event: &mio::event::Event) {
        match event.token() {
            INBOX => self.has_mail = true,
            Token(token) if token & LISTENER != 0 => self.accept(token & !LISTENER),
            token => {
                let (key, number, which) = read_token(token);
                self.drive(key, |session, core| {
                    if !session.is(number) {
                        return Ok(Next::Wait);
                    }
                    session.note(which, event);
                    session.advance(core)
                });
            }
        }
    }

    /// Lets sessions move their bytes, and listeners go on that have stopped for others.
    fn take_turns(&mut self) {
        let mut turns = std::mem::take(&mut self.turns);
        let mut keys = turns.drain(..);
        loop {
            self.fetch(&mut keys);
            if self.group.is_empty() {
                break;
            }
            let group = std::mem::take(&mut self.group);
            for key in &group {
                self.drive(*key, Session::relay);
            }
            self.group = group;
        }
        drop(keys);
        // The memory is used again.
        turns.append(&mut self.turns);
        self.turns = turns;
        for at in std::mem::take(&mut self.crowds) {
            self.accept(at);
        }
    }

    /// Lets sessions read, as many as there is room for.
    fn fetch(&mut self, keys: &mut impl Iterator<Item = usize>) {
        self.group.clear();
        self.core.scratch.clear();
        while !self.core.scratch.is_full()
            && let Some(key) = keys.next()
        {
            // Another session may have its place.
            let has_turn = |session: &mut Box<Session>| std::mem::take(&mut session.has_turn);
            if self.sessions.get_mut(key).is_some_and(has_turn) {
                self.group.push(key);
                self.drive(key, Session::fetch);
            }
        }
    }

    /// Lets a session do a step, and takes note of what it needs then.
    fn drive(
        &mut self,
        key: usize,
        step: impl FnOnce(&mut Session, &mut Core) -> Result<Next, End>,
    ) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        match step(session, &mut self.core) {
            Ok(Next::Turn) if !session.has_turn => {
                session.has_turn = true;
                self.turns.push(key);
            }
            Ok(Next::Turn | Next::Wait) => {}
            Err(end) => self.finish(key, end),
        }
    }

    fn finish(&mut self, key: usize, end: End) {
        if let Some(session) = self.sessions.try_remove(key) {
            session.finish(end, &mut self.core);
        }
    }

    /// The sessions that are meant.
    fn find(&self, meant: impl Fn(&Session) -> bool) -> Vec<usize> {
        self.sessions.iter().filter(|(_, it)| meant(it)).map(|(key, _)| key).collect()
    }

    /// When there is something to do without an event.
    fn timeout(&self) -> Option<Duration> {
        if !self.turns.is_empty() || !self.crowds.is_empty() {
            return Some(Duration::ZERO);
        }
        let times = [self.core.timers.next(), self.shortage.until()];
        let next = times.into_iter().flatten().min()?;
        let wait = next.saturating_sub(self.clock());
        Some(Duration::from_micros(wait).min(LONGEST))
    }

    fn clock(&self) -> u64 {
        self.micros(Instant::now())
    }

    fn micros(&self, at: Instant) -> u64 {
        micros(at.saturating_duration_since(self.epoch))
    }

    fn next_id(&mut self) -> SessionId {
        self.number += 1;
        SessionId::new(self.number, self.core.worker)
    }
}
