//! The slow start of a backend that came back.

use std::time::{Duration, Instant};

/// The parts that a full weight has.
pub const FULL: u8 = 10;

/// A backend's way to its full weight: in few steps, since each makes slots move.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ramp {
    /// From one part to the next.
    step: Duration,
    since: Instant,
    parts: u8,
}

impl Ramp {
    /// A ramp that begins now, with one part; `None` where it takes no time.
    pub(super) fn begin(slow_start: Duration, now: Instant) -> Option<Self> {
        let step = slow_start / u32::from(FULL);
        (!step.is_zero()).then_some(Self { step, since: now, parts: 1 })
    }

    /// How many parts of its weight the backend has.
    pub(super) fn parts(&self) -> u8 {
        self.parts
    }

    /// When there is one more.
    pub(super) fn next_step(&self) -> Instant {
        // After the first part it is one part for each step: the whole is there at the end.
        self.since + self.step * u32::from(self.parts + 1)
    }

    /// Takes the steps that are due. Gives whether there were any.
    pub(super) fn climb(&mut self, now: Instant) -> bool {
        let before = self.parts;
        while self.parts < FULL && self.next_step() <= now {
            self.parts += 1;
        }
        self.parts > before
    }
}
