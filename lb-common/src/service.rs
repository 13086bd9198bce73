//! Services: what a VIP's ports lead to.

use core::ops::RangeInclusive;

use crate::{
    addr::{Addr, Port, Protocol},
    checksum::Delta,
};

/// What names a service in a packet: destination address, destination ports, protocol.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceKey {
    /// The virtual IP address.
    pub vip: Addr,
    /// The service's ports.
    pub ports: Ports,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// Zero.
    pub padding: [u8; 3],
}

impl ServiceKey {
    /// The key of a service with one port.
    #[must_use]
    pub const fn new(vip: Addr, port: Port, protocol: Protocol) -> Self {
        Self::with_ports(vip, Ports::one(port), protocol)
    }

    /// The key of a service.
    #[must_use]
    pub const fn with_ports(vip: Addr, ports: Ports, protocol: Protocol) -> Self {
        Self { vip, ports, protocol, padding: [0; 3] }
    }

    /// The entry that says that an address is a VIP.
    #[must_use]
    pub const fn of_vip(vip: Addr) -> Self {
        Self::new(vip, Port::ZERO, Protocol::NONE)
    }

    /// Where in the table the search for this key begins, before the mask.
    #[must_use]
    pub const fn home(&self) -> u32 {
        let port = if self.ports.is_one() { self.ports.first } else { Port::ZERO };
        home(&self.vip, port, self.protocol)
    }
}

/// The ports of a service, first to last.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ports {
    /// The first.
    pub first: Port,
    /// The last.
    pub last: Port,
}

impl Ports {
    /// Every port.
    pub const ANY: Self = Self { first: Port::ZERO, last: Port::new(u16::MAX) };

    /// A single port.
    #[must_use]
    pub const fn one(port: Port) -> Self {
        Self { first: port, last: port }
    }

    /// Whether it is a single port.
    #[inline(always)]
    #[must_use]
    pub const fn is_one(&self) -> bool {
        self.first.get() == self.last.get()
    }

    /// Whether it is every port.
    #[inline(always)]
    #[must_use]
    pub const fn is_any(&self) -> bool {
        self.first.get() == 0 && self.last.get() == u16::MAX
    }

    /// Whether a port is among them.
    #[inline(always)]
    #[must_use]
    pub const fn contains(&self, port: Port) -> bool {
        self.first.get() <= port.get() && port.get() <= self.last.get()
    }
}

/// The lines of the table that may hold a key, from its home on.
pub const PROBES: u32 = 8;

/// Where the search for a service begins, before the mask. Services of several ports are found
/// under port zero. The table holds only what the operator configured, so that nobody outside can
/// make its chains longer.
#[inline(always)]
#[must_use]
pub const fn home(vip: &Addr, port: Port, protocol: Protocol) -> u32 {
    let [a, b, c, d] = vip.words();
    let [p, q] = port.wire();
    let high = a as u64 | (b as u64) << 32;
    let low = c as u64 ^ (d as u64) << 32;
    let ends = u32::from_ne_bytes([p, q, protocol.0, 0]) as u64;
    let mixed = (high ^ ends).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ (low.rotate_left(17) ^ ends << 29).wrapping_mul(0xd6e8_feb8_6659_fd93);
    // Products carry upwards only: regular addresses need another one, to part their homes.
    ((mixed ^ mixed >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
}

/// One line of the table of services. A live line never changes: a service that changes gets
/// another line, and the old one is retired by one store.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceLine {
    /// What it is found by.
    pub key: ServiceKey,
    /// What is found.
    pub service: Service,
    /// Whether it counts.
    pub occupancy: Occupancy,
    /// Zero: fills the cache line.
    pub reserved: [u32; 2],
}

impl ServiceLine {
    /// A line that was never used.
    pub const EMPTY: Self = Self {
        key: ServiceKey::new(Addr::UNSPECIFIED, Port::ZERO, Protocol(0)),
        service: Service::NONE,
        occupancy: Occupancy::EMPTY,
        reserved: [0; 2],
    };
}

/// What a line of the table holds.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occupancy(pub u32);

impl Occupancy {
    /// Nothing, and a search ends here.
    pub const EMPTY: Self = Self(0);
    /// A service.
    pub const LIVE: Self = Self(1);
    /// Nothing any more; a search goes on.
    pub const RETIRED: Self = Self(2);
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
    /// IP in IP, of either family in either (RFC 2003, RFC 2473, RFC 4213); DSR.
    pub const IPIP: Self = Self(2);
    /// Generic UDP Encapsulation, variant 0 (draft-ietf-intarea-gue-09); DSR.
    pub const GUE: Self = Self(3);

    /// The mode's name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::L2 => "l2",
            Self::NAT => "nat",
            Self::IPIP => "ipip",
            Self::GUE => "gue",
            Self(_) => "unknown",
        }
    }

    /// Whether packets travel inside others.
    #[inline(always)]
    #[must_use]
    pub const fn is_tunnel(self) -> bool {
        matches!(self, Self::IPIP | Self::GUE)
    }
}

