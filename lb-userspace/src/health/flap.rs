//! The damping of backends that keep going down.

use std::time::{Duration, Instant};

use crate::config::Flap;

/// Counts the falls of a backend, and says how long it must prove itself for them.
#[derive(Clone, Debug)]
pub(super) struct Damper {
    flap: Flap,
    falls: u32,
    up_since: Option<Instant>,
}

impl Damper {
    pub(super) fn new(flap: Flap) -> Self {
        Self { flap, falls: 0, up_since: None }
    }

    /// The backend came up.
    pub(super) fn rose(&mut self, now: Instant) {
        self.up_since = Some(now);
    }

    /// The backend went down.
    pub(super) fn fell(&mut self, now: Instant) {
        let calm = |since| now.duration_since(since) >= self.flap.calm;
        if self.up_since.take().is_some_and(calm) {
            self.falls = 0;
        }
        self.falls = self.falls.saturating_add(1);
    }

    /// The falls that still count.
    pub(super) fn falls(&self) -> u32 {
        self.falls
    }

    /// How long it must stay good before it is up.
    pub(super) fn hold(&self) -> Duration {
        let Flap { falls, hold, max_hold, calm: _ } = self.flap;
        let Some(doublings) = self.falls.checked_sub(falls.saturating_add(1)) else {
            return Duration::ZERO;
        };
        let factor = 1u32.checked_shl(doublings).unwrap_or(u32::MAX);
        hold.saturating_mul(factor).min(max_hold)
    }
}
