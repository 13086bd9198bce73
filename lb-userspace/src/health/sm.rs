//! The checks of one backend as a state machine, without I/O and clock.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::{Duration, Instant},
};

use super::{Finding, TargetKey};
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
    /// The backend went up or down.
    Health,
}

/// The checks of one backend.
#[derive(Clone, Debug)]
pub struct Machine {
    rise: u32,
    fall: u32,
    interval: Duration,
    finding: Finding,
    /// Outcomes in a row that contradict the finding.
    contrary: u32,
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
        let Check { kind: _, port: _, interval, timeout: _, rise, fall } = *check;
        Self {
            rise: rise.max(1),
            fall: fall.max(1),
            interval: interval.max(Duration::from_millis(1)),
            finding,
            contrary: 0,
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

    /// A check has finished.
    pub fn finished(&mut self, outcome: Outcome, now: Instant) -> Change {
        self.due += self.interval;
        if self.due < now {
            // The beats that were missed are not made up for.
            let late = now.duration_since(self.due).as_nanos() / self.interval.as_nanos() + 1;
            self.due += self.interval * u32::try_from(late).unwrap_or(u32::MAX);
        }

        let Outcome { ok, reason } = outcome;
        self.contrary = if ok == self.finding.up { 0 } else { self.contrary + 1 };
        let needed = if self.finding.up { self.fall } else { self.rise };
        let flips = self.contrary >= needed;
        let finding = Finding { up: self.finding.up ^ flips, reason };
        let change = match (flips, finding == self.finding) {
            (true, _) => Change::Health,
            (false, true) => Change::None,
            (false, false) => Change::Reason,
        };
        if flips {
            self.contrary = 0;
        }
        self.finding = finding;
        change
    }
}

/// A moment within the interval, from the key.
fn phase(key: &TargetKey, interval: Duration) -> Duration {
    // The default hasher has fixed keys: a restart does not shift the beat.
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    let fraction = (hasher.finish() >> 32) as u32;
    let nanos = (interval.as_nanos() * u128::from(fraction)) >> 32;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use lb_common::{
        addr::{Port, Protocol},
        service::ServiceKey,
    };
    use proptest::prelude::*;

    use super::*;
    use crate::config::CheckKind;

    const INTERVAL: Duration = Duration::from_secs(2);

    fn key(host: u16) -> TargetKey {
        let [a, b] = host.to_be_bytes();
        TargetKey {
            service: ServiceKey::new(
                lb_common::addr::Addr::from_v4([192, 0, 2, 1]),
                Port::new(80),
                Protocol::TCP,
            ),
            backend: SocketAddr::from(([10, 0, a, b], 80)),
        }
    }

    fn check(rise: u32, fall: u32) -> Check {
        let timeout = Duration::from_millis(200);
        Check { kind: CheckKind::Tcp, port: None, interval: INTERVAL, timeout, rise, fall }
    }

    fn unchecked(up: bool) -> Finding {
        Finding { up, reason: "not checked yet".into() }
    }

    fn outcome(ok: bool) -> Outcome {
        Outcome { ok, reason: if ok { "fine" } else { "broken" }.into() }
    }

    /// Feeds outcomes (`+` and `-`); returns what the finding was after each.
    fn play(rise: u32, fall: u32, up: bool, outcomes: &str) -> String {
        let now = Instant::now();
        let mut machine = Machine::new(&key(1), &check(rise, fall), unchecked(up), now);
        let step = |c| {
            let _ = machine.finished(outcome(c == '+'), now);
            if machine.finding().up { 'U' } else { 'D' }
        };
        outcomes.chars().map(step).collect()
    }

    #[test]
    fn a_backend_flips_only_after_rise_or_fall_outcomes_in_a_row() {
        for (rise, fall, up, outcomes, expected) in [
            (1, 1, false, "+-+-", "UDUD"),
            (1, 3, true, "--+---+", "UUUUUDU"),
            (2, 3, false, "+-++", "DDDU"),
            (2, 3, true, "---++---", "UUDDUUUD"),
            (3, 1, true, "-++-+++", "DDDDDDU"),
            (3, 2, false, "---", "DDD"),
            (2, 2, true, "-+-+-+", "UUUUUU"),
            (2, 2, true, "+--++", "UUDDU"),
        ] {
            let got = play(rise, fall, up, outcomes);
            assert_eq!(got, expected, "rise {rise} fall {fall} up {up} {outcomes}");
        }
    }

    #[test]
    fn changes_are_told_apart() {
        let now = Instant::now();
        let mut machine = Machine::new(&key(1), &check(1, 2), unchecked(true), now);
        assert_eq!(machine.finished(outcome(true), now), Change::Reason);
        assert_eq!(machine.finished(outcome(true), now), Change::None);
        assert_eq!(machine.finished(outcome(false), now), Change::Reason);
        assert_eq!(*machine.finding(), Finding { up: true, reason: "broken".into() });
        assert_eq!(machine.finished(outcome(false), now), Change::Health);
        assert_eq!(*machine.finding(), Finding { up: false, reason: "broken".into() });
        assert_eq!(machine.finished(outcome(false), now), Change::None);
    }

    #[test]
    fn first_checks_are_spread_over_the_interval() {
        let now = Instant::now();
        let mut tenths = [0; 10];
        for host in 0..1000 {
            let machine = Machine::new(&key(host), &check(1, 1), unchecked(true), now);
            let wait = machine.next_probe() - now;
            assert!(wait < INTERVAL);
            tenths[usize::try_from(wait.as_millis()).unwrap() / 200] += 1;
        }
        // 1000 balls in 10 boxes: the deviation is 9.5.
        assert!(tenths.iter().all(|n| (50..150).contains(n)), "{tenths:?}");
    }

    #[test]
    fn the_beat_is_kept_and_missed_beats_are_not_made_up_for() {
        let start = Instant::now();
        let mut machine = Machine::new(&key(1), &check(1, 1), unchecked(true), start);
        let first = machine.next_probe();
        let _ = machine.finished(outcome(true), first + Duration::from_millis(150));
        assert_eq!(machine.next_probe(), first + INTERVAL);
        let _ = machine.finished(outcome(true), first + INTERVAL * 4 + Duration::from_millis(1));
        assert_eq!(machine.next_probe(), first + INTERVAL * 5);
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_definition(
            rise in 1..4u32,
            fall in 1..4u32,
            initially_up: bool,
            outcomes in prop::collection::vec(any::<bool>(), 0..60),
        ) {
            let now = Instant::now();
            let finding = unchecked(initially_up);
            let mut machine = Machine::new(&key(1), &check(rise, fall), finding, now);
            let mut since_flip = Vec::new();
            for ok in outcomes {
                let was = machine.finding().up;
                let change = machine.finished(outcome(ok), now);
                since_flip.push(ok);
                let needed = if was { fall } else { rise } as usize;
                let contrary = since_flip.iter().rev().take_while(|&&ok| ok != was).count();
                let flips = contrary >= needed;
                prop_assert_eq!(machine.finding().up, was ^ flips);
                prop_assert_eq!(change == Change::Health, flips);
                if flips {
                    since_flip.clear();
                }
            }
        }

        #[test]
        fn the_next_check_is_never_due_long_ago_nor_far_off(
            finishes in prop::collection::vec(0..10_000u64, 1..30),
        ) {
            let mut now = Instant::now();
            let mut machine = Machine::new(&key(7), &check(2, 2), unchecked(true), now);
            for took in finishes {
                now = now.max(machine.next_probe()) + Duration::from_millis(took);
                let _ = machine.finished(outcome(true), now);
                prop_assert!(machine.next_probe() >= now);
                prop_assert!(machine.next_probe() <= now + INTERVAL);
            }
        }
    }
}
