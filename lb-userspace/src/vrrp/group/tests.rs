use super::*;
use crate::vrrp::{
    Version, Vrid,
    sm::{Announcements, Peer},
};

const SECOND: Duration = Duration::from_secs(1);

fn host(link: usize, last: u8) -> IpAddr {
    IpAddr::from([192, 0, u8::try_from(link).unwrap(), last])
}

/// A member on a link of its own.
fn member(link: usize) -> Settings {
    Settings {
        vrid: Vrid::new(51).unwrap(),
        version: Version::V3,
        priority: 128,
        interval: SECOND,
        preempt: true,
        preempt_delay: Duration::ZERO,
        source: host(link, 10),
        addresses: vec![host(link, 100)],
        announcements: Announcements { repeat_after: Duration::ZERO, ..Announcements::default() },
    }
}

fn started(now: Instant) -> Group {
    let mut group = Group::new([member(0), member(1)]).unwrap();
    assert_eq!(group.next_deadline(), None);
    assert_eq!(group.set_standing(0, Standing::Priority(128), now), [], "the other is not known");
    let actions = group.set_standing(1, Standing::Priority(128), now);
    let backup = Action::Become(State::Backup, Cause::Started);
    assert_eq!(actions, [(0, backup.clone()), (1, backup)]);
    group
}

fn master(start: Instant) -> Group {
    let mut group = started(start);
    let now = group.next_deadline().unwrap();
    let _ = group.elapsed(now);
    assert_eq!(states(&group), [State::Master; 2]);
    group
}

fn states(group: &Group) -> Vec<State> {
    group.machines().map(Machine::state).collect()
}

fn hear(group: &mut Group, index: usize, priority: u8, now: Instant) -> Actions {
    let advert = member(index).advert(priority);
    group.received(index, &advert, host(index, 9), now).unwrap()
}

/// The changes of state and the adverts.
fn changes(actions: &Actions) -> Vec<(usize, Action)> {
    let others =
        |action: &Action| matches!(action, Action::Announce { .. } | Action::Rival(Peer { .. }));
    actions.iter().filter(|(_, action)| !others(action)).cloned().collect()
}

#[test]
fn they_take_over_when_the_last_of_them_may() {
    let now = Instant::now();
    let mut group = started(now);
    assert_eq!(hear(&mut group, 1, 200, now + 2 * SECOND), []);
    let last = now + Duration::from_millis(5500);
    assert_eq!(group.next_deadline(), Some(last));
    assert_eq!(group.elapsed(now + 4 * SECOND), [], "the first alone may not");
    let taken = |index| {
        [
            (index, Action::Send { priority: 128 }),
            (index, Action::Become(State::Master, Cause::MasterDown)),
        ]
    };
    assert_eq!(changes(&group.elapsed(last)), [taken(0), taken(1)].concat());
    assert_eq!(group.next_deadline(), Some(last + SECOND));
}

/// They hear the other on one link only: a master there keeps them all from taking over, for ever.
#[test]
fn a_link_that_is_cut_does_not_move_them() {
    let start = Instant::now();
    let mut group = started(start);
    for second in 1..100 {
        let now = start + second * SECOND;
        assert_eq!(group.elapsed(now), []);
        assert_eq!(hear(&mut group, 0, 200, now), []);
    }
}

#[test]
fn all_give_way_with_one() {
    let mut group = master(Instant::now());
    let now = group.next_deadline().unwrap();
    let actions = hear(&mut group, 1, 200, now);
    let expected = [
        (1, Action::Send { priority: 128 }),
        (1, Action::Become(State::Backup, Cause::HigherPriority)),
        (0, Action::Send { priority: 0 }),
        (0, Action::Become(State::Backup, Cause::Group)),
    ];
    assert_eq!(actions, expected);
    // The one has heard a master; the other waits for at most an interval more.
    let wait = group.next_deadline().unwrap() - now;
    assert!((SECOND * 7 / 2..SECOND * 9 / 2).contains(&wait), "{wait:?}");
}

#[test]
fn two_that_give_way_to_each_other_do_not_wait_equally_long() {
    let mut waits = std::collections::BTreeSet::new();
    let start = Instant::now();
    for own in [10, 11] {
        let members = [0, 1].map(|link| Settings { source: host(link, own), ..member(link) });
        let mut group = Group::new(members).unwrap();
        let _ = group.set_standing(0, Standing::Priority(128), start);
        let _ = group.set_standing(1, Standing::Priority(128), start);
        for _ in 0..4 {
            let now = group.next_deadline().unwrap();
            let _ = group.elapsed(now);
            let _ = hear(&mut group, 1, 200, now);
            let _ = waits.insert(group.next_deadline().unwrap() - now);
        }
    }
    assert!(waits.len() > 6, "{waits:?}");
}

#[test]
fn one_fault_is_that_of_all_until_none_is() {
    let now = Instant::now();
    let mut group = master(now);
    let fault = |index, cause| {
        [(index, Action::Send { priority: 0 }), (index, Action::Become(State::Fault, cause))]
    };
    let expected = [fault(0, Cause::Group), fault(1, Cause::Fault)].concat();
    assert_eq!(group.set_standing(1, Standing::Fault, now), expected);
    assert_eq!(group.next_deadline(), None);
    assert_eq!(group.set_standing(0, Standing::Fault, now), []);
    assert_eq!(group.set_standing(1, Standing::Priority(128), now), []);
    let backup = Action::Become(State::Backup, Cause::Recovered);
    let actions = group.set_standing(0, Standing::Priority(100), now);
    assert_eq!(actions, [(0, backup.clone()), (1, backup)]);
    assert_eq!(group.machines().map(Machine::priority).collect::<Vec<_>>(), [100, 128]);
}

#[test]
fn they_leave_together_by_order() {
    let now = Instant::now();
    let released = |index| {
        [
            (index, Action::Send { priority: 0 }),
            (index, Action::Become(State::Backup, Cause::Ordered)),
        ]
    };
    let expected = [released(0), released(1)].concat();
    assert_eq!(master(now).release(now), expected);
    assert_eq!(master(now).stop(now), expected);
}

#[test]
fn a_group_goes_on_and_a_new_member_follows_it() {
    let now = Instant::now();
    let group = master(now);
    let handovers: Vec<_> = group.machines().map(Machine::handover).collect();
    let members =
        [(member(0), Some(handovers[0])), (member(1), Some(handovers[1])), (member(2), None)];
    let (mut next, actions) = Group::resume(members, now).unwrap();
    let advert = Action::Send { priority: 128 };
    assert_eq!(actions, [(0, advert.clone()), (1, advert)]);
    // Tracking says again what it said: the new member, not known yet, holds nobody up.
    for index in [0, 1] {
        assert_eq!(next.set_standing(index, Standing::Priority(128), now), []);
    }
    assert_eq!(states(&next), [State::Master, State::Master, State::Fault]);
    let actions = next.set_standing(2, Standing::Priority(128), now);
    assert_eq!(actions, [(2, Action::Become(State::Backup, Cause::Started))]);
    let _ = next.elapsed(now + 4 * SECOND);
    assert_eq!(states(&next), [State::Master; 3]);
}

#[test]
fn a_member_that_is_not_there_hears_nothing() {
    let now = Instant::now();
    let mut group = started(now);
    let advert = member(0).advert(200);
    let heard = group.received(2, &advert, host(0, 9), now);
    assert_eq!(heard, Err(Reject::UnknownInstance));
    assert_eq!(group.set_standing(2, Standing::Fault, now), []);
}
