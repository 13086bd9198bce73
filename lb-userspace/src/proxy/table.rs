//! Sessions, as people see them.

use std::{fmt, net::SocketAddr, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

/// Names a session of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(pub(super) u64);

/// Where a session is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Its PROXY header is awaited.
    Header,
    /// It waits for a backend.
    Waiting,
    /// Its backend is being connected to.
    Connecting,
    /// Both sides may send.
    Open,
    /// One side has ended.
    HalfClosed,
}

/// A session that goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionView {
    /// Its name.
    pub id: SessionId,
    /// Its proxy's name.
    pub proxy: String,
    /// The client, as its PROXY header has it if it sent one; none on a Unix socket.
    pub client: Option<SocketAddr>,
    /// Its backend's name, if it has one yet.
    pub backend: Option<String>,
    /// Since it was accepted.
    pub age: Duration,
    /// Bytes from the client.
    pub bytes_in: u64,
    /// Bytes from the backend.
    pub bytes_out: u64,
    /// Where it is in its life.
    pub stage: Stage,
}

impl SessionId {
    /// How many workers ids can tell apart.
    pub(crate) const WORKERS: usize = 256;

    /// The `number`th session of a worker.
    pub(super) const fn new(number: u64, worker: usize) -> Self {
        Self(number * Self::WORKERS as u64 + worker as u64)
    }

    pub(super) const fn worker(self) -> usize {
        (self.0 % Self::WORKERS as u64) as usize
    }

    /// What tells sessions of a worker apart that have the same place there one after the other.
    pub(super) const fn number(self) -> usize {
        (self.0 / Self::WORKERS as u64) as usize
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for SessionId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}
