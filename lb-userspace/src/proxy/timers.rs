//! When a worker's sessions must be looked at.

use std::collections::BTreeSet;

/// Deadlines in microseconds of the worker's clock, with the keys of sessions. Each session has one
/// at most, and takes it away when it ends: what was short-lived leaves nothing behind.
#[derive(Debug, Default)]
pub(super) struct Timers(BTreeSet<(u64, usize)>);

impl Timers {
    pub(super) fn set(&mut self, at: u64, key: usize) {
        let _new = self.0.insert((at, key));
    }

    pub(super) fn cancel(&mut self, at: u64, key: usize) {
        let _there = self.0.remove(&(at, key));
    }

    /// The first deadline.
    pub(super) fn next(&self) -> Option<u64> {
        self.0.first().map(|(at, _)| *at)
    }

    /// Takes a session whose deadline has come.
    pub(super) fn take_due(&mut self, now: u64) -> Option<usize> {
        let (at, _) = self.0.first()?;
        if *at > now {
            return None;
        }
        self.0.pop_first().map(|(_, key)| key)
    }
}
