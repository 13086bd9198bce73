//! The forwarders of the hops behind the web tier: TCP and Unix sockets, in userspace.
//!
//! ```text
//! order ─► engine ─► worker … worker        a thread per core: one epoll, its listeners and sessions
//!            │          │
//!            │          └─ session: header → seek → connect → relay → end
//!            └─ live: what the threads share of a proxy: its pool, its counters
//! ```
//!
//! A session is a state machine within its worker: an event makes it advance until it must wait, and
//! `Err` is its [`End`]. It owns no buffer: a worker reads into one of its own and sends from there; a
//! session keeps only what the other side did not take, and reads no more before that is gone.
//!
//! The host says the whole desired state ([`Order`]), and the engine makes the differences.

mod balance;
mod counters;
mod eject;
mod end;
mod engine;
pub mod header;
mod listener;
mod live;
mod mail;
pub mod mysql;
mod pool;
mod queue;
mod relay;
mod scratch;
mod session;
mod stream;
mod table;
mod timers;
mod worker;

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};

pub use self::{
    counters::{BackendReport, Report, Totals},
    end::End,
    engine::{Engine, EngineError, Listener},
    table::{SessionId, SessionView, Stage},
};
use crate::{config::proxy::Proxy, health};

/// All that a proxy is to be now. Every order says everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// What is configured, but for the check, which is the host's.
    pub settings: Proxy,
    /// What is known of its backends, by their names; of others nothing is, which is
    /// [`State::default`].
    pub states: BTreeMap<String, State>,
    /// How long new sessions wait while no backend takes any; not at all if absent.
    pub hold: Option<Duration>,
}

/// What is known of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Whether its checks say that it serves.
    pub up: bool,
    /// How many parts of its weight it has, of [`health::FULL`].
    pub parts: u8,
    /// Whether it may take new sessions, for what else the host knows of it.
    pub eligible: bool,
    /// Whether its sessions are reset. It gets no new ones then.
    pub close: bool,
}

impl Default for State {
    fn default() -> Self {
        Self { up: true, parts: health::FULL, eligible: true, close: false }
    }
}

/// Locks what no panic leaves half-done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
