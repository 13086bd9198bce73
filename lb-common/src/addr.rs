//! Wire-order addresses, ports, MACs and protocols.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An IPv6 address, or an IPv4 address in its IPv4-mapped form (RFC 4291 §2.5.5.2), so that one
/// code path serves both families.
///
/// Kept as four words that hold the wire's bytes in the wire's order.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Addr([u32; 4]);

impl Addr {
    /// `::`, which no packet of a flow carries.
    pub const UNSPECIFIED: Self = Self([0; 4]);
    const MAPPED: u32 = u32::from_ne_bytes([0, 0, 0xff, 0xff]);

    /// An IPv4 address from its bytes on the wire.
    #[inline(always)]
    #[must_use]
    pub const fn from_v4(bytes: [u8; 4]) -> Self {
        Self([0, 0, Self::MAPPED, u32::from_ne_bytes(bytes)])
    }

    /// An IPv6 address from its bytes on the wire.
    #[inline(always)]
    #[must_use]
    pub const fn from_v6(bytes: [u8; 16]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = bytes;
        Self([
            u32::from_ne_bytes([a, b, c, d]),
            u32::from_ne_bytes([e, f, g, h]),
            u32::from_ne_bytes([i, j, k, l]),
            u32::from_ne_bytes([m, n, o, p]),
        ])
    }

    /// The four words as native integers over wire-order bytes; for hashing and checksums.
    #[inline(always)]
    #[must_use]
    pub const fn words(&self) -> [u32; 4] {
        self.0
    }

    /// The 16 bytes on the wire (IPv4-mapped for IPv4).
    #[inline(always)]
    #[must_use]
    pub const fn octets(&self) -> [u8; 16] {
        let [w, x, y, z] = self.0;
        let [a, b, c, d] = w.to_ne_bytes();
        let [e, f, g, h] = x.to_ne_bytes();
        let [i, j, k, l] = y.to_ne_bytes();
        let [m, n, o, p] = z.to_ne_bytes();
        [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
    }

    /// The address with other last four bytes, in the wire's order.
    #[inline(always)]
    #[must_use]
    pub const fn with_low_word(&self, word: u32) -> Self {
        let [a, b, c, _] = self.0;
        Self([a, b, c, word])
    }

    /// The last four bytes: the whole address of an IPv4 host.
    #[inline(always)]
    #[must_use]
    pub const fn v4_octets(&self) -> [u8; 4] {
        self.0[3].to_ne_bytes()
    }

    /// Whether this is an IPv4 address.
    #[inline(always)]
    #[must_use]
    pub const fn is_v4(&self) -> bool {
        let [a, b, c, _] = self.0;
        // One comparison, so that the verifier has one branch to follow.
        a | b | (c ^ Self::MAPPED) == 0
    }

    /// The version of the address's IP. A set of prefixes holds it beside each of them: an IPv6
    /// prefix such as `::/0` covers the mapped addresses as well, and is not meant to.
    #[inline(always)]
    #[must_use]
    pub const fn version(&self) -> u32 {
        if self.is_v4() { 4 } else { 6 }
    }

    /// The address in std's type, with IPv4 unmapped.
    #[must_use]
    pub fn to_ip(&self) -> IpAddr {
        if self.is_v4() {
            IpAddr::V4(Ipv4Addr::from(self.v4_octets()))
        } else {
            IpAddr::V6(Ipv6Addr::from(self.octets()))
        }
    }
}

impl From<IpAddr> for Addr {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self::from_v4(ip.octets()),
            IpAddr::V6(ip) => Self::from_v6(ip.octets()),
        }
    }
}

/// A TCP or UDP port.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port(u16);

impl Port {
    /// A port from its number.
    #[must_use]
    pub const fn new(port: u16) -> Self {
        Self(port.to_be())
    }

    /// No flow's port: RFC 6335 §6 reserves it.
    pub const ZERO: Self = Self(0);

    /// A port from its bytes on the wire.
    #[inline(always)]
    #[must_use]
    pub const fn from_wire(bytes: [u8; 2]) -> Self {
        Self(u16::from_ne_bytes(bytes))
    }

    /// The bytes on the wire.
    #[inline(always)]
    #[must_use]
    pub const fn wire(self) -> [u8; 2] {
        self.0.to_ne_bytes()
    }

    /// The port's number.
    #[inline(always)]
    #[must_use]
    pub const fn get(self) -> u16 {
        u16::from_be(self.0)
    }
}

/// An Ethernet address.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl core::fmt::Display for Mac {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// A protocol above IP by its IANA number. Only TCP and UDP are balanced.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Protocol(pub u8);

impl Protocol {
    /// No packet's: marks a VIP itself, whatever its services.
    pub const NONE: Self = Self(0xff);
    /// RFC 792.
    pub const ICMP: Self = Self(1);
    /// IPv4 in IP (RFC 2003).
    pub const IPV4: Self = Self(4);
    /// IPv6 in IP (RFC 2473, RFC 4213).
    pub const IPV6: Self = Self(41);
    /// RFC 4443.
    pub const ICMPV6: Self = Self(58);
    /// RFC 9293.
    pub const TCP: Self = Self(6);
    /// RFC 768.
    pub const UDP: Self = Self(17);

    /// `tcp`, `udp`, or `unknown`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TCP => "tcp",
            Self::UDP => "udp",
            Self(_) => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_keep_the_wire_order() {
        let v4 = Addr::from(IpAddr::from([192, 0, 2, 7]));
        assert_eq!(v4.octets()[10..], [0xff, 0xff, 192, 0, 2, 7]);
        assert!(v4.is_v4());
        let v6: IpAddr = "2001:db8::7".parse().unwrap();
        assert_eq!(Addr::from(v6).to_ip(), v6);
        assert!(!Addr::from(v6).is_v4());
    }

    #[test]
    fn ports_keep_the_wire_order() {
        assert_eq!(Port::new(443).wire(), [1, 187]);
        assert_eq!(Port::from_wire([1, 187]).get(), 443);
    }
}
