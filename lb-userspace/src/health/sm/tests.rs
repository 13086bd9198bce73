use std::net::SocketAddr;

use lb_common::{
    addr::{Port, Protocol},
    service::ServiceKey,
};
use proptest::prelude::*;

use super::*;
use crate::config::{CheckKind, Flap, Through};

const INTERVAL: Duration = Duration::from_secs(2);

fn key(host: u16) -> TargetKey {
    let [a, b] = host.to_be_bytes();
    TargetKey::Service {
        service: ServiceKey::new(
            lb_common::addr::Addr::from_v4([192, 0, 2, 1]),
            Port::new(80),
            Protocol::TCP,
        ),
        backend: SocketAddr::from(([10, 0, a, b], 80)),
    }
}

fn check(rise: u32, fall: u32) -> Check {
    Check {
        kind: CheckKind::Tcp,
        through: Through::Direct,
        port: None,
        interval: INTERVAL,
        fast_interval: INTERVAL,
        timeout: Duration::from_millis(200),
        rise,
        fall,
        slow_start: Duration::ZERO,
        flap: Flap { hold: Duration::ZERO, ..Flap::default() },
    }
}

fn unchecked(up: bool) -> Finding {
    Finding { up, confirmed: false, parts: FULL, reason: "not checked yet".into() }
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
    let broken = |up| Finding { confirmed: true, reason: "broken".into(), ..unchecked(up) };
    assert_eq!(*machine.finding(), broken(true));
    assert_eq!(machine.finished(outcome(false), now), Change::Health);
    assert_eq!(*machine.finding(), broken(false));
    assert_eq!(machine.finished(outcome(false), now), Change::None);
}

#[test]
fn what_is_believed_is_confirmed_by_a_check_that_agrees_or_by_enough_that_do_not() {
    let now = Instant::now();
    let machine = |up| Machine::new(&key(1), &check(2, 2), unchecked(up), now);
    for up in [true, false] {
        let (mut agreed, mut contradicted) = (machine(up), machine(up));
        let _change = agreed.finished(outcome(up), now);
        assert!(agreed.finding().confirmed);
        let _change = contradicted.finished(outcome(!up), now);
        assert!(!contradicted.finding().confirmed);
        let _change = contradicted.finished(outcome(!up), now);
        assert!(contradicted.finding().confirmed);
    }
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

/// What becomes of a backend that is asked every time a check is due, and how that depends on time.
struct Played {
    machine: Machine,
    now: Instant,
}

impl Played {
    fn new(check: &Check, up: bool) -> Self {
        let now = Instant::now();
        Self { machine: Machine::new(&key(1), check, unchecked(up), now), now }
    }

    /// Checks, each answered at once, until the backend is as wanted; how long that took.
    fn until(&mut self, up: bool) -> Duration {
        let start = self.now;
        while self.machine.finding().up != up {
            let _ = self.check(up);
        }
        self.now - start
    }

    fn check(&mut self, ok: bool) -> Change {
        self.now = self.machine.next_probe();
        self.machine.finished(outcome(ok), self.now)
    }

    /// Good checks for so long.
    fn rest(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            let _ = self.check(true);
        }
    }
}

#[test]
fn checks_come_faster_between_the_first_contrary_result_and_the_decision() {
    let fast = INTERVAL / 10;
    let mut it = Played::new(&Check { fast_interval: fast, ..check(2, 3) }, true);
    let _ = it.check(true);
    let gaps = |it: &mut Played, outcomes: &str| -> Vec<Duration> {
        let gap = |c| {
            let _ = it.check(c == '+');
            it.machine.next_probe() - it.now
        };
        outcomes.chars().map(gap).collect()
    };
    assert_eq!(gaps(&mut it, "+-+"), [INTERVAL, fast, INTERVAL], "in doubt after one failure");
    assert_eq!(gaps(&mut it, "---"), [fast, fast, INTERVAL], "down: no more doubt");
    assert_eq!(gaps(&mut it, "-++"), [INTERVAL, fast, INTERVAL], "the same on the way up");
    assert!(it.machine.finding().up);
}

#[test]
fn what_keeps_falling_is_held_down_for_longer_and_longer() {
    let flap = Flap {
        falls: 2,
        calm: Duration::from_secs(60),
        hold: Duration::from_secs(10),
        max_hold: Duration::from_secs(35),
    };
    let mut it = Played::new(&Check { flap, ..check(2, 1) }, true);
    let mut rises = |count: usize| -> Vec<u64> {
        let rise = |_| {
            let _ = it.until(false);
            // Less the interval until the first good check.
            it.until(true).saturating_sub(INTERVAL).as_secs()
        };
        (0..count).map(rise).collect()
    };
    assert_eq!(rises(6), [2, 2, 10, 20, 36, 36], "10 s, doubled, at most 35 s: 36 s by the beat");
    it.rest(flap.calm);
    let _ = it.until(false);
    assert_eq!(it.until(true), INTERVAL * 2, "all is forgotten after a minute without a fall");
}

#[test]
fn a_failure_while_held_down_begins_the_hold_anew_and_the_reason_tells_of_it() {
    let hold = Duration::from_secs(10);
    let flap = Flap { falls: 0, hold, ..Flap::default() };
    let mut it = Played::new(&Check { flap, ..check(1, 1) }, true);
    let _ = it.until(false);
    for _ in 0..4 {
        let _ = it.check(true);
    }
    let reason = "fine; went down 1 times: up when it was good for 10s";
    assert_eq!(it.machine.finding().reason, reason);
    assert_eq!(it.machine.next_probe() - it.now, INTERVAL, "a hold is no doubt");
    let _ = it.check(false);
    assert_eq!(it.until(true), INTERVAL + hold);
    assert_eq!(it.machine.finding().reason, "fine");
}

#[test]
fn what_comes_back_takes_its_weight_in_steps_and_what_was_up_has_it() {
    let slow_start = Duration::from_secs(20);
    let mut it = Played::new(&Check { slow_start, ..check(1, 1) }, true);
    assert_eq!((it.machine.finding().parts, it.machine.next_step()), (FULL, None), "at the start");
    let _ = it.until(false);
    let _ = it.until(true);
    let back = it.now;
    assert_eq!(it.machine.finding().parts, 1);
    let mut steps = Vec::new();
    while let Some(next) = it.machine.next_step() {
        let before = next.checked_sub(Duration::from_nanos(1)).unwrap();
        assert_eq!(it.machine.climb(before), Change::None);
        assert_eq!(it.machine.climb(next), Change::Health);
        steps.push(((next - back).as_secs(), it.machine.finding().parts));
    }
    let expected: Vec<_> = (2..=10).map(|part| (2 * u64::from(part), part)).collect();
    assert_eq!(steps, expected);

    // It falls on its way up, and late clocks skip steps.
    let _ = it.until(false);
    let _ = it.until(true);
    assert_eq!(it.machine.climb(it.now + slow_start / 2), Change::Health);
    assert_eq!(it.machine.finding().parts, 5);
    let _ = it.until(false);
    assert_eq!(it.machine.next_step(), None);
    assert_eq!(it.machine.climb(it.now + slow_start), Change::None);
    let _ = it.until(true);
    assert_eq!(it.machine.finding().parts, 1, "it begins anew");
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
