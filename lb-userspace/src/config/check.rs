//! How backends are checked.

use std::{ops::RangeInclusive, path::PathBuf, time::Duration};

use hyper::{
    Method,
    header::{HeaderName, HeaderValue},
};
use regex::bytes::Regex;
use tokio_rustls::rustls::pki_types::ServerName;

/// How the backends of a service are checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What is tried.
    pub kind: CheckKind,
    /// Which way it goes.
    pub through: Through,
    /// The port, if not the backend's.
    pub port: Option<u16>,
    /// From one check to the next.
    pub interval: Duration,
    /// The same after a first contrary result, until the backend has changed or not; at most
    /// `interval`.
    pub fast_interval: Duration,
    /// How long an answer may take; less than the interval.
    pub timeout: Duration,
    /// Successes in a row that bring a backend up; at least 1.
    pub rise: u32,
    /// Failures in a row that take it down; at least 1.
    pub fall: u32,
    /// How long a backend that came back takes to its full weight; zero: no time.
    pub slow_start: Duration,
    /// What becomes of a backend that keeps changing.
    pub flap: Flap,
}

/// Which way checks go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Through {
    /// To the VIP on that backend, as clients' packets do.
    Datapath,
    /// To the backend's own address, by the node's routes.
    Direct,
}

/// How long a backend that keeps going down must stay good before it counts as up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flap {
    /// The times that it may go down without consequence.
    pub falls: u32,
    /// How long it must have been up for its falls to be forgotten.
    pub calm: Duration,
    /// How long it must stay good after the first fall beyond `falls`; each further one doubles it.
    /// Zero: never.
    pub hold: Duration,
    /// The most that doubling leads to.
    pub max_hold: Duration,
}

impl Default for Flap {
    fn default() -> Self {
        Self {
            falls: 3,
            calm: Duration::from_secs(300),
            hold: Duration::from_secs(10),
            max_hold: Duration::from_secs(300),
        }
    }
}

/// What a check tries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckKind {
    /// A TCP connection is accepted.
    Tcp,
    /// An HTTP/1.1 request is answered as it should be.
    Http(Box<Http>),
    /// A TLS handshake is completed.
    Tls(Tls),
    /// A datagram is answered, or at least not refused.
    Udp(Udp),
    /// An echo request is answered.
    Icmp,
    /// A login to a `MySQL` or `MariaDB` server, and a query.
    Mysql(Mysql),
    /// A program ends with status 0.
    Exec {
        /// Its absolute path, and its arguments.
        command: Vec<String>,
    },
}

impl CheckKind {
    /// Whether no answer at all is a good one, and only a refusal is not.
    #[must_use]
    pub fn takes_silence(&self) -> bool {
        matches!(self, Self::Udp(Udp { expect: None, .. }))
    }
}

/// A request over HTTP/1.1 and what to expect of its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    /// The method.
    pub method: Method,
    /// Starts with `/`.
    pub path: String,
    /// What `Host` says, if not the service's address.
    pub host: Option<HeaderValue>,
    /// Further headers.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The statuses that are good.
    pub statuses: Vec<RangeInclusive<u16>>,
    /// What the body must have in it.
    pub body: Option<Pattern>,
    /// The TLS of `https`.
    pub tls: Option<Tls>,
}

/// What is looked for in a body.
#[derive(Clone, Debug)]
pub enum Pattern {
    /// These bytes.
    Text(String),
    /// What an expression matches.
    Regex(Regex),
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(this), Self::Text(that)) => this == that,
            (Self::Regex(this), Self::Regex(that)) => this.as_str() == that.as_str(),
            (Self::Text(_), Self::Regex(_)) | (Self::Regex(_), Self::Text(_)) => false,
        }
    }
}

impl Eq for Pattern {}

/// The TLS of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The name that is asked for and must be in the certificate; the backend's address, and no
    /// SNI, if `None`.
    pub server_name: Option<ServerName<'static>>,
    /// Whether the certificate is verified.
    pub verify: bool,
    /// A PEM file of the authorities that may have signed it; those of the system if `None`.
    pub ca: Option<PathBuf>,
}

/// A datagram and what to expect of its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Udp {
    /// What is sent.
    pub send: Vec<u8>,
    /// What an answer must have in it. `None`: silence is good, and only a refusal ("port
    /// unreachable") is not.
    pub expect: Option<Vec<u8>>,
}

/// A login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mysql {
    /// The user.
    pub user: String,
    /// The file whose first line is the password; none is given if `None`.
    pub password_file: Option<PathBuf>,
    /// The database to use.
    pub database: Option<String>,
    /// What is asked once logged in; a ping if `None`.
    pub query: Option<String>,
}
