//! Backends: one cache line each.

use crate::{
    addr::{Addr, Port},
    checksum::Delta,
    route::NextHop,
};

/// One backend of one service: all that forwarding needs, in one 64-byte line.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backend {
    /// The backend's address; unspecified in an entry that is free.
    pub address: Addr,
    /// The way to it; unresolved while its interface is 0.
    pub next_hop: NextHop,
    /// The backend's port, which differs from the service's only with `nat`.
    pub port: Port,
    /// The rewrite as an IPv4 header checksum sees it.
    pub address_delta: Delta,
    /// The rewrite as a TCP or UDP checksum sees it.
    pub endpoint_delta: Delta,
    /// What the control plane knows about it.
    pub condition: Condition,
    /// Zero.
    pub padding: u8,
    /// Its entry in the traffic counters.
    pub counter: u32,
    /// The longest IP packet that the way to it takes, in bytes; 65535 where nothing is added to
    /// packets.
    pub mtu: u16,
    /// Zero: fills the cache line.
    pub reserved: [u16; 5],
}

impl Backend {
    /// An entry that is free.
    pub const FREE: Self = Self {
        address: Addr::UNSPECIFIED,
        next_hop: NextHop::UNRESOLVED,
        port: Port::new(0),
        address_delta: Delta::NONE,
        endpoint_delta: Delta::NONE,
        condition: Condition::UP,
        padding: 0,
        counter: 0,
        mtu: u16::MAX,
        reserved: [0; 5],
    };

    /// Whether no backend stands in this entry.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.address == Addr::UNSPECIFIED
    }
}

/// What keeps a backend from new flows: a set. It stands in the map so that a restarted daemon goes
/// on from it; the ring already follows it.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Condition(pub u8);

impl Condition {
    /// Nothing: it takes its share.
    pub const UP: Self = Self(0);
    /// Its checks fail: it takes no packets.
    pub const DOWN: Self = Self(1);
    /// An operator drains it: it takes no new flows.
    pub const DRAINING: Self = Self(2);
    /// It is not configured any more: it keeps the flows that it has, until they end.
    pub const LEAVING: Self = Self(4);
    /// Its agent drains it: it takes no new flows.
    pub const WITHDRAWN: Self = Self(8);

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether somebody drains it.
    #[must_use]
    pub const fn is_drained(self) -> bool {
        self.contains(Self::DRAINING) || self.contains(Self::WITHDRAWN)
    }

    /// Whether all of `other` is in this set.
    #[inline(always)]
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}
