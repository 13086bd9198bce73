//! The forwarders of the hops behind the web tier, as they are configured.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use lb_common::route::Prefix;
use serde::{Deserialize, Serialize};

use super::{Admin, Check};

/// One forwarder: listeners of this node, and a pool behind them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proxy {
    /// Its name, unique among proxies and services.
    pub name: String,
    /// Where clients connect to; at least one.
    pub listen: Vec<Place>,
    /// How a session gets its backend.
    pub balance: Balance,
    /// The sessions at most, of all its listeners; beyond, clients wait in the listeners' backlogs.
    pub max_connections: u32,
    /// The sessions that may wait for a backend that is not full.
    pub queue: Queue,
    /// How long it waits for what.
    pub timeouts: Timeouts,
    /// How many times another backend is tried when one cannot be connected to.
    pub retries: u32,
    /// What its sockets are set to.
    pub sockets: Sockets,
    /// The PROXY headers that it takes; none if absent.
    pub accept_proxy: Option<AcceptProxy>,
    /// The version of the PROXY header that backends get; none if absent.
    pub send_proxy: Option<HeaderVersion>,
    /// What becomes of the sessions of a backend that goes down.
    pub on_down: OnDown,
    /// What becomes of a backend that cannot be connected to, beside the checks.
    pub eject: Eject,
    /// How backends are checked; `None`: they count as up.
    #[serde(skip)]
    pub check: Option<Arc<Check>>,
    /// What is done with roles, for database servers.
    pub mysql: Option<Mysql>,
    /// The pool; names and places are unique within it.
    pub backends: Vec<Backend>,
}

/// One server of a proxy's pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backend {
    /// Its name, unique within the proxy.
    pub name: String,
    /// Where it listens.
    pub address: Place,
    /// Its share in relation to the others, 0 (no sessions) to [`super::MAX_WEIGHT`].
    pub weight: u16,
    /// Whether it is used only where no other can be.
    pub backup: bool,
    /// The sessions that it takes at most; as many as come if absent.
    pub max_connections: Option<u32>,
    /// What the operator wants of it.
    pub admin: Admin,
}

/// The address of a stream socket. Written as `ADDRESS:PORT`, `[ADDRESS]:PORT` or `unix:/PATH`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Place {
    /// TCP.
    Tcp(SocketAddr),
    /// A Unix socket's absolute path.
    Unix(PathBuf),
}

/// A text that is no [`Place`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an address with a port, nor `unix:` and an absolute path")]
pub struct NoPlace;

/// How a session gets its backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Balance {
    /// In turn, by weight, evenly over time (nginx's smooth weighted round-robin).
    #[default]
    RoundRobin,
    /// The one with the fewest sessions in relation to its weight.
    LeastConnections,
    /// The better of two at random (Mitzenmacher, "The Power of Two Choices", 2001).
    RandomTwo,
    /// By the client's address, on a Maglev ring.
    Source,
    /// By the client's address and port, on a Maglev ring.
    Hash,
}

/// The sessions that may wait for a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// How many at once.
    pub length: u32,
    /// How long each.
    pub timeout: Duration,
}

/// How long a proxy waits for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeouts {
    /// For a backend to accept a connection.
    pub connect: Duration,
    /// For the client to send or take anything.
    pub client_idle: Duration,
    /// For the backend to send or take anything.
    pub backend_idle: Duration,
    /// For anything after one side has ended its direction.
    pub half_closed: Duration,
    /// For the end of the session, whatever it does; for ever if absent.
    pub session: Option<Duration>,
}

/// What the sockets of sessions are set to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sockets {
    /// Whether small segments are sent at once (`TCP_NODELAY`).
    pub nodelay: bool,
    /// The idle time after which a peer is asked whether it is there (`TCP_KEEPIDLE`); never if absent.
    pub keepalive: Option<Duration>,
    /// Where connections to backends come from: at most one address of each family; by the routes if absent.
    pub source: Vec<IpAddr>,
}

/// The PROXY headers that a proxy takes. It never finds out by itself whether there is one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptProxy {
    /// Who must send one; others must not and are taken as they are. At least one.
    #[serde(with = "prefixes")]
    pub from: Vec<Prefix>,
    /// How long the whole header may take.
    pub timeout: Duration,
}

/// The versions of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeaderVersion {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// What becomes of the sessions of a backend that goes down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnDown {
    /// They go on as long as they can.
    #[default]
    Keep,
    /// They are reset at once.
    Close,
}

/// When a backend that cannot be connected to is passed over, beside the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Eject {
    /// Failures in a row that do it; 0: never.
    pub failures: u32,
    /// For how long at first; each further time without a success between doubles it.
    pub hold: Duration,
    /// The most that doubling leads to.
    pub max_hold: Duration,
}

/// A pool of database servers, by their roles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mysql {
    /// Who gets its sessions.
    pub role: Role,
    /// Whether the primary takes sessions for replicas while there is none.
    pub fallback: bool,
    /// How the servers are asked what they are.
    pub monitor: Monitor,
    /// How long new sessions wait for a primary while there is none.
    pub promotion_wait: Duration,
    /// Beyond this, a replica takes no new sessions; any lag will do if absent.
    pub max_lag: Option<Duration>,
    /// At this, a replica that was over `max_lag` takes sessions again.
    pub lag_return: Duration,
    /// Beyond this, the sessions of a replica are closed; never if absent.
    pub close_lag: Option<Duration>,
}

/// The role of a database server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The one that takes writes.
    Primary,
    /// One that follows it.
    Replica,
}

/// How the servers are asked what they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Monitor {
    /// The user.
    pub user: String,
    /// The file whose first line is the password; none is given if absent.
    pub password_file: Option<PathBuf>,
    /// Whether the connection is encrypted, and by whose authority the certificate must be signed.
    pub tls: Option<MonitorTls>,
    /// From one question to the next, 200 ms at least.
    pub interval: Duration,
    /// How long an answer may take; less than the interval.
    pub timeout: Duration,
    /// Failures in a row after which nothing is known of a server.
    pub fall: u32,
}

/// The TLS of the questions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonitorTls {
    /// Whether the certificate is verified.
    pub verify: bool,
    /// A PEM file of the authorities; those of the system if absent.
    pub ca: Option<PathBuf>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(socket) => socket.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl FromStr for Place {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        match text.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') && !path.contains('\0') => {
                Ok(Self::Unix(path.into()))
            }
            Some(_) => Err(NoPlace),
            None => text.parse().map(Self::Tcp).map_err(|_| NoPlace),
        }
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        place.to_string()
    }
}

impl TryFrom<String> for Place {
    type Error = NoPlace;

    fn try_from(text: String) -> Result<Self, NoPlace> {
        text.parse()
    }
}

/// Prefixes as their texts.
mod prefixes {
    use lb_common::route::Prefix;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use crate::config::parse_prefix;

    pub(super) fn serialize<S: Serializer>(list: &[Prefix], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(list.iter().map(text))
    }

    fn text(prefix: &Prefix) -> String {
        let network = prefix.address.to_ip();
        let shared = if network.is_ipv4() { 96 } else { 0 };
        format!("{network}/{}", prefix.length - shared)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Prefix>, D::Error> {
        let texts = Vec::<String>::deserialize(from)?;
        let read = |text: String| parse_prefix(&text).map_err(|_| D::Error::custom("not a prefix"));
        texts.into_iter().map(read).collect()
    }
}
