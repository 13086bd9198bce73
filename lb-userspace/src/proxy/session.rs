//! A session: its client's header, its backend, and the bytes between them.
//!
//! `Err` is an end reached; an event, a message or a deadline makes the session advance until then.

mod admit;
mod clock;
mod connect;
mod flow;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use mio::{Interest, Registry, Token, unix::SourceFd};
use rustix::io::Errno;

use self::admit::Origin;
pub(super) use self::connect::micros;
use super::{
    end::End,
    live::Live,
    mail::Team,
    pool::Member,
    queue::Address,
    relay::{Peer, Side, Way},
    scratch::Scratch,
    table::{SessionId, SessionView, Stage},
    timers::Timers,
};

/// A client that was accepted.
pub(super) struct Client {
    pub(super) side: Side,
    /// Its address, on TCP.
    pub(super) address: Option<SocketAddr>,
}

/// What a session needs of its worker.
pub(super) struct Core {
    pub(super) registry: Registry,
    pub(super) timers: Timers,
    /// What is read goes here first.
    pub(super) scratch: Scratch,
    /// Microseconds since the worker began.
    pub(super) now: u64,
    pub(super) team: Arc<Team>,
    /// The worker's position.
    pub(super) worker: usize,
    /// When all sessions end.
    pub(super) deadline: Option<u64>,
    /// Whether a session found no descriptor.
    pub(super) exhausted: bool,
    /// The keys of sessions that wait for one.
    pub(super) lacking: Vec<usize>,
}

/// What a session that goes on needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// An event.
    Wait,
    /// A turn to read and to send.
    Turn,
}

/// A session. Idle, it is all the memory that its worker has for it.
pub(super) struct Session {
    pub(super) id: SessionId,
    /// Its place in its worker.
    key: usize,
    pub(super) proxy: Arc<Live>,
    pub(super) member: Option<Arc<Member>>,
    stage: Stage,
    client: Side,
    address: Option<SocketAddr>,
    backend: Option<Side>,
    inward: Way,
    outward: Way,
    /// Why it ends when a wait has lasted too long.
    patience: End,
    /// Whether the client ended first.
    client_first: bool,
    opened: u64,
    /// Since when it is where it is.
    since: u64,
    /// When a wait in the line ends.
    until: u64,
    client_moved: u64,
    backend_moved: u64,
    /// Its entry among the worker's timers.
    timer: Option<u64>,
    /// Whether it is among those that have a turn.
    pub(super) has_turn: bool,
    /// What few sessions need.
    origin: Option<Box<Origin>>,
    /// Those that could not be connected to.
    tried: Vec<Arc<Member>>,
}

/// Which of a session's sockets a token means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Client,
    Backend,
}

/// A token is a key, one bit for the side, and what tells sessions with the same key apart: an event
/// may come for a session that ended while its batch was handled.
const KEY_BITS: usize = 32;
const NUMBER_MASK: usize = (1 << 30) - 1;

/// The key, the number and the side that a token means.
pub(super) fn read_token(token: Token) -> (usize, usize, Which) {
    let which = if token.0 & 1 == 0 { Which::Client } else { Which::Backend };
    ((token.0 >> 1) & ((1 << KEY_BITS) - 1), token.0 >> (KEY_BITS + 1), which)
}

impl Session {
    pub(super) fn new(
        id: SessionId,
        key: usize,
        proxy: Arc<Live>,
        client: Client,
        now: u64,
    ) -> Self {
        let Client { side, address } = client;
        Self {
            id,
            key,
            proxy,
            member: None,
            stage: Stage::Connecting,
            client: side,
            address,
            backend: None,
            inward: Way::default(),
            outward: Way::default(),
            patience: End::NoBackend,
            client_first: false,
            opened: now,
            since: now,
            until: now,
            client_moved: now,
            backend_moved: now,
            timer: None,
            has_turn: false,
            origin: None,
            tried: Vec::new(),
        }
    }

    /// Whether a token's number is this session's.
    pub(super) fn is(&self, number: usize) -> bool {
        self.id.number() & NUMBER_MASK == number
    }

