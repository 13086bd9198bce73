//! One primary after the other, and never two.

use super::*;

#[test]
fn the_known_primary_is_kept_beside_a_second_one() {
    let mut pool = Pool::running("a b");
    pool.wait(500);
    pool.says("b", writer("b"));
    assert_eq!((pool.primary().as_deref(), pool.noted()), (Some("a"), vec![]));
    pool.wait(500);
    pool.says("a", writer("a"));
    assert_eq!(pool.primary().as_deref(), Some("a"));
    assert_eq!(pool.noted(), [two(Some("a"), "b")]);
    assert_eq!(pool.closed(Role::Primary), ["b"]);
    assert_eq!(pool.closed(Role::Replica), ["b"]);
    // The rival has been there: one lost answer of the primary makes no promotion.
    pool.wait(1000);
    pool.fails("a");
    pool.says("b", writer("b"));
    assert_eq!((pool.primary().as_deref(), pool.noted()), (Some("a"), vec![]));
    pool.fails("a");
    pool.fails("a");
    assert_eq!(pool.primary().as_deref(), Some("b"));
    assert_eq!(pool.noted(), [silent("a"), promoted("a", "b")]);
}

#[test]
fn a_replica_that_becomes_a_writer_while_the_primary_is_silent_is_promoted_at_once() {
    let mut pool = Pool::running("a b");
    pool.wait(1000);
    pool.fails("a");
    assert_eq!(pool.primary().as_deref(), Some("a"), "one failure is none");
    pool.says("b", writer("b"));
    pool.wait(100);
    assert_eq!(pool.primary().as_deref(), Some("b"));
    assert_eq!(pool.noted(), [promoted("a", "b")], "the silent one is no rival");
    assert_eq!(pool.closed(Role::Primary), ["a"]);
    assert_eq!(pool.closed(Role::Replica), ["a"]);
    // The other way round: it is seen before the primary's first failure.
    let mut pool = Pool::running("a b");
    pool.wait(500);
    pool.says("b", writer("b"));
    assert_eq!(pool.primary().as_deref(), Some("a"));
    pool.fails("a");
    assert_eq!(pool.primary().as_deref(), Some("b"));
}

#[test]
fn an_old_primary_that_answers_again_gets_nothing() {
    let mut pool = Pool::running("a b");
    pool.wait(1000);
    pool.fails("a");
    pool.says("b", writer("b"));
    let _: Vec<Note> = pool.noted();
    pool.wait(1000);
    pool.says("a", writer("a"));
    assert_eq!(pool.primary().as_deref(), Some("b"));
    assert_eq!(pool.noted(), [two(Some("b"), "a")]);
    assert_eq!(pool.closed(Role::Primary), ["a"]);
    pool.says("a", writer("a"));
    assert_eq!(pool.noted(), [], "it is said once");
    // One lost answer of the new one does not bring the old one back.
    pool.fails("b");
    assert_eq!(pool.primary().as_deref(), Some("b"));
    pool.says("a", replica("a", Some(0)));
    assert_eq!(pool.view(Role::Primary).rivals, [""; 0]);
    assert_eq!(pool.readable(), ["a"]);
}

#[test]
fn a_planned_promotion_closes_holds_and_goes_on() {
    let mut pool = Pool::running("a b");
    pool.wait(1000);
    pool.says("a", Said { replication: None, ..replica("a", None) });
    assert_eq!(pool.primary(), None);
    let lost = Note::PrimaryLost { server: "a".into(), why: Loss::ReadOnly };
    assert_eq!(pool.noted(), [lost, Note::NotReplicating { server: "a".into() }]);
    assert_eq!(pool.closed(Role::Primary), ["a", "b"]);
    assert_eq!(pool.view(Role::Primary).hold, Some(WAIT));
    pool.wait(400);
    assert_eq!(pool.view(Role::Primary).hold, Some(Duration::from_millis(9600)));
    pool.says("b", writer("b"));
    assert_eq!(pool.primary().as_deref(), Some("b"));
    assert_eq!(pool.view(Role::Primary).hold, None);
    assert_eq!(pool.noted(), [promoted("a", "b")]);
}

