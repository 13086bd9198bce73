//! Incremental Internet checksums (RFC 1624).
//!
//! One's-complement sums do not depend on byte order (RFC 1071 §2 B), so words are added as they
//! lie in memory and results are stored the same way. A NAT rewrite always replaces the same old
//! words by the same new ones; their difference is computed once, in userspace, and stands in the
//! map entry.

use crate::addr::{Addr, Port};

/// What a rewrite adds to a one's-complement sum: `~m + m'` of RFC 1624 §3, folded to 16 bits.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delta(u16);

impl Delta {
    /// The rewrite that changes nothing.
    pub const NONE: Self = Self(0);

    /// One address replaced by another of the same family: all that an IPv4 header checksum sees.
    #[must_use]
    pub fn address(old: &Addr, new: &Addr) -> Self {
        let mut sum = 0;
        for (old, new) in old.words().into_iter().zip(new.words()) {
            sum += u64::from(!old) + u64::from(new);
        }
        Self(fold(sum))
    }

    /// One endpoint replaced by another: what a TCP or UDP checksum sees, whose pseudo-header
    /// covers the address (RFC 9293 §3.1, RFC 8200 §8.1).
    #[must_use]
    pub fn endpoint(old: (&Addr, Port), new: (&Addr, Port)) -> Self {
        let ports = u64::from(!u16::from_ne_bytes(old.1.wire()))
            + u64::from(u16::from_ne_bytes(new.1.wire()));
        Self(fold(u64::from(Self::address(old.0, new.0).0) + ports))
    }

    /// One 16-bit word replaced by another.
    #[inline(always)]
    #[must_use]
    pub const fn word(old: [u8; 2], new: [u8; 2]) -> Self {
        Self(!u16::from_ne_bytes(old)).and(Self(u16::from_ne_bytes(new)))
    }

    /// Both rewrites.
    #[inline(always)]
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        let sum = self.0 as u32 + other.0 as u32;
        Self((sum & 0xffff) as u16 + (sum >> 16) as u16)
    }

    /// The rewrite that takes this one back.
    #[inline(always)]
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self(!self.0)
    }

    /// The decrement of a TTL, which is the first byte of its 16-bit word (RFC 791 §3.1).
    pub const TTL_DECREMENT: Self = Self(!u16::from_ne_bytes([1, 0]));
}

/// Applies a rewrite to a stored checksum: `HC' = ~(~HC + ~m + m')` (RFC 1624 eqn. 3).
#[inline(always)]
#[must_use]
pub const fn update(checksum: [u8; 2], delta: Delta) -> [u8; 2] {
    let sum = !u16::from_ne_bytes(checksum) as u64 + delta.0 as u64;
    // The end-around carry as a product: of a sum, the compiler makes a branch that no processor
    // can predict.
    (!(((sum * 0x1_0001) >> 16) as u16)).to_ne_bytes()
}

/// Applies a rewrite to a UDP checksum over IPv4, where zero says "none" and stays, and a computed
/// zero is sent as all ones (RFC 768).
#[inline(always)]
#[must_use]
pub const fn update_udp(checksum: [u8; 2], delta: Delta) -> [u8; 2] {
    match checksum {
        [0, 0] => [0, 0],
        _ => match update(checksum, delta) {
            [0, 0] => [0xff, 0xff],
            updated => updated,
        },
    }
}

/// The checksum of words whose sum is given: folded twice, which is enough for 65536 words, and
/// complemented (RFC 1071).
#[inline(always)]
#[must_use]
pub const fn finish(sum: u32) -> [u8; 2] {
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    (!(sum as u16)).to_ne_bytes()
}

/// The same for a sum of 32-bit words, of which there are at most 2³².
#[inline(always)]
#[must_use]
pub const fn finish_wide(sum: u64) -> [u8; 2] {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    finish(sum as u32)
}

const fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    /// The checksum as RFC 1071 defines it, over big-endian words.
    fn whole(data: &[u8]) -> [u8; 2] {
        let mut sum = 0u64;
        for pair in data.chunks(2) {
            sum += u64::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
        }
        (!fold(sum)).to_be_bytes()
    }

    /// Zero has two forms in one's complement; both verify.
    fn canonical(checksum: [u8; 2]) -> [u8; 2] {
        if checksum == [0xff, 0xff] { [0, 0] } else { checksum }
    }

    fn addr() -> impl Strategy<Value = (Addr, Addr)> {
        prop_oneof![
            any::<(u32, u32)>().prop_map(|(a, b)| (
                IpAddr::from(Ipv4Addr::from(a)).into(),
                IpAddr::from(Ipv4Addr::from(b)).into()
            )),
            any::<(u128, u128)>().prop_map(|(a, b)| (
                IpAddr::from(Ipv6Addr::from(a)).into(),
                IpAddr::from(Ipv6Addr::from(b)).into()
            )),
        ]
    }

    proptest! {
        #[test]
        fn an_update_equals_a_new_computation((old, new) in addr(), ports: (u16, u16), rest: [u8; 20]) {
            let packet = |addr: &Addr, port: u16| {
                let mut bytes = addr.octets().to_vec();
                bytes.extend(port.to_be_bytes());
                bytes.extend(rest);
                bytes
            };
            let delta = Delta::endpoint((&old, Port::new(ports.0)), (&new, Port::new(ports.1)));
            prop_assert_eq!(
                canonical(update(whole(&packet(&old, ports.0)), delta)),
                canonical(whole(&packet(&new, ports.1)))
            );
            prop_assert_eq!(
                canonical(update(whole(&packet(&new, ports.1)), delta.reversed())),
                canonical(whole(&packet(&old, ports.0)))
            );
        }

        #[test]
        fn replaced_words_add_up(mut words: [[u8; 2]; 9], one: [u8; 2], other: [u8; 2]) {
            let before = whole(words.as_flattened());
            let delta = Delta::word(words[2], one).and(Delta::word(words[7], other));
            (words[2], words[7]) = (one, other);
            prop_assert_eq!(
                canonical(update(before, delta)),
                canonical(whole(words.as_flattened()))
            );
        }

        #[test]
        fn wide_words_give_the_same(bytes: [u8; 64]) {
            let sum = bytes.as_chunks().0.iter().map(|&word| u64::from(u32::from_ne_bytes(word)));
            prop_assert_eq!(finish_wide(sum.sum()), whole(&bytes));
        }

        #[test]
        fn a_ttl_decrement_equals_a_new_computation(mut header: [u8; 20], ttl in 1u8..) {
            header[8] = ttl;
            let before = whole(&header);
            header[8] -= 1;
            prop_assert_eq!(
                canonical(update(before, Delta::TTL_DECREMENT)),
                canonical(whole(&header))
            );
        }
    }

    #[test]
    fn a_replaced_word_equals_a_new_computation() {
        for (old, new) in [([0x45, 1], [0x45, 3]), ([0, 0], [0xff, 0xff]), ([9, 9], [9, 9])] {
            let rest = [0x12, 0x34, 0xfe, 0xdc];
            let sum = |word: [u8; 2]| whole(&[&word[..], &rest].concat());
            let updated = update(sum(old), Delta::word(old, new));
            assert_eq!(canonical(updated), canonical(sum(new)));
        }
    }

    #[test]
    fn udp_without_a_checksum_stays_without() {
        assert_eq!(update_udp([0, 0], Delta(0x1234)), [0, 0]);
        assert_ne!(update_udp([0x12, 0x34], Delta(u16::from_ne_bytes([0x12, 0x34]))), [0, 0]);
    }
}
