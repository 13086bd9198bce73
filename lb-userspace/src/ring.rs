//! The construction of a ring: weighted Maglev.
//!
//! Each member walks its own permutation of the slots and takes the next free one when it is its
//! turn (Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016,
//! §3.4). Weights decide how often it has a turn. A permutation depends on the member's address,
//! its port and the seed alone, so that nodes agree and a change of the pool moves few slots of
//! the others.

use lb_common::{
    addr::{Addr, Port},
    hash::{HashKey, flow_hash},
};

/// What names a backend within its service, and on all nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// Its address.
    pub address: Addr,
    /// Its port.
    pub port: Port,
}

impl From<&lb_common::backend::Backend> for Endpoint {
    fn from(line: &lb_common::backend::Backend) -> Self {
        Self { address: line.address, port: line.port }
    }
}

impl From<std::net::SocketAddr> for Endpoint {
    fn from(socket: std::net::SocketAddr) -> Self {
        Self { address: socket.ip().into(), port: Port::new(socket.port()) }
    }
}

/// What tells rings apart, on this node and on others: the same for the same members in the same slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub u64);

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&format!("{:016x}", self.0))
    }
}

impl Digest {
    /// That of a ring as [`build`] gives it for these members.
    #[must_use]
    pub fn of(table: &[Option<u16>], members: &[Member]) -> Self {
        let endpoint = |&Member { endpoint: Endpoint { address, port }, weight: _ }: &Member| {
            fnv(address.octets().into_iter().chain(port.wire()).map(u64::from))
        };
        let names: Vec<u64> = members.iter().map(endpoint).collect();
        let owner = |slot: &Option<u16>| {
            slot.and_then(|position| names.get(usize::from(position))).copied().unwrap_or(0)
        };
        Self(fnv(table.iter().map(owner)))
    }
}

/// FNV-1a of 64 bits, by words instead of bytes (draft-eastlake-fnv §2).
fn fnv(words: impl Iterator<Item = u64>) -> u64 {
    words.fold(0xcbf2_9ce4_8422_2325, |sum, word| (sum ^ word).wrapping_mul(0x0000_0100_0000_01b3))
}

/// A backend that takes new flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Which one.
    pub endpoint: Endpoint,
    /// Its share in relation to the others; more than 0.
    pub weight: u16,
}

/// Builds a ring of `size` slots, a prime; each slot gives the position of its member.
///
/// The members are taken in the order of their endpoints, whatever order they are given in. No
/// member, or only members of weight 0, gives `None` everywhere.
#[must_use]
pub fn build(size: u32, members: &[Member], key: &HashKey) -> Vec<Option<u16>> {
    let mut table = vec![None; size as usize];
    let heaviest = members.iter().map(|member| u32::from(member.weight)).max().unwrap_or(0);
    if heaviest == 0 {
        return table;
    }
    let mut order: Vec<(&Member, u16)> = members.iter().zip(0..).collect();
    order.sort_unstable_by_key(|(member, _)| member.endpoint);
    let mut walkers: Vec<Walker> = order
        .into_iter()
        .map(|(member, position)| Walker::new(size, member, position, key))
        .collect();
    let mut free = Free::new(size);
    let mut left = size;
    loop {
        for walker in &mut walkers {
            walker.credit += walker.weight;
            if walker.credit < heaviest {
                continue;
            }
            walker.credit -= heaviest;
            let slot = walker.take(size, &mut free);
            table[slot as usize] = Some(walker.position);
            left -= 1;
            if left == 0 {
                return table;
            }
        }
    }
}

/// The slots that nobody has taken yet: a bit each, so that the walks stay within the CPU's nearest
/// cache.
struct Free(Vec<u64>);

impl Free {
    fn new(size: u32) -> Self {
        Self(vec![u64::MAX; size.div_ceil(64) as usize])
    }

    /// Takes a slot. Gives whether it was free.
    fn take(&mut self, slot: u32) -> bool {
        let word = &mut self.0[(slot / 64) as usize];
        let bit = 1 << (slot % 64);
        let free = *word & bit != 0;
        // Most are taken: storing then too would hold the next probe up.
        if free {
            *word ^= bit;
        }
        free
    }
}

/// A member on its walk over the slots.
struct Walker {
    weight: u32,
    credit: u32,
    slot: u32,
    step: u32,
    position: u16,
}

impl Walker {
    fn new(size: u32, member: &Member, position: u16, key: &HashKey) -> Self {
        let Member { endpoint: Endpoint { address, port }, weight } = member;
        let hash = |stream| flow_hash(key, address, *port, Port::new(stream));
        Self {
            weight: u32::from(*weight),
            credit: 0,
            slot: hash(0) % size,
            step: hash(1) % (size - 1) + 1,
            position,
        }
    }

