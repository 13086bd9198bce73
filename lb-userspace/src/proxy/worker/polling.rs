//! When to look for events instead of sleeping until there are some.
//!
//! An answer often comes sooner than a sleeper is awake again, which takes some microseconds, and tens of them in
//! a virtual machine. So where waits are short, a worker looks again and again, no longer than a sleep takes: the
//! kernel does the same for whole processors (Documentation/virt/guest-halt-polling.rst). Between two looks, it
//! lets others run.

use std::time::Duration;

use crate::proxy::session::micros;

/// A wait counts for this part of the average.
const PART: u64 = 8;
/// A wait counts for this many times the longest look at most, so that what follows a long silence is soon noticed.
const MOST: u64 = 3;
/// If the worker does not get the processor back for so many microseconds, others need it.
const CROWDED: u64 = 1000;
/// For so many microseconds it does not look then.
const PAUSE: u64 = 100_000;
/// Not for longer, however often others need it.
const PAUSE_MOST: u64 = 32 * PAUSE;

/// What a worker knows of its waits. All times are microseconds of its clock.
pub(super) struct Polling {
    /// How long it looks at most; 0: never.
    limit: u64,
    /// The average of its waits, `PART` times.
    waits: u64,
    /// When it may look again.
    resume: u64,
    /// How long it did not look the last time.
    pause: u64,
}

/// A wait that goes on.
pub(super) struct Look {
    begun: u64,
    last: u64,
}

impl Polling {
    pub(super) fn new(limit: Duration) -> Self {
        let limit = micros(limit);
        Self { limit, waits: PART * MOST * limit, resume: 0, pause: PAUSE }
    }

    /// Looks for so long from now on.
    pub(super) fn limit(&mut self, limit: Duration) {
        if micros(limit) != self.limit {
            *self = Self::new(limit);
        }
    }

    /// Begins a wait. Gives whether looking is worth while.
    pub(super) const fn begin(&self, now: u64) -> Option<Look> {
        let pays = self.waits < PART * self.limit && now >= self.resume;
        if pays { Some(Look { begun: now, last: now }) } else { None }
    }

    /// Nothing was found. Gives whether to look again.
    pub(super) fn goes_on(&mut self, look: &mut Look, now: u64) -> bool {
        if now.saturating_sub(look.last) >= CROWDED {
            self.give_way(now);
            return false;
        }
        look.last = now;
        now.saturating_sub(look.begun) < self.limit
    }

    /// A wait has lasted so long.
    pub(super) fn waited(&mut self, time: u64) {
        self.waits = self.waits - self.waits / PART + time.min(MOST * self.limit);
    }

    /// Leaves the processor to others: for twice as long, if that was necessary not long ago.
    fn give_way(&mut self, now: u64) {
        let is_again = now < self.resume.saturating_add(PAUSE_MOST);
        self.pause =
            if is_again && self.resume > 0 { PAUSE_MOST.min(2 * self.pause) } else { PAUSE };
        self.resume = now.saturating_add(self.pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(waits: impl IntoIterator<Item = u64>) -> Polling {
        let mut polling = Polling::new(Duration::from_micros(50));
        for wait in waits {
            polling.waited(wait);
        }
        polling
    }

    #[test]
    fn it_looks_where_waits_are_short() {
        assert!(after([]).begin(0).is_none());
        assert!(after([30; 20]).begin(0).is_some());
        assert!(after([60; 100]).begin(0).is_none());
        // A silence counts once, however long it is.
        assert!(after([20; 100].into_iter().chain([3_600_000_000])).begin(0).is_some());
        assert!(after([20; 100].into_iter().chain([5000; 3])).begin(0).is_none());
        assert!(after([5000; 1000].into_iter().chain([20; 20])).begin(0).is_some());
        // Requests far apart, answered soon.
        assert!(after([5000, 20].repeat(100)).begin(0).is_none());
    }

    #[test]
    fn it_looks_as_long_as_it_may() {
        let mut polling = after([30; 20]);
        let mut look = polling.begin(1000).unwrap();
        assert!(polling.goes_on(&mut look, 1010));
        assert!(polling.goes_on(&mut look, 1049));
        assert!(!polling.goes_on(&mut look, 1050));
        assert!(polling.begin(1051).is_some());
    }

    #[test]
    fn it_never_looks_if_it_may_not() {
        let mut polling = Polling::new(Duration::ZERO);
        for _ in 0..100 {
            polling.waited(0);
        }
        assert!(polling.begin(0).is_none());
    }

    #[test]
    fn it_gives_way_for_longer_each_time() {
        let mut polling = after([30; 20]);
        let mut now = 0;
        for pause in [100_000, 200_000, 400_000, 800_000, 1_600_000, 3_200_000, 3_200_000] {
            let mut look = polling.begin(now).unwrap();
            assert!(polling.goes_on(&mut look, now + 10));
            assert!(!polling.goes_on(&mut look, now + 10 + CROWDED));
            now += 10 + CROWDED + pause;
            assert!(polling.begin(now - 1).is_none());
        }
        // Then nobody needed it for long.
        now += PAUSE_MOST;
        let mut look = polling.begin(now).unwrap();
        assert!(!polling.goes_on(&mut look, now + CROWDED));
        assert!(polling.begin(now + CROWDED + PAUSE).is_some());
    }
}
