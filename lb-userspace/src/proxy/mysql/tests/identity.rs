//! Who is who, and who is known.

use super::*;

#[test]
fn nobody_is_chosen_before_all_have_answered_or_had_their_time() {
    let mut pool = Pool::new("a b c");
    pool.says("a", writer("a"));
    pool.says("b", replica("b", Some(0)));
    assert_eq!((pool.primary(), pool.noted()), (None, vec![]));
    pool.fails("c");
    pool.fails("c");
    assert_eq!(pool.primary(), None);
    pool.fails("c");
    assert_eq!(pool.primary().as_deref(), Some("a"));
    assert_eq!(pool.noted(), [silent("c"), Note::Promoted { from: None, to: "a".into() }]);
}

#[test]
fn a_server_of_which_nothing_is_heard_does_not_keep_the_pool_waiting() {
    let mut pool = Pool::new("a b");
    pool.wait(2000);
    pool.says("a", writer("a"));
    assert_eq!(pool.primary(), None);
    assert_eq!(pool.roles.next_deadline(pool.now), Some(pool.now + Duration::from_millis(1500)));
    pool.wait(1500);
    assert_eq!(pool.primary().as_deref(), Some("a"));
}

#[test]
fn a_server_that_was_replaced_at_the_start_is_waited_for() {
    let mut pool = Pool::new("a b");
    pool.says("a", writer("former"));
    pool.says("a", writer("a"));
    pool.says("b", writer("b"));
    assert_eq!((pool.primary(), pool.noted()), (None, vec![]));
    pool.says("a", writer("a"));
    assert_eq!((pool.primary(), pool.noted()), (None, vec![two(None, "a b")]));
}

#[test]
fn a_monitor_that_starts_before_two_writers_believes_neither() {
    let mut pool = Pool::new("a b");
    pool.says("a", writer("a"));
    pool.says("b", writer("b"));
    assert_eq!(pool.primary(), None);
    assert_eq!(pool.noted(), [two(None, "a b")]);
    assert_eq!(pool.closed(Role::Primary), ["a", "b"]);
    pool.wait(1000);
    pool.says("a", writer("a"));
    pool.says("b", replica("b", Some(0)));
    assert_eq!(pool.primary().as_deref(), Some("a"));
    assert_eq!(pool.noted(), [Note::Promoted { from: None, to: "a".into() }]);
}

#[test]
fn another_server_at_the_same_address_is_not_the_primary_that_was_there() {
    let mut pool = Pool::running("a b");
    pool.wait(1000);
    pool.says("a", writer("restored"));
    assert_eq!(pool.primary(), None);
    let why = Loss::Replaced;
    assert_eq!(pool.noted(), [Note::PrimaryLost { server: "a".into(), why }]);
    assert_eq!(pool.closed(Role::Primary), ["a", "b"]);
    assert_eq!(pool.closed(Role::Replica), ["a"]);
    // Its predecessor's sessions have ended, and there is no other writer.
    pool.says("a", writer("restored"));
    assert_eq!(pool.primary().as_deref(), Some("a"));
    assert_eq!(pool.noted(), [promoted("a", "a")]);
    assert_eq!(pool.closed(Role::Primary), ["b"]);
}

#[test]
fn beside_a_writer_a_replaced_primary_is_nobody() {
    let mut pool = Pool::running("a b");
    pool.says("b", writer("b"));
    pool.says("a", writer("restored"));
    assert_eq!(pool.primary().as_deref(), Some("b"));
    pool.wait(1);
    pool.says("a", writer("restored"));
    assert_eq!(pool.primary().as_deref(), Some("b"));
}

#[test]
fn who_may_not_be_written_to_is_no_primary() {
    let broken = Replication { running: true, lag: None };
    let stopped = Replication { running: false, lag: None };
    let cases = [
        (Said { super_read_only: None, ..writer("a") }, true),
        (Said { replication: Some(stopped), ..writer("a") }, true),
        (Said { read_only: true, super_read_only: None, ..writer("a") }, false),
        (Said { super_read_only: Some(true), ..writer("a") }, false),
        (Said { replication: Some(broken), ..writer("a") }, false),
    ];
    for (said, writes) in cases {
        let mut pool = Pool::new("a");
        pool.says("a", said.clone());
        assert_eq!(pool.primary().is_some(), writes, "{said:?}");
    }
}

#[test]
fn a_reload_keeps_what_is_known_and_forgets_who_is_removed() {
    let mut pool = Pool::running("a b");
    pool.notes.extend(pool.roles.configure(settings(), &names("a b c"), pool.now));
    assert_eq!((pool.primary().as_deref(), pool.noted()), (Some("a"), vec![]));
    pool.notes.extend(pool.roles.configure(settings(), &names("b c"), pool.now));
    let why = Loss::Removed;
    assert_eq!(pool.noted(), [Note::PrimaryLost { server: "a".into(), why }]);
    pool.says("a", writer("a"));
    assert_eq!((pool.primary(), pool.noted()), (None, vec![]));
}

/// A pool that goes on from this primary.
fn resumed(server: &str, identity: &str) -> Pool {
    let mut pool = Pool::new("a b");
    let identity = Identity::of_mysql(identity);
    let past = Past { server: server.into(), identity };
    pool.roles.resume(past.clone(), pool.now);
    assert_eq!(pool.roles.past(), Some(past));
    pool
}

#[test]
fn of_two_writers_the_next_process_keeps_the_known_one_whoever_answers_first() {
    for first_is_known in [true, false] {
        let mut pool = resumed("a", "a");
        if first_is_known {
            pool.says("a", writer("a"));
            assert_eq!(pool.primary().as_deref(), Some("a"), "it need not wait for the other");
            pool.says("b", writer("b"));
        } else {
            pool.says("b", writer("b"));
            assert_eq!(pool.primary(), None);
            pool.says("a", writer("a"));
        }
        assert_eq!(pool.primary().as_deref(), Some("a"));
        assert_eq!(pool.noted(), [two(Some("a"), "b")], "nothing else has happened");
        assert_eq!(pool.closed(Role::Primary), ["b"]);
    }
}

#[test]
fn a_primary_of_the_past_that_is_none_any_more_is_followed_by_another() {
    let mut pool = resumed("a", "a");
    pool.says("b", writer("b"));
    pool.says("a", replica("a", Some(0)));
    assert_eq!(pool.primary().as_deref(), Some("b"));
    assert_eq!(pool.noted(), [promoted("a", "b")]);
    let identity = Identity::of_mysql("b");
    assert_eq!(pool.roles.past(), Some(Past { server: "b".into(), identity }));
    // It is dead.
    let mut pool = resumed("a", "a");
    pool.says("b", writer("b"));
    pool.fails("a");
    pool.fails("a");
    assert_eq!(pool.primary(), None);
    pool.fails("a");
    assert_eq!(pool.primary().as_deref(), Some("b"));
    // Another server has its address.
    let mut pool = resumed("a", "former");
    pool.says("a", writer("a"));
    assert_eq!(pool.primary(), None);
    pool.says("b", writer("b"));
    assert_eq!((pool.primary(), pool.noted()), (None, vec![two(None, "a b")]));
}

#[test]
fn mariadb_servers_are_told_apart_by_id_host_and_port() {
    let of = Identity::of_mariadb;
    assert_eq!(of(1, "db-1", 3306), of(1, "db-1", 3306));
    for other in [of(2, "db-1", 3306), of(1, "db-2", 3306), of(1, "db-1", 3307)] {
        assert_ne!(of(1, "db-1", 3306), other);
    }
}
