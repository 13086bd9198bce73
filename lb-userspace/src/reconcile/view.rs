//! One service as a tick finds it.

use lb_common::{
    backend::Condition,
    service::{Service, ServiceKey},
    slot::{Index, Slot, State},
};

use crate::{
    dataplane::{Actual, Op},
    desired::Desired,
};

/// One service in the maps.
#[derive(Debug)]
pub(super) struct View {
    pub(super) key: ServiceKey,
    pub(super) service: Service,
    /// Its window in ticks; `None`: the service is about to go.
    pub(super) window: Option<u32>,
    /// The backends that are not configured any more.
    pub(super) leaving: Vec<Index>,
    /// Its slots; none if they are known to be stable and nobody leaves.
    pub(super) slots: Vec<Slot>,
}

impl View {
    /// The services in the maps, without their slots.
    pub(super) fn all(actual: &Actual, desired: &Desired) -> Vec<Self> {
        let view = |(key, service): (&ServiceKey, &Service)| Self {
            key: *key,
            service: *service,
            window: desired.services.get(key).map(|wanted| wanted.window),
            leaving: leaving(actual, service),
            slots: Vec::new(),
        };
        actual.services.iter().map(view).collect()
    }

    /// The slots that are not stable.
    pub(super) fn unstable(&self) -> impl Iterator<Item = (u32, Slot)> {
        (0..).zip(self.slots.iter().copied()).filter(|(_, slot)| !slot.is_stable())
    }

    /// Those of the given backends that no slot names.
    pub(super) fn unnamed(&self, backends: &[Index]) -> Vec<Index> {
        if backends.is_empty() {
            return Vec::new();
        }
        let mut named = vec![false; usize::from(Index::MAX) + 1];
        for slot in &self.slots {
            if let State::Moving { previous, .. } = slot.state() {
                named[usize::from(previous)] = true;
            }
            if let Some(current) = slot.current() {
                named[usize::from(current)] = true;
            }
        }
        backends.iter().copied().filter(|&index| !named[usize::from(index)]).collect()
    }

    /// Stores a slot, here and in the map.
    pub(super) fn set(&mut self, offset: u32, slot: Slot, words: &mut Vec<(u32, Slot)>) {
        if let Some(place) = self.slots.get_mut(offset as usize) {
            *place = slot;
            words.push((self.service.ring_base + offset, slot));
        }
    }

    /// Frees the line of a backend.
    pub(super) fn free(&self, index: Index) -> Op {
        Op::FreeBackend(self.service.backend_base + u32::from(index))
    }
}

fn leaving(actual: &Actual, service: &Service) -> Vec<Index> {
    let lines = actual.backends.range(service.block());
    lines
        .filter(|(_, line)| line.condition.contains(Condition::LEAVING))
        .map(|(place, _)| (place - service.backend_base) as Index)
        .collect()
}
