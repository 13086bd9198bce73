//! The API's JSON.

use std::{collections::BTreeMap, fmt, net::IpAddr, path::PathBuf};

use lb_common::service::Ports;
use serde::{Deserialize, Serialize};

use super::ports::endpoint;
use crate::{cluster, speaker};

/// `GET /v1/status`: the node as a whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// The daemon's version.
    pub version: String,
    /// The daemon's process id.
    pub pid: u32,
    /// Seconds since the daemon started.
    pub uptime_seconds: u64,
    /// Whether it took over pinned state at start.
    pub took_over: bool,
    /// The interfaces that the program is attached to.
    pub interfaces: Vec<Interface>,
    /// The number of services.
    pub services: usize,
    /// The number of backends over all services and proxies.
    pub backends: usize,
    /// How many of them are up.
    pub backends_up: usize,
    /// The memory of the rings in use, in bytes.
    pub ring_bytes: u64,
    /// The configuration file in force, as it was named.
    pub config: String,
    /// In how many things the node differs from it: run-time changes.
    pub changes: usize,
    /// What is wrong at the moment, in sentences; empty when nothing is.
    pub problems: Vec<String>,
}

/// An interface that the program is attached to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its index.
    pub index: u32,
    /// `native` or `generic`.
    pub mode: String,
}

/// One of `GET /v1/services`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// The virtual IP address.
    pub vip: IpAddr,
    /// `tcp` or `udp`.
    pub protocol: String,
    /// Its ports: a number, `"8000-8100"` or `"any"`.
    #[serde(with = "super::ports")]
    pub port: Ports,
    /// `l2`, `nat`, `ipip` or `gue`.
    pub forward: String,
    /// How long after a change a flow may show that it is older, in seconds.
    pub window_seconds: u64,
    /// What becomes of the flows of a backend that is down: `rst`, `rehash` or `drop`.
    pub on_down: String,
    /// The slots of its ring.
    pub ring_size: u32,
    /// Its backends.
    pub backends: usize,
    /// How many of them are up.
    pub backends_up: usize,
    /// The share of its backends, in percent, below which `usage` is not `normal`.
    pub panic_percent: u8,
    /// Which backends take new connections: `normal`: those that are up; `panic`: all, because few
    /// are up; `sorry`: the sorry backend alone.
    pub usage: String,
    /// What is remembered of its flows.
    pub memory: Memory,
    /// What passed since the counters were made.
    pub traffic: Traffic,
}

/// What a service remembers of its flows, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// The slots that have changed within the window.
    pub moving: u32,
    /// The slots whose window is over while flows of theirs are remembered.
    pub settled: u32,
    /// The flows that are remembered, as of the last sweep and with those that came since.
    pub flows: u32,
    /// The flows that may be remembered.
    pub limit: u32,
    /// The flows that there was no room for since the service was made.
    pub refused: u32,
}

/// One of `GET /v1/backends`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Backend {
    /// The name of the service, or of the proxy.
    pub service: String,
    /// Whether that is a proxy's: a forwarder of its connects to the backend.
    pub proxy: bool,
    /// Its name.
    pub name: String,
    /// Where it is.
    #[serde(flatten)]
    pub at: At,
    /// Its weight.
    pub weight: u16,
    /// What the operator wants of it.
    pub admin: Admin,
    /// What it still has to do, while it drains.
    pub drain: Option<Drain>,
    /// What the checks say.
    pub health: Health,
    /// Why, in the last check's words.
    pub health_reason: String,
    /// Its share of the service's slots, 0 to 1; of a proxy's new sessions, as far as weights say.
    pub share: f64,
    /// The neighbour that packets go to (`interface mac`), if it is resolved.
    pub next_hop: Option<String>,
    /// What passed since it was added.
    pub traffic: Traffic,
}

/// Where a backend is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum At {
    /// A machine.
    Host {
        /// Its address.
        address: IpAddr,
        /// Its port, or the service's ports where those are several.
        #[serde(with = "super::ports")]
        port: Ports,
    },
    /// A Unix socket.
    Socket {
        /// Its path.
        path: PathBuf,
    },
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host { address, port } => f.write_str(&endpoint(*address, *port)),
            Self::Socket { path } => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Backend {
    /// Whether it is a member of the pool that is not down.
    #[must_use]
    pub fn counts_as_up(&self) -> bool {
        !matches!(self.admin, Admin::Sorry | Admin::Maintenance) && self.health != Health::Down
    }
}

