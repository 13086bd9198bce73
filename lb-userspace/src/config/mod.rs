//! The configuration: valid by construction.
//!
//! [`mod@file`] turns TOML into a [`Config`] or into errors with line and key; [`validate`] holds
//! the rules, and serves the changes made at run time ([`change()`]) as well. Beneath: `document` is
//! TOML with lines, `schema` has the keys, `value` the forms of values.

mod agent;
mod backend;
mod change;
mod check;
mod diff;
mod document;
pub mod file;
mod layer;
mod node;
mod pool;
pub mod proxy;
pub mod route;
mod save;
mod schema;
mod service;
pub mod validate;
mod value;
pub mod vrrp;

pub(crate) use value::parse_prefix;

pub use agent::Agent;
pub use backend::{Admin, Backend};
pub use change::{change, end_drains, sentences, subject_of};
pub use check::{Check, CheckKind, Flap, Http, Mysql, Pattern, Through, Tls, Udp};
pub use diff::{diff, fixed};
pub use layer::Layer;
pub use node::{Answers, AttachMode, Firewall, Limits, Node};
pub use route::Route;
pub use save::{Unsaved, save};
pub use service::{Service, default_on_down, default_window};
pub use vrrp::Vrrp;

use lb_common::{addr::Addr, route::Prefix};

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
    /// The virtual routers that this node is one of, in the file's order; names are unique.
    pub vrrp: Vec<Vrrp>,
    /// The routes that this node announces while it is healthy, in the file's order; names are unique.
    pub routes: Vec<Route>,
    /// The forwarders, in the file's order; names are unique among them and the services.
    pub proxies: Vec<proxy::Proxy>,
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