    /// Notes what epoll says of a socket.
    pub(super) fn note(&mut self, which: Which, event: &mio::event::Event) {
        match (which, &mut self.backend) {
            (Which::Client, _) => self.client.note(event),
            (Which::Backend, Some(backend)) => backend.note(event),
            (Which::Backend, None) => {}
        }
    }

    /// Begins.
    pub(super) fn begin(&mut self, core: &mut Core) -> Result<Next, End> {
        self.register(core, Which::Client).map_err(|_| End::NoDescriptor)?;
        if self.expects_header() {
            self.enter(Stage::Header, core);
            return self.advance(core);
        }
        self.seek(core)
    }

    /// Goes on as far as it can.
    pub(super) fn advance(&mut self, core: &mut Core) -> Result<Next, End> {
        match self.stage {
            Stage::Header => {
                if self.read_header(core)? {
                    self.seek(core)
                } else {
                    Ok(Next::Wait)
                }
            }
            Stage::Waiting | Stage::Connecting if self.client.peer == Peer::Lost => {
                Err(End::ClientReset)
            }
            Stage::Waiting => Ok(Next::Wait),
            Stage::Connecting => self.check_connection(core),
            Stage::Open | Stage::HalfClosed => Ok(Next::Turn),
        }
    }

    /// Ends: gives back what it holds, and closes its sockets.
    pub(super) fn finish(mut self, end: End, core: &mut Core) {
        self.count();
        if let Some(timer) = self.timer {
            core.timers.cancel(timer, self.key);
        }
        if self.stage == Stage::Waiting {
            self.proxy.pool.give_up(self.place(core));
        }
        if !end.is_whole() {
            self.client.stream.reset_on_close();
            if let Some(backend) = &self.backend {
                backend.stream.reset_on_close();
            }
        }
        core.exhausted |= end == End::NoDescriptor;
        let time = Duration::from_micros(core.now - self.opened);
        // What waits for room finds the descriptors free.
        let Self { proxy, member, client, backend, .. } = self;
        drop((client, backend));
        if let Some(member) = member {
            member.counters.session_time.add_time(time);
            proxy.pool.release(&member, &core.team);
        }
        proxy.ended(end, time);
        proxy.leave(&core.team);
        core.team.lost(core.worker);
    }

    /// Brings the shared counters up to date.
    pub(super) fn count(&mut self) {
        let bytes_in = self.inward.bytes - self.inward.counted;
        let bytes_out = self.outward.bytes - self.outward.counted;
        (self.inward.counted, self.outward.counted) = (self.inward.bytes, self.outward.bytes);
        let of_member = self.member.as_ref().map(|member| &member.counters);
        for counters in of_member.into_iter().chain([&self.proxy.counters]) {
            counters.bytes_in.add(bytes_in);
            counters.bytes_out.add(bytes_out);
        }
    }

    pub(super) fn view(&self, now: u64) -> SessionView {
        SessionView {
            id: self.id,
            proxy: self.proxy.name.clone(),
            client: self.source(),
            backend: self.member.as_ref().map(|member| member.name.clone()),
            age: Duration::from_micros(now - self.opened),
            bytes_in: self.inward.bytes,
            bytes_out: self.outward.bytes,
            stage: self.stage,
        }
    }

    pub(super) fn place(&self, core: &Core) -> Address {
        Address { worker: core.worker, key: self.key, id: self.id }
    }

    fn register(&self, core: &Core, which: Which) -> Result<(), Errno> {
        let (side, bit) = match which {
            Which::Client => (Some(&self.client), 0),
            Which::Backend => (self.backend.as_ref(), 1),
        };
        let Some(side) = side else { return Ok(()) };
        let number = self.id.number() & NUMBER_MASK;
        let token = Token(number << (KEY_BITS + 1) | self.key << 1 | bit);
        let (fd, both) = (side.stream.raw(), Interest::READABLE | Interest::WRITABLE);
        core.registry
            .register(&mut SourceFd(&fd), token, both)
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::NOMEM))
    }
}
