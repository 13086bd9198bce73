//! Proxies and their sessions, as the API shows them.

use std::{collections::BTreeMap, net::SocketAddr};

use serde::{Deserialize, Serialize};

use super::types::{Admin, Health};
use crate::{
    config::proxy::{Balance, Role},
    proxy::{Stage, Totals},
};

/// One of `GET /v1/proxies`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proxy {
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub listen: Vec<String>,
    /// How a session gets its backend.
    pub balance: Balance,
    /// Who gets its sessions, where database servers are chosen by role.
    pub role: Option<Role>,
    /// The primary of its database servers, if there is one.
    pub primary: Option<String>,
    /// The sessions that it takes at most.
    pub max_connections: u32,
    /// The sessions that wait for a backend.
    pub waiting: u32,
    /// What was counted of all its sessions.
    pub traffic: SessionTraffic,
    /// Sessions by how they ended; every reason is listed.
    pub ends: BTreeMap<String, u64>,
    /// Its backends.
    pub backends: Vec<ProxyBackend>,
    /// What keeps it from its work, in sentences.
    pub problems: Vec<String>,
}

/// A backend of a proxy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxyBackend {
    /// Its name.
    pub name: String,
    /// Where it listens: `ADDRESS:PORT`, or `unix:` and a path.
    pub address: String,
    /// Its weight.
    pub weight: u16,
    /// Whether it is used only where no other can be.
    pub backup: bool,
    /// What the operator wants of it.
    pub admin: Admin,
    /// In how many seconds its drain ends in maintenance, if it does.
    pub deadline_seconds: Option<u64>,
    /// What the checks say.
    pub health: Health,
    /// Why, in the last check's words.
    pub health_reason: String,
    /// Whether it takes new sessions now, for all that is known of it.
    pub open: bool,
    /// Whether it is passed over because it could not be connected to.
    pub ejected: bool,
    /// What was counted of its sessions.
    pub traffic: SessionTraffic,
}

/// What was counted of sessions since their proxy is there, or its process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionTraffic {
    /// Those that go on.
    pub sessions: u32,
    /// The most that went on at once.
    pub sessions_max: u32,
    /// All.
    pub sessions_total: u64,
    /// Bytes from clients.
    pub bytes_in: u64,
    /// Bytes from backends.
    pub bytes_out: u64,
    /// Connections to backends that could not be made.
    pub connect_errors: u64,
    /// Sessions that then looked for another backend.
    pub redispatches: u64,
    /// How often backends were passed over for such failures.
    pub ejections: u64,
    /// Sessions that waited for a backend and got one.
    pub queued: u64,
    /// The mean time to connect to a backend, in microseconds.
    pub connect_us: u64,
    /// The mean time that sessions waited which did, in microseconds.
    pub queue_us: u64,
}

impl From<&Totals> for SessionTraffic {
    fn from(totals: &Totals) -> Self {
        let mean = |sum: std::time::Duration, count: u64| {
            let sum = u64::try_from(sum.as_micros()).unwrap_or(u64::MAX);
            sum.checked_div(count).unwrap_or_default()
        };
        Self {
            sessions: totals.sessions,
            sessions_max: totals.sessions_max,
            sessions_total: totals.sessions_total,
            bytes_in: totals.bytes_in,
            bytes_out: totals.bytes_out,
            connect_errors: totals.connect_errors,
            redispatches: totals.redispatches,
            ejections: totals.ejections,
            queued: totals.queued,
            connect_us: mean(totals.connect_time, totals.connected),
            queue_us: mean(totals.queue_time, totals.queued),
        }
    }
}

/// One of `GET /v1/sessions`: a session that goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// What it is called in orders.
    pub id: String,
    /// Its proxy's name.
    pub proxy: String,
    /// The client, as its PROXY header has it if it sent one; none on a Unix socket.
    pub client: Option<SocketAddr>,
    /// Its backend's name, if it has one yet.
    pub backend: Option<String>,
    /// Since it was accepted, in milliseconds.
    pub age_ms: u64,
    /// Bytes from the client.
    pub bytes_in: u64,
    /// Bytes from the backend.
    pub bytes_out: u64,
    /// Where it is in its life.
    pub stage: Stage,
}

/// `POST /v1/sessions/kill`: the order to reset a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kill {
    /// Its id.
    pub session: String,
}
