//! The table of services: open addressing over cache lines that packets read while it changes.
//!
//! A live line never changes. What changes gets another line before the old one is retired, so that
//! a search finds the old entry or the new one, and never a mix.

mod room;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    mem::offset_of,
    time::Duration,
};

use lb_common::service::{Occupancy, PROBES, Service, ServiceKey, ServiceLine};

use super::mapped::Mapped;

const OCCUPANCY: usize = offset_of!(ServiceLine, occupancy) / 4;
/// Longer than a packet's search can take.
const SEARCH: Duration = Duration::from_millis(1);

/// The lines that packets read.
pub(super) trait Lines {
    /// Their number, a power of two.
    fn len(&self) -> u32;
    /// A line.
    fn load(&self, place: u32) -> ServiceLine;
    /// Stores a line, word by word.
    fn store(&self, place: u32, line: &ServiceLine);
    /// Stores one word of a line, after all that was stored before.
    fn store_word(&self, place: u32, word: usize, value: u32);
    /// Waits until the searches that are under way have ended.
    fn wait_for_searches(&self);
}

impl Lines for Mapped<ServiceLine> {
    fn len(&self) -> u32 {
        Self::len(self)
    }

    fn load(&self, place: u32) -> ServiceLine {
        Self::load(self, place).unwrap_or(ServiceLine::EMPTY)
    }

    fn store(&self, place: u32, line: &ServiceLine) {
        let _: Option<()> = Self::store(self, place, line);
    }

    fn store_word(&self, place: u32, word: usize, value: u32) {
        let _: Option<()> = Self::store_word(self, place, word, value);
    }

    fn wait_for_searches(&self) {
        std::thread::sleep(SEARCH);
    }
}

/// The table in the map.
pub(super) struct Table<L = Mapped<ServiceLine>> {
    lines: L,
    mask: u32,
}

/// All lines that a key may stand in hold others, which cannot give way.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

impl<L: Lines> Table<L> {
    /// Over a map of a power of two lines. What a daemon that ended amid a change has left is put
    /// right: entries that stand twice, and those of VIPs.
    pub(super) fn new(lines: L) -> Result<Self, Full> {
        let mask = lines.len() - 1;
        let table = Self { lines, mask };
        let keys: BTreeSet<_> = table.live().map(|(_, line)| line.key).collect();
        for key in &keys {
            let found = table.lines_of(key).next();
            table.retire_others(key, found);
        }
        let services = table.read();
        for key in services.keys() {
            table.mark(key)?;
        }
        let vips: BTreeSet<_> = services.keys().map(|key| key.vip).collect();
        for key in keys.iter().filter(|key| is_marker(key) && !vips.contains(&key.vip)) {
            table.retire_others(key, None);
        }
        Ok(table)
    }

    /// The services.
    pub(super) fn read(&self) -> BTreeMap<ServiceKey, Service> {
        let services = self.live().filter(|(_, line)| !is_marker(&line.key));
        services.map(|(_, line)| (line.key, line.service)).collect()
    }

    /// Adds or replaces a service.
    pub(super) fn put(&self, key: &ServiceKey, service: &Service) -> Result<(), Full> {
        self.mark(key)?;
        self.write(key, service).inspect_err(|Full| self.unmark(key))
    }

    /// Removes a service, and its VIP with its last service.
    pub(super) fn remove(&self, key: &ServiceKey) {
        self.retire_others(key, None);
        self.unmark(key);
    }

    fn mark(&self, key: &ServiceKey) -> Result<(), Full> {
        let marker = ServiceKey::of_vip(key.vip);
        match self.lines_of(&marker).next() {
            Some(_) => Ok(()),
            None => self.write(&marker, &Service::NONE),
        }
    }

    /// Removes the entry of a VIP without services.
    fn unmark(&self, key: &ServiceKey) {
        if !self.live().any(|(_, line)| line.key.vip == key.vip && !is_marker(&line.key)) {
            self.retire_others(&ServiceKey::of_vip(key.vip), None);
        }
    }

