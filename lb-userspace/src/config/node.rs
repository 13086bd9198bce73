//! This machine, and what it is limited to.

use std::{path::PathBuf, time::Duration};

use lb_common::route::Prefix;

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
    /// The threads of the forwarders; one for each CPU that the process may use if `None`.
    pub proxy_threads: Option<u32>,
    /// How long a thread of the forwarders looks for events before it sleeps, where they often come as soon;
    /// 0: not at all.
    pub proxy_busy_poll: Duration,
    /// How long the sessions of a forwarder that is replaced or ended may go on.
    pub proxy_drain: Duration,
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
            proxy_threads,
            proxy_busy_poll,
            proxy_drain,
        } = self;
        f.debug_struct("Node")
            .field("interfaces", interfaces)
            .field("mode", mode)
            .field("runtime_dir", runtime_dir)
            .field("pin_dir", pin_dir)
            .field("tunnel_source", tunnel_source)
            .field("probe_aliases", probe_aliases)
            .field("watchdog", watchdog)
            .field("proxy_threads", proxy_threads)
            .field("proxy_busy_poll", proxy_busy_poll)
            .field("proxy_drain", proxy_drain)
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

    /// The socket of the VRRP speaker.
    #[must_use]
    pub fn speaker_socket(&self) -> PathBuf {
        self.runtime_dir.join("vrrp.sock")
    }

    /// The socket of the forwarder.
    #[must_use]
    pub fn forwarder_socket(&self) -> PathBuf {
        self.runtime_dir.join("proxy.sock")
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
