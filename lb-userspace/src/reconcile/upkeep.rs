//! What time brings: moving slots settle, settled ones become stable, flows that are over are
//! dropped, and backends that have left are freed. Pure but for what it remembers from tick to tick,
//! all of which begins anew when the daemon does.

use std::collections::{BTreeMap, BTreeSet};

use lb_common::{
    flow::{Flow, FlowKey, HANDSHAKE},
    hash::HashKey,
    service::ServiceKey,
    slot::{Index, Slot, State},
};

use super::{Left, draining::Draining, sweep::Pass, transition::Unstable, view::View};
use crate::{
    dataplane::{Actual, Op},
    ring::Endpoint,
};

/// The ticks from the beginning of one pass over the flow table to that of the next.
const PASS: u32 = 8;

/// What is remembered from tick to tick.
#[derive(Debug, Default)]
pub(super) struct Upkeep {
    /// The slots that are not stable, by service and offset. A service whose slots were not seen
    /// yet is missing.
    slots: BTreeMap<ServiceKey, BTreeMap<u32, Unstable>>,
    /// The leaving backends that no slot names, and since when.
    unnamed: BTreeMap<(ServiceKey, Index), u32>,
    /// The numbers of services that are gone, and since when.
    gone: BTreeMap<u32, u32>,
    /// The drained backends.
    pub(super) draining: Draining,
    pass: Option<Pass>,
    last_pass: Option<u32>,
    /// The open flows of each backend as of the last whole pass, by the service's number.
    open: BTreeMap<(u32, Index), u32>,
    /// Whether there is nothing to do until something changes.
    pub(super) quiet: bool,
}

/// A part of the flow table: from a cursor on, or from the beginning.
pub(super) struct Slice {
    pub(super) from: Option<u32>,
}

impl Upkeep {
    /// Takes note of the slots of a service that are not stable.
    pub(super) fn see(
        &mut self,
        key: &ServiceKey,
        unstable: impl Iterator<Item = (u32, Slot)>,
        now: u32,
    ) {
        let known = self.slots.remove(key).unwrap_or_default();
        let seen: BTreeMap<_, _> = unstable
            .map(|(offset, slot)| (offset, Unstable::seen(known.get(&offset), slot, now)))
            .collect();
        self.quiet &= seen.is_empty();
        let _: Option<BTreeMap<_, _>> = self.slots.insert(*key, seen);
    }

    /// Takes note of a round: which services there are, and which backends leave.
    pub(super) fn synced(
        &mut self,
        leaving: &BTreeMap<(ServiceKey, Index), Endpoint>,
        removed: bool,
        drained: bool,
    ) {
        self.unnamed.retain(|backend, _| leaving.contains_key(backend));
        self.quiet &= leaving.is_empty() && !removed && !drained;
        if removed {
            self.open.clear();
            // What a pass has seen of them would count as needed.
            self.pass = None;
        }
    }

    /// Forgets the pass under way; what is not known for certain is looked at again.
    pub(super) fn doubt(&mut self) {
        self.pass = None;
        self.quiet = false;
    }

    /// Forgets services that are gone.
    pub(super) fn retain(&mut self, lives: impl Fn(&ServiceKey) -> bool) {
        self.slots.retain(|key, _| lives(key));
    }

    /// Whether the slots of a service have to be looked at.
    pub(super) fn needs_slots(&self, view: &View) -> bool {
        !view.leaving.is_empty() || self.slots.get(&view.key).is_none_or(|slots| !slots.is_empty())
    }

    /// Whether all slots of a service are known to be stable.
    pub(super) fn is_stable(&self, key: &ServiceKey) -> bool {
        self.slots.get(key).is_some_and(BTreeMap::is_empty)
    }

    /// The slots of a service that are moving, and those that are settled.
    pub(super) fn count(&self, key: &ServiceKey) -> (u32, u32) {
        let slots = self.slots.get(key).into_iter().flat_map(BTreeMap::values);
        slots.fold((0, 0), |(moving, settled), known| match known.slot.state() {
            State::Moving { .. } => (moving + 1, settled),
            State::Settled { .. } => (moving, settled + 1),
            State::Stable { .. } => (moving, settled),
        })
    }

    /// What a backend still has that the ring does not give it any more.
    pub(super) fn left(
        &self,
        key: &ServiceKey,
        id: u32,
        index: Index,
        window: u32,
        now: u32,
    ) -> Left {
        let silent = |known: &Unstable| match known.slot.state() {
            State::Moving { previous, .. } if previous == index => {
                known.remaining(key.protocol, window, now).map(|left| left.max(1))
            }
            State::Moving { .. } | State::Settled { .. } | State::Stable { .. } => None,
        };
        let slots = self.slots.get(key).into_iter().flat_map(BTreeMap::values);
        Left {
            flows: self.open.get(&(id, index)).copied().unwrap_or(0),
            silent: slots.filter_map(silent).max().unwrap_or(0),
        }
    }

    /// Settles the slots whose window is over, and takes note of what names leaving backends.
    pub(super) fn settle(&mut self, views: &mut [View], actual: &Actual, now: u32) -> Vec<Op> {
        let mut words = Vec::new();
        for view in &mut *views {
            if !view.slots.is_empty() {
                self.see(&view.key, view.unstable(), now);
                self.settle_one(view, now, &mut words);
            }
        }
        self.note_unnamed(views, now);
        self.draining.see(views, actual, now);
        self.note_gone(views, actual, now);
        Vec::from_iter((!words.is_empty()).then_some(Op::WriteSlots(words)))
    }

