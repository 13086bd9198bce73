//! The passive ejection of a backend that cannot be connected to, without a clock.

use std::time::{Duration, Instant};

use crate::config::proxy::Eject;

/// What connecting to a backend has shown.
#[derive(Debug, Default)]
pub(super) struct Ejection {
    /// Failures since the last success.
    failures: u32,
    /// Ejections since the last success.
    times: u32,
    until: Option<Instant>,
}

impl Ejection {
    /// Whether the backend is passed over.
    pub(super) fn holds(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// A connection was made.
    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// No connection could be made. Gives how long the backend is passed over, if that begins now.
    ///
    /// After an ejection the next failure is enough for another one, twice as long.
    pub(super) fn failed(&mut self, rules: &Eject, now: Instant) -> Option<Duration> {
        self.failures = self.failures.saturating_add(1);
        if rules.failures == 0 || self.failures < rules.failures || self.holds(now) {
            return None;
        }
        let doubled = 1_u32.checked_shl(self.times).and_then(|it| rules.hold.checked_mul(it));
        let hold = doubled.unwrap_or(rules.max_hold).min(rules.max_hold);
        self.times += 1;
        self.until = now.checked_add(hold);
        Some(hold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Eject =
        Eject { failures: 3, hold: Duration::from_secs(10), max_hold: Duration::from_secs(35) };

    #[test]
    fn each_ejection_is_longer_until_a_success() {
        let mut now = Instant::now();
        let mut ejection = Ejection::default();
        assert_eq!(ejection.failed(&RULES, now), None);
        assert_eq!(ejection.failed(&RULES, now), None);
        assert!(!ejection.holds(now));
        for seconds in [10, 20, 35, 35] {
            let hold = Duration::from_secs(seconds);
            assert_eq!(ejection.failed(&RULES, now), Some(hold));
            assert_eq!(ejection.failed(&RULES, now), None, "it is out already");
            assert!(ejection.holds(now));
            now += hold;
            assert!(!ejection.holds(now));
        }
        ejection.succeeded();
        assert_eq!(ejection.failed(&RULES, now), None);
    }

    #[test]
    fn never_if_no_number_of_failures_does_it() {
        let (mut ejection, now) = (Ejection::default(), Instant::now());
        let rules = Eject { failures: 0, ..RULES };
        assert!((0..100).all(|_| ejection.failed(&rules, now).is_none()));
    }

    #[test]
    fn no_number_of_ejections_overflows() {
        let (mut ejection, mut now) = (Ejection::default(), Instant::now());
        for _ in 0..100 {
            let _hold = ejection.failed(&RULES, now);
            now += RULES.max_hold;
        }
    }
}
