//! Brings the maps to the desired state: the only writer of maps.
//!
//! Level-triggered: every round reads what the maps hold, plans the difference and makes it. A
//! round that fails half-way leaves a state from which the next one goes on.

mod layout;
pub mod plan;
#[cfg(test)]
mod tests;

use std::ops::Bound;

use lb_common::{service::ServiceKey, slot::Slot};

use crate::{
    dataplane::{self, Actual, Dataplane, Op},
    desired::Desired,
};

pub use self::plan::{Outcome, Rings};

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

/// The writer of a packet path's maps.
pub struct Reconciler<D> {
    dataplane: D,
    rings: Rings,
    last_forgotten: Option<ServiceKey>,
}

impl<D: Dataplane> Reconciler<D> {
    /// A writer that knows nothing yet of what the maps hold.
    pub fn new(dataplane: D) -> Self {
        Self { dataplane, rings: Rings::default(), last_forgotten: None }
    }

    /// The packet path, to be read.
    pub fn dataplane(&self) -> &D {
        &self.dataplane
    }

    /// The packet path itself, for what is not a map: attaching, test runs.
    pub fn dataplane_mut(&mut self) -> &mut D {
        &mut self.dataplane
    }

    /// The rings as the last round left them.
    pub fn rings(&self) -> &Rings {
        &self.rings
    }

    /// What the maps hold.
    pub fn actual(&self) -> Result<Actual, Error> {
        Ok(self.dataplane.read()?)
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
        if round.is_err() {
            self.forget();
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
        for op in &plan.ops {
            tracing::trace!(?op, "apply");
            self.dataplane.apply(op)?;
        }
        self.rings = plan.rings;
        Ok(Outcome {
            writes: plan.ops.iter().filter(|op| !matches!(op, Op::ResetTraffic(_))).count(),
            ..plan.outcome
        })
    }
}
