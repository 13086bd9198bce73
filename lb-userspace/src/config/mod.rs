//! The configuration: valid by construction.
//!
//! [`mod@file`] turns TOML into a [`Config`] or into errors with line and key; [`validate`] holds
//! the rules, and serves the changes made at run time ([`change()`]) as well. Beneath: `document` is
//! TOML with lines, `schema` has the keys, `value` the forms of values.

mod agent;
mod change;
mod check;
mod diff;
mod document;
pub mod file;
mod layer;
mod save;
mod schema;
pub mod validate;
mod value;

pub(crate) use value::parse_prefix;

pub use agent::Agent;
pub use change::{change, find, sentences};
pub use check::{Check, CheckKind, Flap, Http, Mysql, Pattern, Through, Tls, Udp};
pub use diff::{diff, fixed};
pub use layer::Layer;
pub use save::{Unsaved, save};

use std::{net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use lb_common::{
    addr::{Addr, Port, Protocol},
    route::Prefix,
    service::{DownPolicy, ForwardMode, Ports, ServiceKey},
};
use serde::{Deserialize, Serialize};

/// The ring sizes that can be configured: primes, so that Maglev's steps visit every slot.
pub const RING_SIZES: &[u32] = &[1021, 2039, 4093, 8191, 16381, 32749, 65537, 131_071];
/// The ring size of a service that configures none.
pub const DEFAULT_RING_SIZE: u32 = 65537;
/// The seed of a node that configures none: public, so that only the ring's order is fixed by it.
pub const DEFAULT_SEED: [u8; 16] = *b"lb default seed!";
/// The UDP port that IANA gives to GUE, of a service that configures none.
pub const DEFAULT_GUE_PORT: u16 = 6080;
/// The flows that a service which configures no other number remembers at most.
pub const DEFAULT_FLOW_TABLE: u32 = 65_536;
/// The services of several ports that a VIP may have for one protocol: all of them are looked at
/// for a packet whose port has no service of its own.
pub const VIP_RANGES: usize = 4;
/// The aliases of a node that configures none: of the addresses that IPv4 reserves (RFC 1112 §4) and
/// nobody routes, and `fd6c:6270:726f:6265::/96`, a unique local prefix (RFC 4193) of this program's own.
pub const DEFAULT_ALIASES: [Prefix; 2] = [
    Prefix { length: 96 + 12, address: Addr::from_v4([240, 0, 0, 0]) },
    Prefix { length: 96, address: Addr::from_v6(*b"\xfdlbprobe\0\0\0\0\0\0\0\0") },
];
/// The largest weight of a backend.
pub const MAX_WEIGHT: u16 = 1000;

/// A whole configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// This machine.
    pub node: Node,
    /// The sizes of the kernel's maps.
    pub limits: Limits,
    /// What is refused before any service is looked up.
    pub firewall: Firewall,
    /// The answers that the node itself may give.
    pub answers: Answers,
    /// The services, in the file's order; names and keys are unique.
    pub services: Vec<Service>,
}

/// This machine.
#[derive(Clone, PartialEq, Eq)]
pub struct Node {
    /// The interfaces that the XDP program is attached to; at least one.
    pub interfaces: Vec<String>,
    /// How it is attached.
    pub mode: AttachMode,
    /// Where the control socket and the lock live.
    pub runtime_dir: PathBuf,
    /// Where maps and links are pinned: a directory on a bpffs.
    pub pin_dir: PathBuf,
    /// The secret of the flow hash, the same on all nodes of a cluster.
    pub seed: [u8; 16],
    /// Where tunnel packets come from, at most one prefix of each family; the node's own address
    /// of a family that has none.
    pub tunnel_source: Vec<Prefix>,
    /// Where the aliases of checks through the packet path are: a prefix of each family.
    pub probe_aliases: Vec<Prefix>,
    /// How long packets are balanced without a sign of life of the daemon, in whole seconds; for ever
    /// if `None`. After that the kernel gets them all.
    pub watchdog: Option<Duration>,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            interfaces,
            mode,
            runtime_dir,
            pin_dir,
            seed: _,
            tunnel_source,
            probe_aliases,
            watchdog,
        } = self;
        f.debug_struct("Node")
            .field("interfaces", interfaces)
            .field("mode", mode)
            .field("runtime_dir", runtime_dir)
            .field("pin_dir", pin_dir)
            .field("tunnel_source", tunnel_source)
            .field("probe_aliases", probe_aliases)
            .field("watchdog", watchdog)
            .finish_non_exhaustive()
    }
}

impl Node {
    /// The control socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.runtime_dir.join("lb.sock")
    }

    /// The file that keeps the run-time changes for the next daemon.
    #[must_use]
    pub fn changes_file(&self) -> PathBuf {
        self.runtime_dir.join("changes.json")
    }

    /// The file that a running daemon holds locked.
    #[must_use]
    pub fn lock_file(&self) -> PathBuf {
        self.runtime_dir.join("lb.lock")
    }
}

/// How the XDP program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachMode {
    /// In the driver: fast; fails where the driver has no XDP.
    Native,
    /// In the stack, after the packet was copied: works everywhere, several times slower.
    Generic,
}

/// The sizes of the kernel's maps; fixed while the node's pinned state lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Services.
    pub services: u32,
    /// Backends of all services together.
    pub backends: u32,
    /// Slots of all rings together, 4 bytes each.
    pub slots: u32,
    /// Routes mirrored for NAT answers.
    pub routes: u32,
    /// Denied prefixes.
    pub denied: u32,
    /// Remembered flows of all services together.
    pub flows: u32,
    /// Connections that are being opened in slots that have changed.
    pub pending: u32,
}

