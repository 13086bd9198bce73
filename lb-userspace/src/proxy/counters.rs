//! What is counted, and how it is read.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::end::End;

/// A number that only grows.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, more: u64) {
        let _before = self.0.fetch_add(more, Relaxed);
    }

    pub(super) fn add_time(&self, time: Duration) {
        self.add(time.as_micros().try_into().unwrap_or(u64::MAX));
    }

    fn read(&self) -> u64 {
        self.0.load(Relaxed)
    }

    fn read_time(&self) -> Duration {
        Duration::from_micros(self.read())
    }
}

/// How many there are now, and how many there were at most.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    now: AtomicU32,
    most: AtomicU32,
}

impl Gauge {
    /// One more, unless `limit` is reached. Gives whether there is.
    pub(super) fn enter(&self, limit: u32) -> bool {
        let more = |now: u32| (now < limit).then(|| now + 1);
        self.now.fetch_update(SeqCst, SeqCst, more).is_ok()
    }

    /// What entered stays: it counts for the most.
    pub(super) fn mark(&self) {
        let _most = self.most.fetch_max(self.now(), Relaxed);
    }

    /// One less.
    pub(super) fn leave(&self) {
        let _before = self.now.fetch_sub(1, SeqCst);
    }

    pub(super) fn now(&self) -> u32 {
        self.now.load(SeqCst)
    }

    pub(super) fn most(&self) -> u32 {
        self.most.load(Relaxed)
    }
}

/// What is counted of a backend, and of a proxy.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) sessions: Gauge,
    pub(super) sessions_total: Counter,
    pub(super) bytes_in: Counter,
    pub(super) bytes_out: Counter,
    pub(super) connect_errors: Counter,
    pub(super) redispatches: Counter,
    pub(super) ejections: Counter,
    pub(super) connected: Counter,
    pub(super) connect_time: Counter,
    pub(super) queued: Counter,
    pub(super) queue_time: Counter,
    pub(super) session_time: Counter,
}

impl Counters {
    pub(super) fn totals(&self) -> Totals {
        Totals {
            sessions: self.sessions.now(),
            sessions_max: self.sessions.most(),
            sessions_total: self.sessions_total.read(),
            bytes_in: self.bytes_in.read(),
            bytes_out: self.bytes_out.read(),
            connect_errors: self.connect_errors.read(),
            redispatches: self.redispatches.read(),
            ejections: self.ejections.read(),
            connected: self.connected.read(),
            connect_time: self.connect_time.read_time(),
            queued: self.queued.read(),
            queue_time: self.queue_time.read_time(),
            session_time: self.session_time.read_time(),
        }
    }
}

/// What was counted of a backend, or of a proxy, since it is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// The sessions that it has.
    pub sessions: u32,
    /// The most that it had at once.
    pub sessions_max: u32,
    /// All that it had.
    pub sessions_total: u64,
    /// Bytes from clients.
    pub bytes_in: u64,
    /// Bytes from backends.
    pub bytes_out: u64,
    /// Connections to backends that could not be made.
    pub connect_errors: u64,
    /// Sessions that looked for another backend, as one could not be connected to or was closed before.
    pub redispatches: u64,
    /// How often backends were passed over for such failures.
    pub ejections: u64,
    /// Connections to backends that were made.
    pub connected: u64,
    /// How long that took, in sum.
    pub connect_time: Duration,
    /// Sessions that waited for a backend and got one.
    pub queued: u64,
    /// How long they waited, in sum.
    pub queue_time: Duration,
    /// How long the sessions lasted that ended, in sum.
    pub session_time: Duration,
}

/// Sessions by how they ended.
#[derive(Debug)]
pub(super) struct Ends([Counter; End::ALL.len()]);

impl Default for Ends {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Counter::default()))
    }
}

impl Ends {
    pub(super) fn count(&self, end: End) {
        if let Some(counter) = self.0.get(end as usize) {
            counter.add(1);
        }
    }

    pub(super) fn read(&self) -> Vec<(End, u64)> {
        End::ALL.iter().zip(&self.0).map(|(&end, counter)| (end, counter.read())).collect()
    }
}

/// A proxy as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Its name.
    pub name: String,
    /// What was counted of all its sessions.
    pub totals: Totals,
    /// Sessions that wait for a backend.
    pub waiting: u32,
    /// The most that waited at once.
    pub waiting_max: u32,
    /// How many sessions ended for what reason; every [`End`] once.
    pub ends: Vec<(End, u64)>,
    /// Its backends, in the order of the configuration.
    pub backends: Vec<BackendReport>,
}

/// A backend as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackendReport {
    /// Its name.
    pub name: String,
    /// What was counted of its sessions.
    pub totals: Totals,
    /// Whether it takes new sessions, for what the order says of it.
    pub open: bool,
    /// Whether it is passed over because it could not be connected to.
    pub ejected: bool,
}