    fn write(&self, key: &ServiceKey, service: &Service) -> Result<(), Full> {
        let place = self.free(key).or_else(|| self.make_room(key)).ok_or(Full)?;
        self.fill(place, key, service);
        Ok(())
    }

    /// Makes a free line the only one of a key.
    fn fill(&self, place: u32, key: &ServiceKey, service: &Service) {
        let old = self.lines_of(key).next();
        let line = ServiceLine {
            key: *key,
            service: *service,
            occupancy: self.lines.load(place).occupancy,
            ..ServiceLine::EMPTY
        };
        self.lines.store(place, &line);
        self.occupy(place, Occupancy::LIVE);
        if old.is_some_and(|old| self.is_behind(key, old, place)) {
            // A search that has passed this line already still finds the old one.
            self.lines.wait_for_searches();
        }
        self.retire_others(key, Some(place));
    }

    /// A line for a key: one that was never used, rather than one that a packet may still be
    /// reading; of those one behind the key's own, where every search finds one of the two.
    fn free(&self, key: &ServiceKey) -> Option<u32> {
        let probes = || self.probes(key);
        let with = |occupancy| move |&place: &u32| self.lines.load(place).occupancy == occupancy;
        let own = self.lines_of(key).last();
        let behind = |&place: &u32| own.is_none_or(|own| self.is_behind(key, place, own));
        let retired = || probes().filter(with(Occupancy::RETIRED));
        probes()
            .find(with(Occupancy::EMPTY))
            .or_else(|| retired().find(behind))
            .or_else(|| retired().next())
    }

    fn is_behind(&self, key: &ServiceKey, place: u32, other: u32) -> bool {
        self.distance(key, place) > self.distance(key, other)
    }

    /// The lines that a search for a key passes before this one.
    fn distance(&self, key: &ServiceKey, place: u32) -> u32 {
        place.wrapping_sub(key.home()) & self.mask
    }

    fn retire_others(&self, key: &ServiceKey, but: Option<u32>) {
        let places: Vec<u32> = self.lines_of(key).filter(|&place| Some(place) != but).collect();
        for place in places {
            self.retire(place);
        }
    }

    /// Retires a line. No search needs to go on behind the last line of a run.
    fn retire(&self, place: u32) {
        self.occupy(place, Occupancy::RETIRED);
        let mut place = place;
        let is = |place, occupancy| self.lines.load(place & self.mask).occupancy == occupancy;
        while is(place, Occupancy::RETIRED) && is(place.wrapping_add(1), Occupancy::EMPTY) {
            self.occupy(place, Occupancy::EMPTY);
            place = place.wrapping_sub(1) & self.mask;
        }
    }

    fn occupy(&self, place: u32, occupancy: Occupancy) {
        self.lines.store_word(place, OCCUPANCY, occupancy.0);
    }

    fn probes(&self, key: &ServiceKey) -> impl Iterator<Item = u32> + use<L> {
        let (home, mask) = (key.home(), self.mask);
        (0..PROBES).map(move |probe| home.wrapping_add(probe) & mask)
    }

    /// The lines of a key, in the order of a search.
    fn lines_of<'a>(&'a self, key: &'a ServiceKey) -> impl Iterator<Item = u32> + 'a {
        self.probes(key).filter(|&place| {
            let line = self.lines.load(place);
            line.occupancy == Occupancy::LIVE && line.key == *key
        })
    }

    fn live(&self) -> impl Iterator<Item = (u32, ServiceLine)> {
        let lines = (0..self.lines.len()).map(|place| (place, self.lines.load(place)));
        lines.filter(|(_, line)| line.occupancy == Occupancy::LIVE)
    }
}

fn is_marker(key: &ServiceKey) -> bool {
    *key == ServiceKey::of_vip(key.vip)
}
