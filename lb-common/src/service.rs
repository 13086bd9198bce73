//! Services: what a VIP's port leads to.

use core::ops::RangeInclusive;

use crate::{
    addr::{Addr, Port, Protocol},
    checksum::Delta,
};

/// What names a service in a packet: destination address, destination port, protocol.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceKey {
    /// The virtual IP address.
    pub vip: Addr,
    /// The service's port.
    pub port: Port,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// Zero.
    pub padding: u8,
}

impl ServiceKey {
    /// The key of a service.
    #[inline(always)]
    #[must_use]
    pub const fn new(vip: Addr, port: Port, protocol: Protocol) -> Self {
        Self { vip, port, protocol, padding: 0 }
    }
}

/// How a packet reaches its backend.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ForwardMode(pub u8);

impl ForwardMode {
    /// The MACs are rewritten; the backend has the VIP and answers the client directly (DSR).
    pub const L2: Self = Self(0);
    /// Address and port are rewritten; the answer comes back through the node.
    pub const NAT: Self = Self(1);

    /// The mode's name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::L2 => "l2",
            Self::NAT => "nat",
            Self(_) => "unknown",
        }
    }
}

/// A service as the packet path sees it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// The first slot of the service's ring.
    pub ring_base: u32,
    /// The number of slots: a prime.
    pub ring_size: u32,
    /// What to add to a slot's index to get the backend's place in the table; index 1 is the
    /// block's first entry.
    pub backend_base: u32,
    /// The entries of the service's block of backends.
    pub backend_capacity: u16,
    /// How packets reach the backends.
    pub mode: ForwardMode,
    /// Zero.
    pub padding: u8,
}

impl Service {
    /// The places of the service's backends in the table.
    #[must_use]
    pub const fn block(&self) -> RangeInclusive<u32> {
        self.backend_base + 1..=self.backend_base + self.backend_capacity as u32
    }
}

/// What names a NAT backend in its answers: source address, source port, protocol.
///
/// The same layout as [`ServiceKey`]; the two never mix, because the maps are different.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplyKey {
    /// The backend's address.
    pub backend: Addr,
    /// The backend's port.
    pub port: Port,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// Zero.
    pub padding: u8,
}

impl ReplyKey {
    /// The key of a backend's answers.
    #[inline(always)]
    #[must_use]
    pub const fn new(backend: Addr, port: Port, protocol: Protocol) -> Self {
        Self { backend, port, protocol, padding: 0 }
    }
}

/// What a NAT backend's answer is rewritten to: the service that the client asked.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The VIP, the answer's new source.
    pub vip: Addr,
    /// The service's port, the answer's new source port.
    pub port: Port,
    /// The rewrite as an IPv4 header checksum sees it.
    pub address_delta: Delta,
    /// The rewrite as a TCP or UDP checksum sees it.
    pub endpoint_delta: Delta,
    /// Zero.
    pub padding: u16,
    /// The backend's entry in the traffic counters.
    pub counter: u32,
}
