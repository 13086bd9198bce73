//! Next hops and prefixes.

use crate::addr::{Addr, Mac};

/// How a frame leaves the node: the interface and the frame's addresses.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// The interface's index; 0 while the neighbour is not resolved.
    pub interface: u32,
    /// The neighbour's MAC.
    pub destination: Mac,
    /// The interface's own MAC.
    pub source: Mac,
    /// The VLAN tags of the frame, the outer first.
    pub tags: [VlanTag; 2],
}

/// A VLAN tag (IEEE 802.1Q-2022 §9) as it lies on the wire.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VlanTag {
    /// The tag protocol: 0x8100 or 0x88a8; 0 where there is no tag.
    pub protocol: [u8; 2],
    /// Priority and VLAN identifier.
    pub control: [u8; 2],
}

impl VlanTag {
    /// No tag.
    pub const NONE: Self = Self { protocol: [0; 2], control: [0; 2] };

    /// A tag of a VLAN by its identifier, 1 to 4094, with priority 0.
    #[must_use]
    pub const fn new(protocol: u16, id: u16) -> Self {
        Self { protocol: protocol.to_be_bytes(), control: id.to_be_bytes() }
    }

    /// Whether there is a tag.
    #[inline(always)]
    #[must_use]
    pub const fn is_some(&self) -> bool {
        self.protocol[0] != 0
    }
}

impl NextHop {
    /// The neighbour's MAC is not known.
    pub const UNRESOLVED: Self = Self {
        interface: 0,
        destination: Mac([0; 6]),
        source: Mac([0; 6]),
        tags: [VlanTag::NONE; 2],
    };

    /// The destination is the node itself.
    pub const LOCAL: Self = Self { interface: u32::MAX, ..Self::UNRESOLVED };

    /// Destination and source as they lie in a frame's header, in words.
    #[inline(always)]
    #[must_use]
    pub const fn addresses(&self) -> [u32; 3] {
        let ([a, b, c, d, e, f], [g, h, i, j, k, l]) = (self.destination.0, self.source.0);
        [
            u32::from_ne_bytes([a, b, c, d]),
            u32::from_ne_bytes([e, f, g, h]),
            u32::from_ne_bytes([i, j, k, l]),
        ]
    }

    /// Whether the destination is the node itself.
    #[inline(always)]
    #[must_use]
    pub const fn is_local(&self) -> bool {
        self.interface == Self::LOCAL.interface
    }

    /// Whether a frame can be sent.
    #[inline(always)]
    #[must_use]
    pub const fn is_resolved(&self) -> bool {
        self.interface != 0 && !self.is_local()
    }
}

/// An address prefix as the kernel's LPM trie wants it: the length first, in bits of the 128-bit
/// (IPv4-mapped) address.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    /// 0 to 128; an IPv4 prefix counts the 96 mapped bits.
    pub length: u32,
    /// The address, with the bits behind the prefix zero.
    pub address: Addr,
}

impl Prefix {
    /// The prefix of a single host.
    #[inline(always)]
    #[must_use]
    pub const fn host(address: Addr) -> Self {
        Self { length: 128, address }
    }

    /// A prefix of a family's own length, at most 32 for IPv4 and 128 for IPv6, with the bits
    /// behind it cleared. `None` if the length is larger.
    #[must_use]
    pub fn new(ip: core::net::IpAddr, length: u8) -> Option<Self> {
        let (address, length, width) = match ip {
            core::net::IpAddr::V4(v4) => (v4.to_ipv6_mapped(), u32::from(length) + 96, 128),
            core::net::IpAddr::V6(v6) => (v6, u32::from(length), 128),
        };
        if length > width {
            return None;
        }
        let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
        let masked = (u128::from_be_bytes(address.octets()) & mask).to_be_bytes();
        Some(Self { length, address: Addr::from_v6(masked) })
    }

    /// Whether an address begins with it, in the 128-bit form.
    #[must_use]
    pub fn contains(&self, address: &Addr) -> bool {
        let mask = u128::MAX.checked_shl(128 - self.length.min(128)).unwrap_or(0);
        let [ours, theirs] = [self.address, *address].map(|it| u128::from_be_bytes(it.octets()));
        (ours ^ theirs) & mask == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_clears_the_host_bits() {
        let prefix = Prefix::new([192, 0, 2, 130].into(), 25).unwrap();
        assert_eq!(prefix, Prefix { length: 121, address: Addr::from_v4([192, 0, 2, 128]) });
        let default = Prefix::new([10, 0, 0, 1].into(), 0).unwrap();
        assert_eq!((default.length, default.address.is_v4()), (96, true));
        assert_eq!(Prefix::new([10, 0, 0, 1].into(), 33), None);
        assert!(prefix.contains(&Addr::from_v4([192, 0, 2, 255])));
        assert!(!prefix.contains(&Addr::from_v4([192, 0, 2, 127])));
        assert!(default.contains(&Addr::from_v4([255; 4])));
        let all: core::net::IpAddr = "::1".parse().unwrap();
        assert_eq!(Prefix::new(all, 0).unwrap().address, Addr::UNSPECIFIED);
    }
}
