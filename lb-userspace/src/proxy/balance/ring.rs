//! The choice by hash, on the ring that the packet path has too.

use lb_common::hash::{HashKey, slot_index};

use crate::ring::{self, Endpoint, Member};

/// A prime: 1 % more or less for each of 650 backends (Maglev, §5.3), in 256 KiB.
const SIZE: u32 = 65_537;

/// Where a member stands on the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) struct Place {
    /// What names it on all nodes.
    pub(in crate::proxy) endpoint: Endpoint,
    /// Its share; 0: it is not on the ring.
    pub(in crate::proxy) weight: u16,
}

/// Positions of members by hash.
#[derive(Debug, Default)]
pub(super) struct Ring(Vec<Option<u16>>);

impl Ring {
    pub(super) fn new(places: &[Place], key: &HashKey) -> Self {
        let (positions, members): (Vec<u16>, Vec<Member>) = (0..)
            .zip(places)
            .filter(|(_, place)| place.weight > 0)
            .map(|(at, &Place { endpoint, weight })| (at, Member { endpoint, weight }))
            .unzip();
        let at = |member: Option<u16>| positions.get(usize::from(member?)).copied();
        Self(ring::build(SIZE, &members, key).into_iter().map(at).collect())
    }

    /// The open candidate at the hash's slot, or the first one on the slots behind it.
    pub(super) fn pick(&self, candidates: &[super::Candidate], hash: u32) -> Option<usize> {
        let slot = slot_index(hash, SIZE) as usize;
        let (before, from) = self.0.split_at_checked(slot)?;
        let members = from.iter().chain(before).flatten().map(|&it| usize::from(it));
        let mut open = members.filter(|&it| candidates.get(it).is_some_and(|it| it.weight > 0));
        open.next()
    }
}
