//! Health checks through the packet path: each checked backend has an address of the node's own
//! block, an alias, that stands for the VIP on that very backend.

use crate::{
    addr::{Addr, Port},
    checksum::Delta,
    route::NextHop,
    service::Service,
};

/// The node's block of addresses of one family, by its first one; a backend's alias follows from
/// its place in the table of backends.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aliases(pub Addr);

impl Aliases {
    /// There is no block.
    pub const NONE: Self = Self(Addr::UNSPECIFIED);
    /// The addresses that come before those of places: the block's own, [`Self::own`] and
    /// [`Self::router`]. Place 0 is never used.
    const RESERVED: u32 = 2;

    /// The addresses that a block for backends in places up to `last` has at least.
    #[must_use]
    pub const fn needed(last: u32) -> u64 {
        Self::RESERVED as u64 + last as u64 + 1
    }

    /// The address that checks come from, of the node's end of the probe link.
    #[inline(always)]
    #[must_use]
    pub const fn own(&self) -> Addr {
        self.at(1)
    }

    /// The next hop of the route to all aliases: the kernel needs one neighbour instead of one for
    /// each.
    #[must_use]
    pub const fn router(&self) -> Addr {
        self.at(2)
    }

    /// The alias of the backend in a place.
    #[must_use]
    pub const fn of(&self, place: u32) -> Addr {
        self.at(Self::RESERVED + place)
    }

    /// The place that an alias is of; meaningless for other addresses of the block, and for those
    /// of another one a place that no table has, or a wrong family.
    #[inline(always)]
    #[must_use]
    pub const fn place(&self, alias: &Addr) -> u32 {
        let ([a, b, c, first], [d, e, f, it]) = (self.0.words(), alias.words());
        if (a ^ d) | (b ^ e) | (c ^ f) != 0 {
            return u32::MAX;
        }
        u32::from_be(it).wrapping_sub(u32::from_be(first)).wrapping_sub(Self::RESERVED)
    }

    #[inline(always)]
    const fn at(&self, number: u32) -> Addr {
        let [_, _, _, first] = self.0.words();
        self.0.with_low_word(u32::from_be(first).wrapping_add(number).to_be())
    }
}

/// What all checks through the packet path have in common.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeSettings {
    /// The aliases of IPv4.
    pub aliases4: Aliases,
    /// The aliases of IPv6.
    pub aliases6: Aliases,
    /// The way of answers back to the daemon: into the far end of the probe link.
    pub answers: NextHop,
}

impl ProbeSettings {
    /// Nothing is checked in this way.
    pub const NONE: Self =
        Self { aliases4: Aliases::NONE, aliases6: Aliases::NONE, answers: NextHop::UNRESOLVED };

    /// The aliases of a family.
    #[inline(always)]
    #[must_use]
    pub const fn aliases(&self, is_v4: bool) -> &Aliases {
        if is_v4 { &self.aliases4 } else { &self.aliases6 }
    }
}

/// What becomes of the checks of one backend; it stands in the same place as the backend.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// What the alias is replaced by; unspecified in an entry that is free.
    pub vip: Addr,
    /// What the address that checks come from is replaced by: the node's own towards the backend.
    pub source: Addr,
    /// The service, for the way to the backend.
    pub service: Service,
    /// How long an answer may take, in ms.
    pub patience: u32,
    /// Both replacements, as any of the checksums sees them.
    pub delta: Delta,
    /// Zero.
    pub padding: [u16; 3],
}

impl Probe {
    /// An entry that is free.
    pub const FREE: Self = Self {
        vip: Addr::UNSPECIFIED,
        source: Addr::UNSPECIFIED,
        service: Service::NONE,
        patience: 0,
        delta: Delta::NONE,
        padding: [0; 3],
    };

    /// Whether nothing is checked by this entry.
    #[inline(always)]
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.vip == Addr::UNSPECIFIED
    }
}

/// What the packets of one check have in common on the wire, both ways.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProbeKey {
    /// The VIP.
    pub vip: Addr,
    /// The node's own address.
    pub node: Addr,
    /// The checked port; of an echo request the identifier.
    pub port: Port,
    /// The node's port; of an echo request the sequence number.
    pub node_port: Port,
    /// The number of TCP, UDP, or the family's ICMP: a word, since clearing bytes of padding would take a
    /// call, and stack is scarce.
    pub protocol: u32,
}

/// Which check these packets are of. Its answers come from the VIP, as those of all backends do.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeNote {
    /// Until when an answer is waited for, in ns of the kernel's monotonic clock.
    pub until: u64,
    /// The place of the backend.
    pub place: u32,
    /// Zero.
    pub padding: u32,
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn address(text: &str) -> Addr {
        text.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn an_alias_and_its_place_say_the_same() {
        for (base, own, first, last) in [
            ("240.0.0.0", "240.0.0.1", "240.0.0.3", "240.0.64.2"),
            ("fd00:1::", "fd00:1::1", "fd00:1::3", "fd00:1::4002"),
        ] {
            let aliases = Aliases(address(base));
            assert_eq!(aliases.own(), address(own));
            assert_eq!((aliases.of(1), aliases.of(16_384)), (address(first), address(last)));
            for place in [1, 255, 16_384] {
                assert_eq!(aliases.place(&aliases.of(place)), place);
            }
        }
    }

    #[test]
    fn other_addresses_have_no_place() {
        let (v4, v6) = (Aliases(address("240.0.0.0")), Aliases(address("fd00:1::")));
        for (aliases, other) in [
            (v4, "239.255.255.255"),
            (v4, "10.0.0.1"),
            (v4, "fd00:1::3"),
            (v6, "fd00:2::3"),
            (v6, "240.0.0.3"),
            (Aliases::NONE, "240.0.0.3"),
            (Aliases::NONE, "fd00:1::3"),
        ] {
            assert!(aliases.place(&address(other)) > 1 << 24, "{other}");
        }
        assert_eq!(v4.place(&v4.router()), 0);
    }
}
