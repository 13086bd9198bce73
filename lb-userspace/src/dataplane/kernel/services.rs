//! The table of services: open addressing over cache lines that packets read while it changes.
//!
//! A live line never changes. What changes gets another line before the old one is retired, so that
//! a search finds the old entry or the new one, and never a mix.

use std::{collections::BTreeMap, mem::offset_of};

use lb_common::service::{Occupancy, PROBES, Service, ServiceKey, ServiceLine};

use super::mapped::Mapped;

const OCCUPANCY: usize = offset_of!(ServiceLine, occupancy) / 4;

/// The table in the map.
pub(super) struct Table {
    lines: Mapped<ServiceLine>,
    mask: u32,
}

/// All lines that a key may stand in hold others.
#[derive(Debug)]
pub(super) struct Full;

impl Table {
    /// Over a map of a power of two lines. The entries of VIPs are put right.
    pub(super) fn new(lines: Mapped<ServiceLine>) -> Result<Self, Full> {
        let mask = lines.len() - 1;
        let table = Self { lines, mask };
        let services = table.read();
        for key in services.keys() {
            table.mark(key)?;
        }
        for (place, line) in table.live().filter(|(_, line)| is_marker(&line.key)) {
            if !services.keys().any(|key| key.vip == line.key.vip) {
                table.retire(place);
            }
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
        self.write(key, service)
    }

    /// Removes a service, and its VIP with its last service.
    pub(super) fn remove(&self, key: &ServiceKey) {
        self.retire_all(key);
        if !self.read().keys().any(|other| other.vip == key.vip) {
            self.retire_all(&ServiceKey::of_vip(key.vip));
        }
    }

    fn mark(&self, key: &ServiceKey) -> Result<(), Full> {
        let marker = ServiceKey::of_vip(key.vip);
        match self.lines_of(&marker).next() {
            Some(_) => Ok(()),
            None => self.write(&marker, &Service::NONE),
        }
    }

    fn write(&self, key: &ServiceKey, service: &Service) -> Result<(), Full> {
        let old: Vec<u32> = self.lines_of(key).collect();
        // A line that was never used, rather than one that a packet may still be reading.
        let free = |wanted| {
            let mut probes = self.probes(key);
            probes.find(|&place| self.line(place).occupancy == wanted)
        };
        let place = free(Occupancy::EMPTY).or_else(|| free(Occupancy::RETIRED)).ok_or(Full)?;
        let line = ServiceLine {
            key: *key,
            service: *service,
            occupancy: self.line(place).occupancy,
            ..ServiceLine::EMPTY
        };
        let _: Option<()> = self.lines.store(place, &line);
        self.occupy(place, Occupancy::LIVE);
        old.into_iter().for_each(|place| self.retire(place));
        Ok(())
    }

    fn retire_all(&self, key: &ServiceKey) {
        let places: Vec<u32> = self.lines_of(key).collect();
        places.into_iter().for_each(|place| self.retire(place));
    }

    /// Retires a line. No search needs to go on behind the last line of a run.
    fn retire(&self, place: u32) {
        self.occupy(place, Occupancy::RETIRED);
        let mut place = place;
        while self.line(place).occupancy == Occupancy::RETIRED
            && self.line(place.wrapping_add(1) & self.mask).occupancy == Occupancy::EMPTY
        {
            self.occupy(place, Occupancy::EMPTY);
            place = place.wrapping_sub(1) & self.mask;
        }
    }

    fn occupy(&self, place: u32, occupancy: Occupancy) {
        let _: Option<()> = self.lines.store_word(place, OCCUPANCY, occupancy.0);
    }

    fn line(&self, place: u32) -> ServiceLine {
        self.lines.load(place).unwrap_or(ServiceLine::EMPTY)
    }

    fn probes(&self, key: &ServiceKey) -> impl Iterator<Item = u32> {
        let (home, mask) = (key.home(), self.mask);
        (0..PROBES).map(move |probe| home.wrapping_add(probe) & mask)
    }

    fn lines_of<'a>(&'a self, key: &'a ServiceKey) -> impl Iterator<Item = u32> + 'a {
        self.probes(key).filter(|&place| {
            let line = self.line(place);
            line.occupancy == Occupancy::LIVE && line.key == *key
        })
    }

    fn live(&self) -> impl Iterator<Item = (u32, ServiceLine)> {
        let lines = (0..self.lines.len()).map(|place| (place, self.line(place)));
        lines.filter(|(_, line)| line.occupancy == Occupancy::LIVE)
    }
}

fn is_marker(key: &ServiceKey) -> bool {
    *key == ServiceKey::of_vip(key.vip)
}
