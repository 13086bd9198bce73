//! Brings the maps to the desired state: the only writer of maps.
//!
//! Level-triggered: every round reads what the maps hold, plans the difference and makes it. A
//! round that fails half-way leaves a state from which the next one goes on. Once a second a tick
//! does what is due without a change: windows end, and the flow table is swept.

mod draining;
mod layout;
#[cfg(test)]
mod model;
pub mod plan;
mod sweep;
#[cfg(test)]
mod tests;
mod transition;
mod upkeep;
mod view;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use lb_common::{addr::Addr, service::ServiceKey, slot::Index};

use self::{
    upkeep::{Slice, Upkeep},
    view::View,
};

use crate::{
    dataplane::{self, Actual, Dataplane, Op},
    desired::{Desired, Leaving},
    ring::Endpoint,
};

use self::plan::Plan;
pub use self::plan::{Aliases, Outcome, Rings};

/// Why a round did not reach the desired state.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The state does not fit into the maps.
    #[error(transparent)]
    Plan(#[from] plan::Error),
    /// The kernel refused a read or a write.
    #[error(transparent)]
    Dataplane(#[from] dataplane::Error),
}

/// What is remembered of a service's flows, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// The slots that have changed within the window.
    pub moving: u32,
    /// The slots whose window is over while flows of theirs are remembered.
    pub settled: u32,
    /// The flows that are remembered.
    pub flows: u32,
    /// The flows that there was no room for.
    pub refused: u32,
}

/// What a backend still has that the ring does not give it any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// The open flows that are remembered of it, as of the last sweep.
    pub flows: u32,
    /// For how many ticks flows may turn up that are not remembered: until the windows of the slots
    /// end that it had.
    pub silent: u32,
}

/// The entries of the flow table that are read at once: some 20 ms of work.
const SLICE: u32 = 65_536;

/// The writer of a packet path's maps.
pub struct Reconciler<D> {
    dataplane: D,
    rings: Rings,
    last_forgotten: Option<ServiceKey>,
    leaving: Leaving,
    moved: BTreeMap<ServiceKey, u64>,
    aliases: Aliases,
    upkeep: Upkeep,
}

impl<D: Dataplane> Reconciler<D> {
    /// A writer that knows nothing yet of what the maps hold.
    pub fn new(dataplane: D) -> Self {
        Self {
            dataplane,
            rings: Rings::default(),
            last_forgotten: None,
            leaving: Leaving::new(),
            moved: BTreeMap::new(),
            aliases: Aliases::new(),
            upkeep: Upkeep::default(),
        }
    }

    /// The packet path, to be read.
    pub fn dataplane(&self) -> &D {
        &self.dataplane
    }

    /// The packet path itself, for what is not a map: attaching, test runs.
    pub fn dataplane_mut(&mut self) -> &mut D {
        &mut self.dataplane
    }

    /// The packet path alone.
    pub fn into_dataplane(self) -> D {
        self.dataplane
    }

    /// The rings as the last round left them.
    pub fn rings(&self) -> &Rings {
        &self.rings
    }

    /// What the maps hold.
    pub fn actual(&self) -> Result<Actual, Error> {
        Ok(self.dataplane.read()?)
    }

    /// Whether no slot is on the move, no flow is remembered and no backend leaves.
    pub fn is_quiet(&self) -> bool {
        self.upkeep.quiet
    }

    /// The backends that the last round found leaving.
    pub fn leaving(&self) -> &Leaving {
        &self.leaving
    }

    /// The address by which a backend is checked through the packet path, as the last round left it.
    pub fn alias(&self, key: &ServiceKey, backend: Endpoint) -> Option<Addr> {
        self.aliases.get(&(*key, backend)).copied()
    }

    /// The slots that were moved since this was asked last, of the services with any.
    pub fn take_moved(&mut self) -> BTreeMap<ServiceKey, u64> {
        std::mem::take(&mut self.moved)
    }

    /// Whether all slots of a service are known to be stable.
    pub fn is_stable(&self, key: &ServiceKey) -> bool {
        self.upkeep.is_stable(key)
    }

    /// The drained backends that no flow is left of, as of the last sweep.
    pub fn drained(&self) -> &BTreeSet<(ServiceKey, Endpoint)> {
        &self.upkeep.draining.done
    }

    /// What is remembered of a service's flows.
    pub fn memory(&self, key: &ServiceKey) -> Result<Memory, Error> {
        let Some(ring) = self.rings.get(key) else { return Ok(Memory::default()) };
        let [flows, refused] = self.dataplane.flow_count(ring.id)?;
        let (moving, settled) = self.upkeep.count(key);
        Ok(Memory { moving, settled, flows, refused })
    }