impl Limits {
    /// The lines of the table of services: at most a quarter of them is in use, so that every
    /// service finds one near its own, or others give way to it.
    #[must_use]
    pub fn service_lines(&self) -> u32 {
        // A VIP has an entry besides its services.
        self.services.saturating_mul(8).checked_next_power_of_two().unwrap_or(1 << 31)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            services: 1024,
            backends: 16_384,
            slots: 64 * 65_537,
            routes: 16_384,
            denied: 16_384,
            flows: 1_048_576,
            pending: 65_536,
        }
    }
}

/// What is refused before any service is looked up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Firewall {
    /// Sources whose packets are dropped.
    pub deny: Vec<Prefix>,
}

/// The answers that the node itself may give, per second and CPU; as many may come at once after
/// silence. With 0 it gives none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answers {
    /// Replies to echo requests for a VIP.
    pub echo: u32,
    /// ICMP errors: too big for a tunnel, port unreachable.
    pub errors: u32,
    /// TCP resets of connections whose backend is down.
    pub resets: u32,
}

impl Default for Answers {
    fn default() -> Self {
        Self { echo: 1000, errors: 1000, resets: 10_000 }
    }
}

/// One service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its name, unique.
    pub name: String,
    /// The virtual IP address.
    pub vip: IpAddr,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The ports that clients talk to.
    pub ports: Ports,
    /// How packets reach the backends.
    pub forward: ForwardMode,
    /// The UDP port that backends receive GUE at.
    pub gue_port: u16,
    /// How long after a change of the pool a flow may show that it is older: whole seconds.
    pub window: Duration,
    /// The flows that are remembered at most.
    pub flow_table: u32,
    /// What becomes of the flows of a backend that is down.
    pub on_down: DownPolicy,
    /// One of [`RING_SIZES`].
    pub ring_size: u32,
    /// How backends are checked; `None`: they count as up.
    pub check: Option<Arc<Check>>,
    /// The agents on the backends; `None`: there are none.
    pub agent: Option<Arc<Agent>>,
    /// The share of the backends, in percent: when fewer are up, the `sorry` backend takes the
    /// connections, or else all backends do. With 0 only the former, when none is up.
    pub panic: u8,
    /// What takes the connections then; not a member of the pool.
    pub sorry: Option<Backend>,
    /// The pool; names and (address, port) are unique within it.
    pub backends: Vec<Backend>,
}

impl Config {
    /// The blocks of aliases that its checks need: of the families of the VIPs that are checked through
    /// the packet path.
    pub fn probe_blocks(&self) -> impl Iterator<Item = Prefix> {
        let probed = move |block: &&Prefix| {
            let mut services = self.services.iter().filter(|service| service.probe().is_some());
            services.any(|service| service.vip.is_ipv4() == block.address.is_v4())
        };
        self.node.probe_aliases.iter().filter(probed).copied()
    }
}

impl Service {
    /// What names the service in a packet.
    #[must_use]
    pub fn key(&self) -> ServiceKey {
        ServiceKey::with_ports(self.vip.into(), self.ports, self.protocol)
    }

    /// All that packets may be sent to: the pool, and the `sorry` backend.
    pub fn machines(&self) -> impl Iterator<Item = &Backend> {
        self.backends.iter().chain(&self.sorry)
    }

    /// The check, if it goes through the packet path.
    #[must_use]
    pub fn probe(&self) -> Option<&Check> {
        self.check.as_deref().filter(|check| check.through == Through::Datapath)
    }

    /// The port of a backend that configures none: the service's, or the first of several; 0 where
    /// the service has every port.
    #[must_use]
    pub fn default_port(&self) -> u16 {
        self.ports.first.get()
    }
}

/// The window of a service that configures none.
#[must_use]
pub fn default_window(protocol: Protocol) -> Duration {
    Duration::from_secs(if protocol == Protocol::UDP { 60 } else { 3600 })
}

/// The policy of a service that configures none: TCP clients connect anew at once, UDP ones would
/// hardly notice the answer.
#[must_use]
pub fn default_on_down(protocol: Protocol) -> DownPolicy {
    if protocol == Protocol::UDP { DownPolicy::REHASH } else { DownPolicy::RST }
}

/// One real server of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backend {
    /// Its name, unique within the service; the same machine has the same name in all services.
    pub name: String,
    /// Its address; of the VIP's family, unless the packets travel in a tunnel.
    pub address: IpAddr,
    /// Its port: [`Service::default_port`] unless `nat` rewrites it.
    pub port: u16,
    /// Its share in relation to the others, 0 (no flows) to [`MAX_WEIGHT`].
    pub weight: u16,
    /// What the operator wants of it.
    pub admin: Admin,
}

/// What the operator wants of a backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Admin {
    /// It takes its share.
    #[default]
    Ready,
    /// It gets no new connections and keeps those that it has.
    Drain {
        /// When [`Admin::Maintenance`] begins, in seconds of Unix time; never if absent.
        until: Option<u64>,
    },
    /// It gets nothing and is not checked; its connections follow the service's `on_down`.
    Maintenance,
}

impl Admin {
    /// A drain without an end.
    pub const DRAIN: Self = Self::Drain { until: None };

    /// `ready`, `drain` or `maintenance`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Drain { .. } => "drain",
            Self::Maintenance => "maintenance",
        }
    }
}

impl Backend {
    /// Whether another one has the same address and port.
    #[must_use]
    pub fn is_at(&self, other: &Self) -> bool {
        (self.address, self.port) == (other.address, other.port)
    }

    /// The ports that it serves `service` at.
    #[must_use]
    pub fn ports(&self, service: &Service) -> Ports {
        if service.ports.is_one() { Ports::one(Port::new(self.port)) } else { service.ports }
    }
}