/// What becomes of the flows of a backend that is down.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DownPolicy(pub u8);

impl DownPolicy {
    /// TCP is answered by a reset, UDP by "port unreachable", so that the client tries anew at once.
    pub const RST: Self = Self(0);
    /// They go to the backend of new flows.
    pub const REHASH: Self = Self(1);
    /// Their packets are dropped, in the hope that the backend comes back.
    pub const DROP: Self = Self(2);

    /// The policy's name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RST => "rst",
            Self::REHASH => "rehash",
            Self::DROP => "drop",
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
    /// The number of slots: a prime. 0 marks a VIP's own entry.
    pub ring_size: u32,
    /// What to add to a slot's index to get the backend's place in the table; index 1 is the
    /// block's first entry.
    pub backend_base: u32,
    /// The entries of the service's block of backends.
    pub backend_capacity: u16,
    /// How packets reach the backends.
    pub mode: ForwardMode,
    /// What becomes of the flows of a backend that is down.
    pub on_down: DownPolicy,
    /// The service's number in the flow table, from 1, the same as long as the service lives.
    pub id: u32,
    /// The flows that may be remembered.
    pub flow_limit: u32,
    /// The UDP port that backends receive GUE at.
    pub gue_port: Port,
    /// Zero.
    pub padding: u16,
}

impl Service {
    /// No service.
    pub const NONE: Self = Self {
        ring_base: 0,
        ring_size: 0,
        backend_base: 0,
        backend_capacity: 0,
        mode: ForwardMode::L2,
        on_down: DownPolicy::RST,
        id: 0,
        flow_limit: 0,
        gue_port: Port::ZERO,
        padding: 0,
    };

    /// The places of the service's backends in the table.
    #[must_use]
    pub const fn block(&self) -> RangeInclusive<u32> {
        self.backend_base + 1..=self.backend_base + self.backend_capacity as u32
    }
}

/// The bits of the filter before the table of NAT backends' answers, a power of two: 32 KiB, which
/// caches hold.
pub const REPLY_BITS: u32 = 1 << 18;

/// What names a NAT backend in its answers: source address, source port, protocol.
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

    /// The key's bit in the filter, which other keys may share.
    #[inline(always)]
    #[must_use]
    pub const fn bit(&self) -> u32 {
        home(&self.backend, self.port, self.protocol) % REPLY_BITS
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

impl Reply {
    /// None.
    pub const NONE: Self = Self {
        vip: Addr::UNSPECIFIED,
        port: Port::ZERO,
        address_delta: Delta::NONE,
        endpoint_delta: Delta::NONE,
        padding: 0,
        counter: 0,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_have_both_ends() {
        let ports = Ports { first: Port::new(8000), last: Port::new(8100) };
        for (port, within) in [(7999, false), (8000, true), (8100, true), (8101, false)] {
            assert_eq!(ports.contains(Port::new(port)), within, "{port}");
        }
        assert!(Ports::ANY.contains(Port::new(1)) && Ports::ANY.is_any() && !Ports::ANY.is_one());
    }

    /// What operators configure is regular: consecutive addresses, networks and ports.
    #[test]
    fn regular_keys_spread() {
        let mask = 16_383;
        for bit in [0, 8, 12, 16, 32, 48, 56, 60, 64, 72, 80, 84] {
            let mut lines = std::vec![0u32; mask as usize + 1];
            for vip in (0..64u128).map(|n| 0x2001_0db8 << 96 | n << bit) {
                let vip = Addr::from_v6(vip.to_be_bytes());
                for port in 8000..8064 {
                    let key = ServiceKey::new(vip, Port::new(port), Protocol::TCP);
                    lines[(key.home() & mask) as usize] += 1;
                }
            }
            let longest = lines.iter().max().copied();
            assert!(
                longest <= Some(6),
                "bit {bit}: {longest:?} of 4096 keys in one of 16384 lines"
            );
        }
    }
}