    /// What is left of a backend's flows, by its service and the place of its line; `window` is the
    /// service's, in ticks.
    pub fn left(&self, key: &ServiceKey, place: u32, window: u32) -> Result<Left, Error> {
        let now = self.dataplane.tick()?;
        let service =
            self.rings.get(key).map(|ring| (ring.id, place.checked_sub(ring.backend_base)));
        let Some((id, Some(index))) = service else { return Ok(Left::default()) };
        Ok(self.upkeep.left(key, id, index as Index, window, now))
    }

    /// Forgets what is known of the rings, so that the next round compares every slot.
    pub fn forget(&mut self) {
        self.rings = Rings::default();
    }

    /// Forgets one ring, the next in turn: all of them are compared sooner or later without a round
    /// that rebuilds them all.
    pub fn forget_next(&mut self) {
        let next = self
            .last_forgotten
            .and_then(|last| self.rings.range((Bound::Excluded(last), Bound::Unbounded)).next());
        let next = next.or_else(|| self.rings.first_key_value()).map(|(key, _)| *key);
        if let Some(key) = next {
            let _: Option<plan::Ring> = self.rings.remove(&key);
        }
        self.last_forgotten = next;
    }

    /// One round.
    pub fn sync(&mut self, desired: &Desired) -> Result<Outcome, Error> {
        let round = self.round(desired);
        // A plan that fails has written nothing.
        if let Err(Error::Dataplane(_)) = round {
            self.forget();
            self.upkeep.doubt();
        }
        round
    }

    /// The slots that a round would move, by service; without those of new rings.
    pub fn preview(&self, desired: &Desired) -> Result<BTreeMap<ServiceKey, u64>, Error> {
        Ok(self.plan(desired)?.moved)
    }

    fn plan(&self, desired: &Desired) -> Result<Plan, Error> {
        let actual = self.dataplane.read()?;
        let slots = |base, size| self.dataplane.slots(base, size);
        plan::plan(desired, &actual, &self.dataplane.limits(), &self.rings, slots)
    }

    fn round(&mut self, desired: &Desired) -> Result<Outcome, Error> {
        let plan = self.plan(desired)?;
        self.apply(&plan.ops)?;
        let now = self.dataplane.tick()?;
        for (key, slots) in plan.unstable {
            self.upkeep.see(&key, slots.into_iter(), now);
        }
        let removed = plan.ops.iter().any(|op| matches!(op, Op::RemoveService(_)));
        let drains = |op: &Op| matches!(op, Op::PutBackend(_, line) if line.condition.is_drained());
        let drained = plan.ops.iter().any(drains);
        self.upkeep.synced(&plan.leaving, removed, drained);
        self.aliases = plan.aliases;
        self.leaving = Leaving::new();
        for ((key, _), endpoint) in plan.leaving {
            let _: bool = self.leaving.entry(key).or_default().insert(endpoint);
        }
        self.upkeep.retain(|key| plan.rings.contains_key(key));
        self.rings = plan.rings;
        let slots_moved = plan.moved.values().sum();
        for (key, slots) in plan.moved {
            *self.moved.entry(key).or_default() += slots;
        }
        let resets = |op: &&Op| matches!(op, Op::ResetTraffic(_) | Op::ResetFlowCount(_));
        let writes = plan.ops.iter().filter(|op| !resets(op)).count();
        Ok(Outcome { writes, slots_moved })
    }

    /// Lets packets be balanced without the daemon for so many seconds from now on.
    pub fn beat(&mut self, grace: u32) -> Result<(), Error> {
        Ok(self.dataplane.apply(&Op::Beat(grace))?)
    }

    /// One second has passed.
    pub fn tick(&mut self, desired: &Desired) -> Result<(), Error> {
        let tick = self.second(desired);
        if tick.is_err() {
            self.upkeep.doubt();
        }
        tick
    }

    fn second(&mut self, desired: &Desired) -> Result<(), Error> {
        let now = self.dataplane.tick()?.wrapping_add(1);
        self.dataplane.apply(&Op::SetTick(now))?;
        if self.upkeep.quiet {
            return Ok(());
        }
        let actual = self.dataplane.read_pools()?;
        let mut views = View::all(&actual, desired);
        for view in views.iter_mut().filter(|view| self.upkeep.needs_slots(view)) {
            view.slots = self.dataplane.slots(view.service.ring_base, view.service.ring_size)?;
        }
        let ops = self.upkeep.settle(&mut views, &actual, now);
        self.apply(&ops)?;
        let Some(Slice { from }) = self.upkeep.next_slice(now) else { return Ok(()) };
        let slice = self.dataplane.flows(from, SLICE)?;
        let Some(settings) = actual.settings else { return Ok(()) };
        let ops = self.upkeep.sweep(slice, &mut views, &actual, &settings.hash_key, now);
        self.apply(&ops)
    }

    fn apply(&mut self, ops: &[Op]) -> Result<(), Error> {
        for op in ops {
            tracing::trace!(?op, "apply");
            self.dataplane.apply(op)?;
        }
        Ok(())
    }
}
