//! Places in the flat maps: rings, blocks of backends, counters.

use std::collections::BTreeSet;

use crate::{config::Limits, dataplane::Actual};

/// A range of places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Range {
    pub(super) start: u32,
    pub(super) len: u32,
}

/// The places in use.
#[derive(Debug)]
pub(super) struct Layout {
    slots: Space,
    backends: Space,
    ids: BTreeSet<u32>,
    /// The numbers that flows are still remembered under.
    named_ids: BTreeSet<u32>,
    counters: BTreeSet<u32>,
    /// Where counters that are not in use may be.
    free_counters: std::ops::Range<u32>,
    ids_end: u32,
}

impl Layout {
    /// The places that the services of `actual` hold.
    pub(super) fn of(actual: &Actual, limits: &Limits) -> Self {
        let mut layout = Self {
            slots: Space { used: BTreeSet::new(), start: 0, end: limits.slots },
            // Place 0 is never used, so that a base is a first place minus one.
            backends: Space {
                used: BTreeSet::new(),
                start: 1,
                end: limits.backends.saturating_add(1),
            },
            ids: actual.services.values().map(|service| service.id).collect(),
            named_ids: actual.flow_counts.keys().copied().collect(),
            counters: actual.backends.values().map(|backend| backend.counter).collect(),
            free_counters: 1..limits.backends.saturating_add(1),
            ids_end: limits.services,
        };
        for service in actual.services.values() {
            let _: bool = layout
                .slots
                .used
                .insert(Range { start: service.ring_base, len: service.ring_size });
            let _: bool = layout.backends.used.insert(Range {
                start: service.backend_base + 1,
                len: service.backend_capacity.into(),
            });
        }
        layout
    }

    /// Room for a ring. `Err` gives the largest gap.
    pub(super) fn ring(&mut self, size: u32) -> Result<u32, u32> {
        self.slots.take(size)
    }

    /// Room for a block of backends. `Err` gives the largest gap.
    pub(super) fn block(&mut self, capacity: u16) -> Result<u32, u32> {
        self.backends.take(capacity.into())
    }

    /// The smallest number that no service has, from 1; if it can be, one that no flow is remembered
    /// under either. A new ring is stable, so that what is remembered does not count at first.
    pub(super) fn id(&mut self) -> u32 {
        let free = || (1..=self.ids_end).filter(|id| !self.ids.contains(id));
        let unnamed = free().find(|id| !self.named_ids.contains(id));
        let free = unnamed.or_else(|| free().next()).unwrap_or(0);
        let _: bool = self.ids.insert(free);
        free
    }

    /// A counter that no backend uses.
    pub(super) fn counter(&mut self) -> Option<u32> {
        let mut counters = self.free_counters.clone();
        let free = counters.find(|counter| !self.counters.contains(counter))?;
        self.free_counters = counters;
        Some(free)
    }
}

/// One flat map.
#[derive(Debug)]
struct Space {
    used: BTreeSet<Range>,
    start: u32,
    end: u32,
}

impl Space {
    /// First fit. `Err` gives the largest gap.
    fn take(&mut self, len: u32) -> Result<u32, u32> {
        let mut largest = 0;
        let gap = self.gaps().find(|gap| {
            largest = largest.max(gap.len);
            gap.len >= len
        });
        let start = gap.map(|gap| gap.start).ok_or(largest)?;
        let _: bool = self.used.insert(Range { start, len });
        Ok(start)
    }

    fn gaps(&self) -> impl Iterator<Item = Range> {
        let end = Range { start: self.end, len: 0 };
        self.used.iter().copied().chain([end]).scan(self.start, |start, next| {
            let gap = Range { start: *start, len: next.start.saturating_sub(*start) };
            *start = (*start).max(next.start + next.len);
            Some(gap)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_found_and_never_shared() {
        let mut space = Space { used: BTreeSet::new(), start: 1, end: 101 };
        assert_eq!(space.take(40), Ok(1));
        assert_eq!(space.take(40), Ok(41));
        assert_eq!(space.take(40), Err(20));
        assert!(space.used.remove(&Range { start: 1, len: 40 }));
        assert_eq!(space.take(30), Ok(1));
        assert_eq!(space.take(10), Ok(31));
        assert_eq!(space.take(20), Ok(81));
        assert_eq!(space.take(1), Err(0));
    }
}