#[test]
fn a_silent_primary_is_lost_by_failures_or_age_and_keeps_its_sessions() {
    let mut pool = Pool::running("a b");
    for _ in 0..2 {
        pool.fails("a");
    }
    assert_eq!(pool.primary().as_deref(), Some("a"));
    pool.fails("a");
    assert_eq!(pool.primary(), None);
    let why = Loss::Silent("connection refused".into());
    assert_eq!(pool.noted(), [silent("a"), Note::PrimaryLost { server: "a".into(), why }]);
    assert_eq!(pool.closed(Role::Primary), ["b"]);
    pool.says("a", writer("a"));
    assert_eq!(pool.primary().as_deref(), Some("a"));
    let back = Note::PrimaryBack { server: "a".into() };
    assert_eq!(pool.noted(), [Note::Answers { server: "a".into() }, back]);
    // Nobody asks any more, and nobody says that time has passed either.
    pool.now += Duration::from_secs(4);
    assert_eq!(pool.primary(), None);
    let rest = Duration::from_millis(9500);
    assert_eq!(pool.view(Role::Primary).hold, Some(rest));
    pool.wait(0);
    assert_eq!(pool.view(Role::Primary).hold, Some(rest));
}

#[test]
fn sessions_are_held_no_longer_than_the_wait() {
    let mut pool = Pool::new("a");
    assert_eq!(pool.view(Role::Primary).hold, Some(WAIT), "from the start on");
    pool.fails("a");
    pool.fails("a");
    pool.fails("a");
    assert_eq!(pool.roles.next_deadline(pool.now), Some(pool.now + WAIT));
    pool.wait(9999);
    assert_eq!(pool.view(Role::Primary).hold, Some(Duration::from_millis(1)));
    pool.wait(1);
    assert_eq!(pool.view(Role::Primary).hold, None);
    assert_eq!(pool.roles.next_deadline(pool.now), None);
}

#[test]
fn two_promoted_at_once_are_none() {
    let mut pool = Pool::running("a b c");
    pool.says("a", replica("a", Some(0)));
    pool.wait(10);
    pool.says("b", writer("b"));
    assert_eq!(pool.primary().as_deref(), Some("b"));
    let mut pool = Pool::running("a b c");
    pool.wait(10);
    pool.says("b", writer("b"));
    pool.says("c", writer("c"));
    pool.says("a", replica("a", Some(0)));
    assert_eq!(pool.primary(), None);
    assert!(pool.noted().contains(&two(None, "b c")));
}

#[test]
fn a_driver_that_is_late_does_not_prolong_the_wait() {
    let events: [fn(&mut Pool); 3] = [
        |pool| pool.fails("a"),
        |pool| pool.says("a", replica("a", Some(0))),
        |pool| pool.notes.extend(pool.roles.configure(settings(), &names("b"), pool.now)),
    ];
    for event in events {
        let mut pool = Pool::running("a b");
        pool.fails("a");
        pool.fails("a");
        pool.now += Duration::from_secs(4);
        event(&mut pool);
        assert_eq!(pool.view(Role::Primary).hold, Some(Duration::from_millis(9500)));
    }
}

#[test]
fn an_answer_that_is_slow_but_in_time_keeps_the_primary() {
    let mut pool = Pool::running("a b");
    pool.says("b", writer("b"));
    pool.wait(10);
    pool.says("a", writer("a"));
    for _ in 0..2 {
        pool.wait(1000);
        pool.fails("a");
        pool.says("b", writer("b"));
    }
    pool.wait(1490);
    assert_eq!(pool.primary().as_deref(), Some("a"));
    pool.says("a", writer("a"));
    assert_eq!((pool.primary().as_deref(), pool.noted()), (Some("a"), vec![two(Some("a"), "b")]));
}
