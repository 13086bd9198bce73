//! The listening sockets of a worker, and the pause that a lack of descriptors makes.

use std::{
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

use rustix::io::Errno;

use super::{live::Live, mail::Team, relay::Side, session::Client, stream};
use crate::config::proxy::Place;

/// How long listeners rest while there are no descriptors, in microseconds.
const REST: u64 = 100_000;
/// How often that is said at most, in microseconds.
const QUIET: u64 = 60_000_000;

/// A listening socket.
pub(super) struct Listener {
    pub(super) proxy: Arc<Live>,
    pub(super) place: Place,
    pub(super) socket: OwnedFd,
}

/// Why a listener stops.
pub(super) enum Stop {
    /// Nobody waits: the next client is a new edge.
    Empty,
    /// The proxy is full: a session that ends resumes it.
    Full,
    /// There are no descriptors.
    Exhausted,
    /// Others have their turn.
    Turn,
}

impl Listener {
    /// Accepts a client, if the limit allows it, and counts it.
    pub(super) fn accept(&self, limit: u32, team: &Team) -> Result<Client, Stop> {
        if !self.proxy.enter(limit) {
            return Err(Stop::Full);
        }
        let error = match stream::accept(self.socket.as_fd()) {
            Ok((stream, address)) => {
                self.proxy.counters.sessions.mark();
                self.proxy.counters.sessions_total.add(1);
                return Ok(Client { side: Side::new(stream, true), address });
            }
            Err(error) => error,
        };
        self.proxy.leave(team);
        Err(match error {
            Errno::AGAIN => Stop::Empty,
            error if is_exhausted(error) => Stop::Exhausted,
            error => {
                // The client has gone, or its network has: others wait behind it (accept(2)).
                tracing::debug!(%error, proxy = self.proxy.name, "not accepted");
                Stop::Turn
            }
        })
    }
}

/// Whether the process or the machine lacks descriptors or memory for a socket.
pub(super) fn is_exhausted(error: Errno) -> bool {
    matches!(error, Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)
}

/// A lack of descriptors, in microseconds of the worker's clock.
#[derive(Debug, Default)]
pub(super) struct Shortage {
    /// When listeners try again.
    until: Option<u64>,
    told: Option<u64>,
}

impl Shortage {
    /// There was no descriptor.
    pub(super) fn begin(&mut self, now: u64) {
        self.until = Some(now + REST);
        if self.told.is_none_or(|told| now - told >= QUIET) {
            self.told = Some(now);
            tracing::warn!(
                "no file descriptors are left: new connections wait in the listeners' backlogs. \
                 Raise LimitNOFILE of the service, or lower `max_connections` of its proxies"
            );
        }
    }

    /// When listeners try again.
    pub(super) fn until(&self) -> Option<u64> {
        self.until
    }

    /// Whether it is time to try again.
    pub(super) fn is_over(&mut self, now: u64) -> bool {
        self.until.take_if(|until| *until <= now).is_some()
    }
}
