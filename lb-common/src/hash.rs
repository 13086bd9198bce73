//! The keyed flow hash and the index into a ring.

use crate::addr::{Addr, Port};

/// The secret of the flow hash: equal on all nodes of a cluster, so that their rings agree, and
/// unknown outside, so that nobody can aim traffic at one backend.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HashKey {
    /// One multiplier per input word, after the constant term.
    words: [u64; 6],
}

impl core::fmt::Debug for HashKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("HashKey(secret)")
    }
}

impl HashKey {
    /// Expands a 128-bit seed by `SplitMix64` (Steele, Lea, Flood: "Fast splittable pseudorandom
    /// number generators", OOPSLA 2014), one stream per half.
    #[must_use]
    pub fn from_seed(seed: [u8; 16]) -> Self {
        let [a, b, c, d, e, f, g, h, rest @ ..] = seed;
        let mut low = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        let mut high = u64::from_le_bytes(rest);
        let mut words = [0; 6];
        for word in &mut words {
            *word = split_mix(&mut low) ^ split_mix(&mut high).rotate_left(32);
        }
        Self { words }
    }
}

fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    finish(*state)
}

/// `SplitMix64`'s finalizer, a bijection in which every input bit moves every output bit.
#[inline(always)]
const fn finish(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Hashes a flow as its first packet shows it: source address, source port, destination port.
///
/// Multilinear hashing with 64-bit secrets over 32-bit words is strongly universal (Lemire and
/// Kaser, "Strongly universal string hashing is fast", 2014); the finalizer hides its linearity,
/// so that neighbouring ports say nothing about each other's slot. The destination address is
/// left out: a ring belongs to one service.
#[inline(always)]
#[must_use]
pub fn flow_hash(key: &HashKey, source: &Addr, source_port: Port, destination_port: Port) -> u32 {
    let [a, b, c, d] = source.words();
    let [p, q] = source_port.wire();
    let [r, s] = destination_port.wire();
    let ports = u32::from_ne_bytes([p, q, r, s]);
    let k = &key.words;
    let sum = k[0]
        .wrapping_add(k[1].wrapping_mul(u64::from(a)))
        .wrapping_add(k[2].wrapping_mul(u64::from(b)))
        .wrapping_add(k[3].wrapping_mul(u64::from(c)))
        .wrapping_add(k[4].wrapping_mul(u64::from(d)))
        .wrapping_add(k[5].wrapping_mul(u64::from(ports)));
    (finish(sum) >> 32) as u32
}

/// The slot of a hash in a ring of `size` slots: `hash × size >> 32`, always below `size`, without
/// a division (Lemire, "Fast random integer generation in an interval", 2019).
#[inline(always)]
#[must_use]
pub const fn slot_index(hash: u32, size: u32) -> u32 {
    ((hash as u64 * size as u64) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::*;

    fn slot_of(key: &HashKey, source: IpAddr, port: u16, size: u32) -> u32 {
        slot_index(flow_hash(key, &source.into(), Port::new(port), Port::new(80)), size)
    }

    proptest! {
        #[test]
        fn the_slot_is_within_the_ring(hash: u32, size in 1u32..) {
            prop_assert!(slot_index(hash, size) < size);
        }
    }

    /// 64 buckets over the ephemeral ports of one client: the chi-square statistic of 28,232
    /// balls has mean 63 and deviation 11.2; 150 is beyond seven deviations.
    #[test]
    fn the_ports_of_one_client_spread_evenly() {
        for seed in 0..32u8 {
            let key = HashKey::from_seed([seed; 16]);
            let mut buckets = [0u32; 64];
            for port in 32768..61000 {
                buckets[slot_of(&key, [192, 0, 2, 1].into(), port, 64) as usize] += 1;
            }
            let expected = 28232.0 / 64.0;
            let chi: f64 =
                buckets.iter().map(|&n| (f64::from(n) - expected).powi(2) / expected).sum();
            assert!(chi < 150.0, "seed {seed}: chi-square {chi}");
        }
    }

    #[test]
    fn another_seed_gives_another_order() {
        let (one, two) = (HashKey::from_seed([1; 16]), HashKey::from_seed([2; 16]));
        let same = (1024..11024)
            .filter(|&port| {
                let source = [192, 0, 2, 1].into();
                slot_of(&one, source, port, 100) == slot_of(&two, source, port, 100)
            })
            .count();
        assert!((50..200).contains(&same), "{same} of 10000 in the same of 100 slots");
    }

    #[test]
    fn the_key_is_not_printed() {
        assert_eq!(format!("{:?}", HashKey::from_seed([7; 16])), "HashKey(secret)");
    }
}
