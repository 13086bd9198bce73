use std::net::IpAddr;

use super::*;
use crate::vrrp::packet::{Advert, OWNER, Reject, Version, Vrid};

const SECOND: Duration = Duration::from_secs(1);
/// The host that is tested: others are below and above it.
const OWN: u8 = 10;

fn host(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

/// With a skew of half an interval.
fn settings() -> Settings {
    Settings {
        vrid: Vrid::new(51).unwrap(),
        version: Version::V3,
        priority: 128,
        interval: SECOND,
        preempt: true,
        preempt_delay: Duration::ZERO,
        source: host(OWN),
        addresses: vec![host(100), host(101)],
        announcements: Announcements { repeat_after: Duration::ZERO, ..Announcements::default() },
    }
}

/// What happens to a machine.
enum Do {
    /// Its deadline passes, and no earlier one was left out.
    Elapse,
    /// It hears a priority from a host.
    Hear(u8, u8),
    /// Tracking says so.
    Stand(Standing),
    Release,
}
use Do::{Elapse, Hear, Release, Stand};

/// The actions in words, such as `send 128, backup resigned`.
fn words(actions: &[Action]) -> String {
    let word = |action: &Action| match action {
        Action::Send { priority } => format!("send {priority}"),
        Action::Become(state, cause) => format!("{state:?} by {cause:?}"),
        Action::Announce { copies } => format!("announce {copies}"),
        Action::Rival(peer) => format!("rival {}", peer.priority),
        Action::RivalGone(peer) => format!("gone {}", peer.priority),
    };
    actions.iter().map(word).collect::<Vec<_>>().join(", ")
}

/// Plays a table of moments, in milliseconds; nothing may be due between them.
fn play(settings: &Settings, steps: &[(u64, Do, &str)]) -> Machine {
    let mut machine = Machine::new(settings.clone()).unwrap();
    let start = Instant::now();
    assert_eq!((machine.state(), machine.next_deadline()), (State::Fault, None));
    let standing = Standing::Priority(settings.priority);
    assert_eq!(words(&machine.set_standing(standing, start)), "Backup by Started");
    continue_play(&mut machine, start, steps);
    machine
}

fn continue_play(machine: &mut Machine, start: Instant, steps: &[(u64, Do, &str)]) {
    for (number, (millis, step, expected)) in steps.iter().enumerate() {
        let now = start + Duration::from_millis(*millis);
        let due = machine.next_deadline().map(|it| it.saturating_duration_since(start));
        let case = format!("step {number} at {millis} ms, deadline {due:?}");
        let actions = match step {
            Elapse => {
                assert_eq!(due, Some(Duration::from_millis(*millis)), "{case}");
                machine.elapsed(now)
            }
            Hear(priority, from) => {
                assert!(due.is_none_or(|due| due.as_millis() >= u128::from(*millis)), "{case}");
                let advert = machine.settings().advert(*priority);
                machine.received(&advert, host(*from), now).unwrap()
            }
            Stand(standing) => machine.set_standing(*standing, now),
            Release => machine.release(now),
        };
        assert_eq!(words(&actions), *expected, "{case}");
    }
}

const TAKE_OVER: &str = "send 128, Master by MasterDown, announce 5";

#[test]
fn a_silent_master_is_replaced_and_the_new_one_keeps_the_beat() {
    let announcements = Announcements { refresh: Some(7 * SECOND), ..Announcements::default() };
    let machine = play(
        &Settings { announcements, ..settings() },
        &[
            (3000, Hear(200, 1), ""),
            (6500, Elapse, TAKE_OVER),
            (7500, Elapse, "send 128"),
            (8500, Elapse, "send 128"),
            (9500, Elapse, "send 128"),
            (10_500, Elapse, "send 128"),
            (11_500, Elapse, "send 128, announce 5"),
            (12_500, Elapse, "send 128"),
            (13_500, Elapse, "send 128"),
            (14_500, Elapse, "send 128"),
            (15_500, Elapse, "send 128"),
            (16_500, Elapse, "send 128"),
            (17_500, Elapse, "send 128"),
            (18_500, Elapse, "send 128, announce 1"),
            (19_500, Elapse, "send 128"),
        ],
    );
    let expected = Counters { became_master: 1, sent: 14, received: 1, ..Counters::default() };
    assert_eq!(machine.counters(), expected);
}

/// RFC 9568 §6.1, RFC 3768 §6.1, and the numbers that operators of keepalived know.
#[test]
fn the_time_that_a_master_may_be_silent_is_that_of_the_rfc() {
    for (version, priority, interval_ms, micros) in [
        (Version::V3, 100, 1000, 3_609_375),
        (Version::V3, 254, 1000, 3_007_812),
        (Version::V3, 1, 1000, 3_996_093),
        (Version::V3, 100, 100, 360_937),
        (Version::V3, 100, 10, 36_093),
        (Version::V3, 128, 40_950, 143_325_000),
        (Version::V2, 100, 1000, 3_609_375),
        (Version::V2, 100, 5000, 15_609_375),
        (Version::V2, 254, 5000, 15_007_812),
    ] {
        let interval = Duration::from_millis(interval_ms);
        let mut machine =
            Machine::new(Settings { version, priority, interval, ..settings() }).unwrap();
        let now = Instant::now();
        let _ = machine.set_standing(Standing::Priority(priority), now);
        let wait = machine.next_deadline().unwrap() - now;
        assert_eq!(wait.as_micros(), micros, "{version:?} {priority} {interval_ms} ms");
    }
}

#[test]
fn an_owner_is_master_at_once_and_always_preempts() {
    let owner =
        Settings { priority: OWNER, preempt: false, preempt_delay: 100 * SECOND, ..settings() };
    let _ = play(
        &owner,
        &[
            (0, Elapse, "send 255, Master by Started, announce 5"),
            (100, Stand(Standing::Priority(1)), ""),
            (200, Stand(Standing::Fault), "send 0, Fault by Fault"),
            (300, Hear(100, 1), ""),
            (400, Stand(Standing::Priority(255)), "Backup by Recovered"),
            (400, Elapse, "send 255, Master by Recovered, announce 5"),
            (500, Hear(255, OWN + 1), "send 255, Backup by Rival"),
        ],
    );
    let mut machine = play(&owner, &[(0, Elapse, "send 255, Master by Started, announce 5")]);
    let start = Instant::now();
    let _ = machine.received(&machine.settings().advert(255), host(OWN + 1), start).unwrap();
    continue_play(&mut machine, start, &[(1000, Hear(254, 1), ""), (2000, Hear(254, 1), "")]);
    let deadline = machine.next_deadline().unwrap();
    assert_eq!(words(&machine.elapsed(deadline)), "send 255, Master by Preempted, announce 5");
}

#[test]
fn a_backup_heeds_what_preemption_lets_it() {
    let preempted = "send 128, Master by Preempted, announce 5";
    let play = |settings: Settings, steps: &[_]| drop(play(&settings, steps));
    // Higher or equal: whatever the address.
    play(settings(), &[(3000, Hear(129, 1), ""), (6500, Elapse, TAKE_OVER)]);
    play(settings(), &[(3000, Hear(128, 1), ""), (6500, Elapse, TAKE_OVER)]);
    play(settings(), &[(3000, Hear(127, 99), ""), (3500, Elapse, preempted)]);
    // After an advert that counted, three more that do not.
    play(
        settings(),
        &[
            (1000, Hear(200, 1), ""),
            (2000, Hear(127, 1), ""),
            (4000, Hear(127, 1), ""),
            (4500, Elapse, preempted),
        ],
    );
    // The lower one had gone before.
    play(
        settings(),
        &[(1000, Hear(127, 1), ""), (2000, Hear(200, 1), ""), (5500, Elapse, TAKE_OVER)],
    );
    play(
        Settings { preempt: false, ..settings() },
        &[(3000, Hear(1, 1), ""), (6000, Hear(127, 1), ""), (9500, Elapse, TAKE_OVER)],
    );
    play(
        Settings { preempt_delay: 5 * SECOND, ..settings() },
        &[
            (1000, Hear(127, 1), ""),
            (3000, Hear(127, 1), ""),
            (5000, Hear(127, 1), ""),
            (6000, Hear(127, 1), ""),
            (7000, Hear(127, 1), ""),
            (8500, Elapse, preempted),
        ],
    );
    // The delay begins anew with each master of lower priority.
    play(
        Settings { preempt_delay: 5 * SECOND, ..settings() },
        &[
            (1000, Hear(127, 1), ""),
            (4000, Hear(200, 2), ""),
            (7000, Hear(127, 1), ""),
            (10_000, Hear(127, 1), ""),
            (13_500, Elapse, TAKE_OVER),
        ],
    );
}

#[test]
fn a_master_that_resigns_is_replaced_after_the_skew() {
    let taken = "send 128, Master by Resigned, announce 5";
    let machine = play(
        &settings(),
        &[(1000, Hear(200, 1), ""), (1200, Hear(0, 1), ""), (1700, Elapse, taken)],
    );
    let expected = Counters {
        became_master: 1,
        sent: 1,
        received: 2,
        resignations_received: 1,
        ..Counters::default()
    };
    assert_eq!(machine.counters(), expected);
    // Another was faster.
    let _ = play(
        &settings(),
        &[(1000, Hear(0, 1), ""), (1200, Hear(200, 2), ""), (4700, Elapse, TAKE_OVER)],
    );
}

#[test]
fn version_3_learns_the_interval_of_the_master_and_version_2_refuses_another() {
    let now = Instant::now();
    for (version, expected) in
        [(Version::V3, Ok(7 * SECOND)), (Version::V2, Err(Reject::OtherInterval))]
    {
        let mut machine = Machine::new(Settings { version, ..settings() }).unwrap();
        let _ = machine.set_standing(Standing::Priority(128), now);
        let advert = Advert { interval: 2 * SECOND, ..machine.settings().advert(200) };
        let before = (machine.next_deadline(), machine.counters());
        let got = machine.received(&advert, host(1), now).map(|actions| {
            assert_eq!(actions, []);
            machine.next_deadline().unwrap() - now
        });
        assert_eq!(got, expected, "{version:?}");
        if got.is_err() {
            assert_eq!((machine.next_deadline(), machine.counters()), before);
        }
    }
    // As master it says its own.
    let mut machine = Machine::new(settings()).unwrap();
    let _ = machine.set_standing(Standing::Priority(128), now);
    let advert = Advert { interval: 2 * SECOND, ..machine.settings().advert(200) };
    assert_eq!(machine.received(&advert, host(1), now), Ok(vec![]));
    continue_play(&mut machine, now, &[(7000, Elapse, TAKE_OVER), (8000, Elapse, "send 128")]);
}

#[test]
fn what_is_no_advert_of_another_router_changes_nothing() {
    let now = Instant::now();
    let mut machine = Machine::new(settings()).unwrap();
    let _ = machine.set_standing(Standing::Priority(128), now);
    let advert = machine.settings().advert(200);
    let before = (machine.next_deadline(), machine.counters(), machine.peer());
    for (advert, from, expected) in [
        (Advert { version: Version::V2, ..advert.clone() }, host(1), Reject::OtherVersion),
        (advert, host(OWN), Reject::OwnAddress),
    ] {
        assert_eq!(machine.received(&advert, from, now), Err(expected));
        assert_eq!((machine.next_deadline(), machine.counters(), machine.peer()), before);
    }
}

#[test]
fn other_addresses_are_counted_and_heeded() {
    let now = Instant::now();
    let mut machine = Machine::new(settings()).unwrap();
    let _ = machine.set_standing(Standing::Priority(128), now);
    let advert = machine.settings().advert(200);
    for (addresses, counted) in [
        (vec![host(100), host(101)], 0),
        (vec![host(101), host(100)], 0),
        (vec![host(100)], 1),
        (vec![host(100), host(102)], 2),
    ] {
        let advert = Advert { addresses, ..advert.clone() };
        assert_eq!(machine.received(&advert, host(1), now), Ok(vec![]));
        assert_eq!(machine.counters().other_addresses, counted);
        assert_eq!(machine.peer().map(|peer| peer.priority), Some(200));
    }
}

#[test]
fn a_master_gives_way_to_the_better_one_only() {
    for (priority, from, expected) in [
        (129, 1, "send 128, Backup by HigherPriority"),
        (128, OWN + 1, "send 128, Backup by Rival"),
        (128, OWN - 1, "send 128, rival 128, announce 5"),
        (127, OWN + 1, "send 128, rival 127, announce 5"),
        (0, OWN + 1, "send 128, announce 5"),
    ] {
        let steps = [
            (3500, Elapse, TAKE_OVER),
            (4500, Elapse, "send 128"),
            (5000, Hear(priority, from), expected),
        ];
        let machine = play(&settings(), &steps);
        let way = machine.state() == State::Backup;
        assert_eq!(machine.counters().left_master, u64::from(way), "{expected}");
        assert_eq!(machine.counters().rivals, u64::from(expected.contains("rival")));
        assert_eq!(machine.peer().is_some(), priority > 0);
    }
}

#[test]
fn a_rival_is_told_once_and_the_link_again_when_it_has_gone() {
    let _ = play(
        &settings(),
        &[
            (3500, Elapse, TAKE_OVER),
            // It has only just taken over: the other could not know.
            (3600, Hear(127, 1), "send 128"),
            (4500, Elapse, "send 128"),
            (5000, Hear(127, 1), "send 128, rival 127, announce 5"),
            (5500, Elapse, "send 128"),
            (5900, Hear(127, 1), "send 128"),
            (6000, Hear(127, 1), "send 128, announce 5"),
            (6500, Elapse, "send 128"),
            (7500, Elapse, "send 128"),
            (8500, Elapse, "send 128"),
            (9500, Elapse, "send 128, gone 127, announce 5"),
            (10_000, Hear(100, 1), "send 128, rival 100"),
            // The answer counts as the advert that was due.
            (10_200, Hear(0, 1), "send 128, gone 100"),
            (10_500, Elapse, "announce 5"),
            (11_200, Elapse, "send 128"),
        ],
    );
}

#[test]
fn tracking_takes_a_router_out_and_back_and_changes_its_priority() {
    let _ = play(
        &settings(),
        &[
            (1000, Stand(Standing::Fault), "Fault by Fault"),
            (1000, Stand(Standing::Fault), ""),
            (9000, Hear(1, 1), ""),
            (10_000, Stand(Standing::Priority(128)), "Backup by Recovered"),
            (10_000, Stand(Standing::Priority(192)), ""),
            // The skew is that of the new priority from the next advert on.
            (13_000, Hear(192, 1), ""),
            (16_250, Elapse, "send 192, Master by MasterDown, announce 5"),
            (16_500, Stand(Standing::Priority(100)), "send 100"),
            (16_600, Stand(Standing::Priority(100)), ""),
            (17_500, Elapse, "send 100"),
            (17_600, Stand(Standing::Priority(0)), "send 1"),
            (17_700, Stand(Standing::Priority(255)), "send 254"),
            (17_800, Hear(254, OWN + 1), "send 254, Backup by Rival"),
        ],
    );
    let machine = play(
        &settings(),
        &[(3500, Elapse, TAKE_OVER), (3600, Stand(Standing::Fault), "send 0, Fault by Fault")],
    );
    assert_eq!(machine.next_deadline(), None);
    let expected = Counters {
        became_master: 1,
        left_master: 1,
        sent: 2,
        resignations_sent: 1,
        ..Counters::default()
    };
    assert_eq!(machine.counters(), expected);
}

#[test]
fn a_router_that_was_ordered_to_leave_waits_until_the_other_is_lost() {
    let released = "send 0, Backup by Ordered";
    let _ = play(
        &settings(),
        &[
            (100, Release, ""),
            (3500, Elapse, TAKE_OVER),
            (3600, Release, released),
            (3700, Hear(100, 1), ""),
            (5000, Hear(100, 1), ""),
            (8500, Elapse, TAKE_OVER),
        ],
    );
    // Nobody takes the addresses: others would have, an interval earlier.
    let _ = play(
        &settings(),
        &[(3500, Elapse, TAKE_OVER), (3600, Release, released), (8100, Elapse, TAKE_OVER)],
    );
    // The other resigns; then preemption is as before.
    let _ = play(
        &settings(),
        &[
            (3500, Elapse, TAKE_OVER),
            (3600, Release, released),
            (3700, Hear(100, 1), ""),
            (3800, Hear(0, 1), ""),
            (4300, Elapse, "send 128, Master by Resigned, announce 5"),
            (4400, Hear(200, 1), "send 128, Backup by HigherPriority"),
            (5000, Hear(100, 1), ""),
            (7900, Elapse, "send 128, Master by Preempted, announce 5"),
        ],
    );
    let now = Instant::now();
    let master = play(&settings(), &[(3500, Elapse, TAKE_OVER)]);
    assert_eq!(words(&master.stop(now)), released);
    assert_eq!(words(&play(&settings(), &[]).stop(now)), "");
}

#[test]
fn a_machine_goes_on_for_another() {
    let mut master = play(&settings(), &[(3500, Elapse, TAKE_OVER)]);
    let now = Instant::now();
    let resume = |machine: &Machine| {
        Machine::resume(settings(), machine.handover(), now).map(|it| (words(&it.1), it.0)).unwrap()
    };
    let (actions, next) = resume(&master);
    assert_eq!((actions.as_str(), next.state()), ("send 128", State::Master));
    assert_eq!(next.next_deadline(), Some(now + SECOND));
    assert_eq!(next.counters(), Counters { sent: 2, ..master.counters() });

    let _ = master.release(now);
    let (actions, mut next) = resume(&master);
    assert_eq!((actions.as_str(), next.state()), ("", State::Backup));
    let steps = [(1000, Hear(1, 1), ""), (4500, Elapse, TAKE_OVER)];
    continue_play(&mut next, now, &steps);

    let _ = master.set_standing(Standing::Fault, now);
    let (actions, mut next) = resume(&master);
    assert_eq!((actions.as_str(), next.state(), next.next_deadline()), ("", State::Fault, None));
    assert_eq!(words(&next.set_standing(Standing::Priority(128), now)), "Backup by Recovered");
}

#[test]
fn adverts_that_were_missed_are_not_made_up_for() {
    let machine = play(&settings(), &[(3500, Elapse, TAKE_OVER)]);
    let due = machine.next_deadline().unwrap();
    assert_eq!(machine.clone().elapsed(due.checked_sub(SECOND / 2).unwrap()), []);
    for (late_ms, next_ms) in [(0, 1000), (300, 1000), (1000, 2000), (7300, 8300)] {
        let mut machine = machine.clone();
        let now = due + Duration::from_millis(late_ms);
        assert_eq!(words(&machine.elapsed(now)), "send 128", "{late_ms} ms late");
        let next = machine.next_deadline().unwrap() - due;
        assert_eq!(next, Duration::from_millis(next_ms), "{late_ms} ms late");
    }
}

/// Its deadline passed long ago, but the adverts that move it are waiting, and are read first.
#[test]
fn a_starved_backup_does_not_take_over() {
    let mut machine = play(&settings(), &[]);
    let now = machine.next_deadline().unwrap() + 60 * SECOND;
    let advert = machine.settings().advert(200);
    assert_eq!(machine.received(&advert, host(1), now), Ok(vec![]));
    assert_eq!(machine.elapsed(now), []);
    assert_eq!(machine.next_deadline(), Some(now + Duration::from_millis(3500)));
}

#[test]
fn settings_that_no_advert_can_say_are_refused() {
    for settings in [
        Settings { interval: Duration::from_millis(5), ..settings() },
        Settings { interval: Duration::MAX, ..settings() },
        Settings { interval: Duration::from_millis(100), version: Version::V2, ..settings() },
        Settings { addresses: vec![], ..settings() },
        Settings { source: "fe80::1".parse().unwrap(), ..settings() },
    ] {
        assert!(Machine::new(settings).is_err());
    }
    // Pauses that never end are no deadlines.
    let announcements =
        Announcements { copies: 5, repeat_after: Duration::MAX, refresh: Some(Duration::ZERO) };
    let settings = Settings { announcements, preempt_delay: Duration::MAX, ..settings() };
    let _ = play(&settings, &[(1000, Hear(1, 1), ""), (4500, Elapse, TAKE_OVER)]);
}