    fn settle_one(&mut self, view: &mut View, now: u32, words: &mut Vec<(u32, Slot)>) {
        let Some(window) = view.window else { return };
        for (&offset, known) in self.slots.entry(view.key).or_default() {
            if known.is_over(view.key.protocol, window, now) {
                let slot = Slot::new(State::Settled { current: known.slot.current() });
                *known = Unstable::seen(Some(known), slot, now);
                view.set(offset, slot, words);
            }
        }
    }

    fn note_unnamed(&mut self, views: &[View], now: u32) {
        let unnamed = views
            .iter()
            .flat_map(|view| view.unnamed(&view.leaving).into_iter().map(|index| (view.key, index)))
            .map(|backend| (backend, self.unnamed.get(&backend).copied().unwrap_or(now)));
        self.unnamed = unnamed.collect();
    }

    fn note_gone(&mut self, views: &[View], actual: &Actual, now: u32) {
        let ids: BTreeSet<u32> = views.iter().map(|view| view.service.id).collect();
        let gone = actual.flow_counts.keys().filter(|id| !ids.contains(id));
        self.gone = gone.map(|id| (*id, self.gone.get(id).copied().unwrap_or(now))).collect();
    }

    /// Where the next slice of the pass over the flow table begins, if there is one to be taken now.
    pub(super) fn next_slice(&mut self, now: u32) -> Option<Slice> {
        if self.pass.is_none() {
            if self.last_pass.is_some_and(|last| now.wrapping_sub(last) < PASS) {
                return None;
            }
            self.last_pass = Some(now);
        }
        let from = self.pass.get_or_insert_with(|| Pass::new(now)).cursor;
        Some(Slice { from })
    }

    /// Sweeps a slice of the flow table, and draws the conclusions from a pass that ends with it.
    pub(super) fn sweep(
        &mut self,
        (flows, next): (Vec<(FlowKey, Flow)>, Option<u32>),
        views: &mut [View],
        actual: &Actual,
        hash_key: &HashKey,
        now: u32,
    ) -> Vec<Op> {
        let Some(mut pass) = self.pass.take() else { return Vec::new() };
        let over = pass.slice(flows, views, hash_key, now);
        let mut ops = Vec::from_iter((!over.is_empty()).then_some(Op::RemoveFlows(over)));
        if next.is_some() {
            pass.cursor = next;
            self.pass = Some(pass);
            return ops;
        }
        self.open.clone_from(&pass.open);
        ops.extend(self.stabilise(&pass, views));
        ops.extend(self.free(&pass, views));
        ops.extend(self.recount(&pass, views, actual));
        self.draining.conclude(&pass, views);
        let idle = self.slots.values().all(BTreeMap::is_empty)
            && views.iter().all(|view| view.leaving.is_empty() && view.window.is_some());
        let known = self.gone.is_empty() && self.draining.is_over();
        self.quiet = idle && known && pass.kept.is_empty() && pass.dropped == 0;
        ops
    }

    /// A slot that was settled before the pass began, so that no flow was remembered since, and that
    /// no flow was found of, is stable.
    fn stabilise(&mut self, pass: &Pass, views: &mut [View]) -> Option<Op> {
        let mut words = Vec::new();
        for view in views {
            let Some(known) = self.slots.get_mut(&view.key) else { continue };
            known.retain(|&offset, known| {
                let State::Settled { current } = known.slot.state() else { return true };
                let before = pass.started.wrapping_sub(known.since).wrapping_sub(1) < u32::MAX / 2;
                let stays = !before || pass.occupies(view.service.id, offset);
                if !stays {
                    view.set(offset, Slot::stable(current), &mut words);
                }
                stays
            });
        }
        (!words.is_empty()).then_some(Op::WriteSlots(words))
    }

    /// Frees the leaving backends that nothing names: no slot, no flow, and no note, since all notes
    /// were too old when the pass began.
    fn free(&mut self, pass: &Pass, views: &[View]) -> Vec<Op> {
        let mut ops = Vec::new();
        for view in views {
            for &index in &view.leaving {
                let backend = (view.key, index);
                let since = self.unnamed.get(&backend).copied();
                let unnamed = since.is_some_and(|since| expired(since, pass.started));
                if unnamed && !pass.names(view.service.id, index) {
                    ops.push(view.free(index));
                    let _: Option<u32> = self.unnamed.remove(&backend);
                }
            }
        }
        ops
    }

    /// Writes the numbers of flows as they were counted, and gives free the numbers of services
    /// that are gone.
    fn recount(&mut self, pass: &Pass, views: &[View], actual: &Actual) -> Vec<Op> {
        let counted = |id: u32| pass.kept.get(&id).copied().unwrap_or(0);
        let held = |id: u32| actual.flow_counts.get(&id).map_or(0, |[held, _]| *held);
        let ids = views.iter().map(|view| view.service.id);
        let mut ops: Vec<Op> = ids
            .filter(|&id| held(id) != counted(id))
            .map(|id| Op::SetFlowCount(id, counted(id)))
            .collect();
        self.gone.retain(|&id, since| {
            let free = expired(*since, pass.started) && counted(id) == 0;
            ops.extend(free.then_some(Op::ResetFlowCount(id)));
            !free
        });
        ops
    }
}

/// Whether a note made at a tick says nothing at another.
pub(super) fn expired(noted: u32, now: u32) -> bool {
    now.wrapping_sub(noted) > HANDSHAKE && now.wrapping_sub(noted) < u32::MAX / 2
}
