//! Brings the maps to the desired state: the only writer of maps.
//!
//! Level-triggered: every round reads what the maps hold, plans the difference and makes it. A
//! round that fails half-way leaves a state from which the next one goes on. Once a second a tick
//! does what is due without a change: windows end, and the flow table is swept.

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

use std::ops::Bound;

use lb_common::{addr::Addr, service::ServiceKey, slot::Slot};

use self::{
    upkeep::{Slice, Upkeep},
    view::View,
};

use crate::{
    dataplane::{self, Actual, Dataplane, Op},
    desired::{Desired, Leaving},
    ring::Endpoint,
};

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

/// The entries of the flow table that are read at once: some 20 ms of work.
const SLICE: u32 = 65_536;

/// The writer of a packet path's maps.
pub struct Reconciler<D> {
    dataplane: D,
    rings: Rings,
    last_forgotten: Option<ServiceKey>,
    leaving: Leaving,
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

    /// What is remembered of a service's flows.
    pub fn memory(&self, key: &ServiceKey) -> Result<Memory, Error> {
        let Some(ring) = self.rings.get(key) else { return Ok(Memory::default()) };
        let [flows, refused] = self.dataplane.flow_count(ring.id)?;
        let (moving, settled) = self.upkeep.count(key);
        Ok(Memory { moving, settled, flows, refused })
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

    fn round(&mut self, desired: &Desired) -> Result<Outcome, Error> {
        let actual = self.dataplane.read()?;
        let limits = self.dataplane.limits();
        let slots = |base, size| -> Result<Vec<Slot>, dataplane::Error> {
            self.dataplane.slots(base, size)
        };
        let plan = plan::plan(desired, &actual, &limits, &self.rings, slots)?;
        self.apply(&plan.ops)?;
        let now = self.dataplane.tick()?;
        for (key, slots) in plan.unstable {
            self.upkeep.see(&key, slots.into_iter(), now);
        }
        let removed = plan.ops.iter().any(|op| matches!(op, Op::RemoveService(_)));
        self.upkeep.synced(&plan.leaving, removed);
        self.aliases = plan.aliases;
        self.leaving = Leaving::new();
        for ((key, _), endpoint) in plan.leaving {
            let _: bool = self.leaving.entry(key).or_default().insert(endpoint);
        }
        self.upkeep.retain(|key| plan.rings.contains_key(key));
        self.rings = plan.rings;
        let resets = |op: &&Op| matches!(op, Op::ResetTraffic(_) | Op::ResetFlowCount(_));
        Ok(Outcome { writes: plan.ops.iter().filter(|op| !resets(op)).count(), ..plan.outcome })
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
