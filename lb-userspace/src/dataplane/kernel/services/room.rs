//! Room in a crowded part of the table: its entries move to other lines of their own.

use std::collections::{BTreeMap, VecDeque, btree_map::Entry};

use lb_common::service::ServiceKey;

use super::{Lines, Table};

/// The lines that are looked at before a table counts as full.
const LOOKED_AT: usize = 4096;

impl<L: Lines> Table<L> {
    /// Frees a line for a key, by the fewest moves of others.
    pub(super) fn make_room(&self, key: &ServiceKey) -> Option<u32> {
        // Which line gives way to the entry of which.
        let mut gives_way = BTreeMap::<u32, Option<u32>>::new();
        let mut queue: VecDeque<u32> = self.probes(key).collect();
        gives_way.extend(queue.iter().map(|&place| (place, None)));
        while let Some(place) = queue.pop_front().filter(|_| gives_way.len() < LOOKED_AT) {
            let occupant = self.lines.load(place).key;
            if self.free(&occupant).is_some() {
                return Some(self.shift(&gives_way, place));
            }
            for next in self.probes(&occupant) {
                if let Entry::Vacant(vacant) = gives_way.entry(next) {
                    let _: &mut Option<u32> = vacant.insert(Some(place));
                    queue.push_back(next);
                }
            }
        }
        None
    }

    /// Moves the entry of `last` to a free line, that of the line before it to `last`, and so on;
    /// gives the line that is free then.
    fn shift(&self, gives_way: &BTreeMap<u32, Option<u32>>, last: u32) -> u32 {
        let mut place = last;
        loop {
            let occupant = self.lines.load(place);
            if let Some(free) = self.free(&occupant.key) {
                self.fill(free, &occupant.key, &occupant.service);
            }
            match gives_way.get(&place).copied().flatten() {
                Some(before) => place = before,
                None => return place,
            }
        }
    }
}
