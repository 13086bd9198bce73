//! The checks of one backend as a state machine, without I/O and clock.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::{Duration, Instant},
};

use super::{
    Finding, TargetKey,
    flap::Damper,
    ramp::{FULL, Ramp},
};
use crate::config::Check;

/// What one check has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether the backend answered as it should.
    pub ok: bool,
    /// In a few words, such as `connection refused`.
    pub reason: String,
}

/// What an outcome changes in the finding; the later ones weigh more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Nothing.
    None,
    /// The reason only.
    Reason,
    /// The backend went up or down, or may take more than before.
    Health,
}

/// The checks of one backend.
#[derive(Clone, Debug)]
pub struct Machine {
    rise: u32,
    fall: u32,
    interval: Duration,
    fast_interval: Duration,
    slow_start: Duration,
    finding: Finding,
    /// Outcomes in a row that contradict the finding.
    contrary: u32,
    /// When the first of these came.
    contrary_since: Instant,
    damper: Damper,
    ramp: Option<Ramp>,
    /// When the next check is due, by a beat that late checks do not shift.
    due: Instant,
}

impl Machine {
    /// A machine that believes `finding` until outcomes tell otherwise.
    ///
    /// The first check is due within one interval, at a moment that depends on the key alone, so
    /// that many checks neither start together nor march in step.
    #[must_use]
    pub fn new(key: &TargetKey, check: &Check, finding: Finding, now: Instant) -> Self {
        let Check {
            kind: _,
            through: _,
            port: _,
            interval,
            fast_interval,
            timeout: _,
            rise,
            fall,
            slow_start,
            flap,
        } = *check;
        let least = Duration::from_millis(1);
        Self {
            rise: rise.max(1),
            fall: fall.max(1),
            interval: interval.max(least),
            fast_interval: fast_interval.max(least),
            slow_start,
            finding,
            contrary: 0,
            contrary_since: now,
            damper: Damper::new(flap),
            ramp: None,
            due: now + phase(key, interval),
        }
    }

    /// What the checks say up to now.
    #[must_use]
    pub fn finding(&self) -> &Finding {
        &self.finding
    }

    /// When the next check is to start; not before the last one has finished.
    #[must_use]
    pub fn next_probe(&self) -> Instant {
        self.due
    }

    /// When the backend may take more, if it is on its way to its full weight.
    #[must_use]
    pub fn next_step(&self) -> Option<Instant> {
        self.ramp.map(|ramp| ramp.next_step())
    }

    /// Time has passed.
    pub fn climb(&mut self, now: Instant) -> Change {
        let Some(ramp) = self.ramp.as_mut().filter(|_| self.finding.up) else {
            return Change::None;
        };
        if !ramp.climb(now) {
            return Change::None;
        }
        self.finding.parts = ramp.parts();
        self.ramp = self.ramp.filter(|ramp| ramp.parts() < FULL);
        Change::Health
    }

    /// A check has finished.
    pub fn finished(&mut self, outcome: Outcome, now: Instant) -> Change {
        let Outcome { ok, mut reason } = outcome;
        if ok == self.finding.up {
            self.contrary = 0;
            self.finding.confirmed = true;
        } else {
            if self.contrary == 0 {
                self.contrary_since = now;
            }
            self.contrary = self.contrary.saturating_add(1);
        }
        let enough = self.contrary >= if self.finding.up { self.fall } else { self.rise };
        let held = enough && !self.finding.up && self.is_held(now);
        if held {
            let hold = humantime::format_duration(self.damper.hold());
            let falls = self.damper.falls();
            reason = format!("{reason}; went down {falls} times: up when it was good for {hold}");
        }
        self.beat(now, self.contrary > 0 && !enough);

        let change = match (enough && !held, reason == self.finding.reason) {
            (true, _) => {
                self.flip(now);
                Change::Health
            }
            (false, true) => Change::None,
            (false, false) => Change::Reason,
        };
        self.finding.reason = reason;
        change
    }

    /// A check has finished that says nothing.
    pub fn passed_over(&mut self, now: Instant) {
        self.beat(now, self.contrary > 0);
    }

    /// Sets the next check; faster while the finding is in doubt.
    fn beat(&mut self, now: Instant, doubt: bool) {
        let interval = if doubt { self.fast_interval } else { self.interval };
        self.due += interval;
        if self.due < now {
            // The beats that were missed are not made up for.
            let late = now.duration_since(self.due).as_nanos() / interval.as_nanos() + 1;
            self.due += interval * u32::try_from(late).unwrap_or(u32::MAX);
        }
    }

    /// Whether it has gone down too often to be up already.
    fn is_held(&self, now: Instant) -> bool {
        now.duration_since(self.contrary_since) < self.damper.hold()
    }

    fn flip(&mut self, now: Instant) {
        self.contrary = 0;
        self.finding.up = !self.finding.up;
        self.finding.confirmed = true;
        if self.finding.up {
            self.damper.rose(now);
            self.ramp = Ramp::begin(self.slow_start, now);
        } else {
            self.damper.fell(now);
            self.ramp = None;
        }
        self.finding.parts = self.ramp.map_or(FULL, |ramp| ramp.parts());
    }
}

/// A moment within the interval, from the key.
pub(super) fn phase(key: &TargetKey, interval: Duration) -> Duration {
    // The default hasher has fixed keys: a restart does not shift the beat.
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    let fraction = (hasher.finish() >> 32) as u32;
    let nanos = (interval.as_nanos() * u128::from(fraction)) >> 32;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