/// What the operator wants of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Admin {
    /// It takes its share.
    Ready,
    /// It gets no new connections and keeps those that it has.
    Drain,
    /// It gets nothing and is not checked; its connections follow `on_down`.
    Maintenance,
    /// It gets new connections only when the service has too few others; not a member of the pool.
    Sorry,
}

/// What a draining backend still has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    /// The open connections (flows, with UDP) that are remembered of it: those that had a packet
    /// since the drain began, as of the last sweep of the flow table.
    pub connections: u32,
    /// For how many seconds connections may turn up that have been silent since the drain began.
    pub silent_seconds: u32,
    /// In how many seconds maintenance begins; never if absent.
    pub deadline_seconds: Option<u64>,
}

impl Drain {
    /// Whether nothing is left, as far as can be known.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.connections == 0 && self.silent_seconds == 0
    }
}

/// What the checks say of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// It answers.
    Up,
    /// It does not.
    Down,
    /// The service or proxy has no check.
    Unchecked,
}

/// Packets and bytes, over all CPUs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Frames towards backends.
    pub packets: u64,
    /// Bytes towards backends.
    pub bytes: u64,
    /// Frames of answers that pass the node (`nat`).
    pub reply_packets: u64,
    /// Bytes of answers that pass the node (`nat`).
    pub reply_bytes: u64,
}

/// `GET /v1/stats`: all counters at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// Milliseconds on the daemon's monotonic clock, for rates.
    pub at_ms: u64,
    /// Packets by verdict; every verdict is listed.
    pub verdicts: BTreeMap<String, u64>,
    /// The backends with their traffic.
    pub backends: Vec<Backend>,
}

/// `POST /v1/changes`: one change of the pools.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Change {
    /// A new backend for one service or proxy.
    Add {
        /// The service's name.
        service: String,
        /// The backend's name; its address if absent, with the port in a proxy's pool.
        name: Option<String>,
        /// Its address.
        address: IpAddr,
        /// Its port; the service's if absent. A proxy has none to give.
        port: Option<u16>,
        /// Its weight; 1 if absent.
        weight: Option<u16>,
    },
    /// The backend goes away.
    Remove {
        /// Its name.
        backend: String,
        /// Only in this service; in all that have it if absent.
        service: Option<String>,
    },
    /// Another weight.
    Weight {
        /// Its name.
        backend: String,
        /// Only in this service; in all that have it if absent.
        service: Option<String>,
        /// 0 to 1000.
        weight: u16,
    },
    /// The backend leaves the ring: see [`Admin::Drain`].
    Drain {
        /// Its name.
        backend: String,
        /// Only in this service; in all that have it if absent.
        service: Option<String>,
        /// After this many seconds it is in maintenance; never if absent.
        deadline_seconds: Option<u64>,
    },
    /// The backend leaves the ring and ends its connections: see [`Admin::Maintenance`].
    Maintenance {
        /// Its name.
        backend: String,
        /// Only in this service; in all that have it if absent.
        service: Option<String>,
    },
    /// The backend takes its share again.
    Ready {
        /// Its name.
        backend: String,
        /// Only in this service; in all that have it if absent.
        service: Option<String>,
    },
}

/// The answer to a change that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// The backend's name.
    pub backend: String,
    /// The services and proxies it touched; empty if it asked for what is so already.
    pub services: Vec<String>,
    /// The slots that changed hands.
    pub slots_moved: u64,
}

/// The body of every answer that is not 2xx.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    /// What is wrong and what to do.
    pub error: String,
}

/// The order to hand addresses over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failover {
    /// The virtual router, or the group, whose addresses are handed over; all if left out.
    pub router: Option<String>,
}

/// What the node shares with others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routers {
    /// Its virtual routers.
    #[serde(flatten)]
    pub view: speaker::message::View,
    /// What the other nodes say of their rings.
    #[serde(flatten)]
    pub cluster: cluster::View,
}

/// The order to announce routes, or to withdraw them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteOrder {
    /// The route; all if left out.
    pub route: Option<String>,
}