    /// Takes the next free slot of the walk. There must be one: the step and the size have no
    /// common divisor, so that the walk visits every slot.
    fn take(&mut self, size: u32, free: &mut Free) -> u32 {
        loop {
            let slot = self.slot;
            let next = slot + self.step;
            self.slot = if next >= size { next - size } else { next };
            if free.take(slot) {
                return slot;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;
    use crate::config::{DEFAULT_RING_SIZE, RING_SIZES};

    fn members(weights: &[u16]) -> Vec<Member> {
        weights
            .iter()
            .zip(1u32..)
            .map(|(&weight, host)| Member {
                endpoint: Endpoint {
                    address: std::net::IpAddr::from(Ipv4Addr::from(0x0a00_0000 + host)).into(),
                    port: Port::new(80),
                },
                weight,
            })
            .collect()
    }

    fn counts(table: &[Option<u16>], members: usize) -> Vec<u32> {
        let mut counts = vec![0; members];
        for position in table.iter().flatten() {
            counts[usize::from(*position)] += 1;
        }
        counts
    }

    /// The slots that changed hands although their owner stayed, in hundredths of a per cent of all.
    fn foreign(before: &[Option<u16>], after: &[Option<u16>], gone: u16) -> usize {
        let moved = before
            .iter()
            .zip(after)
            .filter(|(before, after)| **before != Some(gone) && before != after)
            .count();
        moved * 10_000 / before.len()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn a_hundred_equal_backends_are_within_one_per_cent(seed: [u8; 16]) {
            let table = build(DEFAULT_RING_SIZE, &members(&[1; 100]), &HashKey::from_seed(seed));
            let even = f64::from(DEFAULT_RING_SIZE) / 100.0;
            for count in counts(&table, 100) {
                prop_assert!((f64::from(count) - even).abs() / even <= 0.01, "{count} of {even}");
            }
        }

        #[test]
        fn weights_are_honoured(
            seed: [u8; 16],
            weights in prop::collection::vec(0u16..=100, 1..50),
        ) {
            prop_assume!(weights.iter().any(|&weight| weight > 0));
            let table = build(DEFAULT_RING_SIZE, &members(&weights), &HashKey::from_seed(seed));
            let total: f64 = weights.iter().map(|&weight| f64::from(weight)).sum();
            for (count, weight) in counts(&table, weights.len()).into_iter().zip(&weights) {
                let due = f64::from(DEFAULT_RING_SIZE) * f64::from(*weight) / total;
                prop_assert!((f64::from(count) - due).abs() <= 1.0 + due * 0.01, "{count} of {due}");
            }
        }

        #[test]
        fn removing_one_of_a_hundred_moves_few_foreign_slots(seed: [u8; 16], gone in 0u16..100) {
            let key = HashKey::from_seed(seed);
            let mut weights = vec![1; 100];
            let before = build(DEFAULT_RING_SIZE, &members(&weights), &key);
            weights[usize::from(gone)] = 0;
            let after = build(DEFAULT_RING_SIZE, &members(&weights), &key);
            let foreign = foreign(&before, &after, gone);
            prop_assert!(foreign < 200, "{foreign} of 10,000 slots");
        }

        #[test]
        fn digests_are_alike_for_the_same_ring_alone(seed: [u8; 16], heavy in 0usize..7) {
            let key = HashKey::from_seed(seed);
            let digest = |members: &[Member]| Digest::of(&build(1021, members, &key), members);
            let straight = members(&[1; 7]);
            let mut turned = straight.clone();
            turned.reverse();
            prop_assert_eq!(digest(&straight), digest(&turned));
            turned[heavy].weight = 2;
            prop_assert_ne!(digest(&straight), digest(&turned));
            prop_assert_ne!(digest(&straight), digest(&straight[1..]));
            let mut moved = straight.clone();
            moved[heavy].endpoint.port = Port::new(9999);
            let table = build(1021, &straight, &key);
            prop_assert_ne!(Digest::of(&table, &straight), Digest::of(&table, &moved));
        }

        #[test]
        fn the_order_of_the_members_does_not_matter(seed: [u8; 16], turn in 0usize..7) {
            let key = HashKey::from_seed(seed);
            let straight = members(&[1, 2, 3, 4, 5, 6, 7]);
            let mut turned = straight.clone();
            turned.rotate_left(turn);
            let name = |table: Vec<Option<u16>>, members: &[Member]| -> Vec<_> {
                table.into_iter().flatten().map(|at| members[usize::from(at)].endpoint).collect()
            };
            prop_assert_eq!(
                name(build(1021, &straight, &key), &straight),
                name(build(1021, &turned, &key), &turned)
            );
        }
    }

    #[test]
    fn every_ring_size_is_a_prime() {
        for &size in RING_SIZES {
            assert!((2..size).take_while(|n| n * n <= size).all(|n| size % n != 0), "{size}");
        }
    }

    #[test]
    fn without_members_no_slot_has_an_owner() {
        let key = HashKey::from_seed([0; 16]);
        assert!(build(1021, &[], &key).iter().all(Option::is_none));
        assert!(build(1021, &members(&[0, 0]), &key).iter().all(Option::is_none));
    }
}
