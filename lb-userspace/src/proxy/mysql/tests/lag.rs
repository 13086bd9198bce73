//! Who is read from.

use super::*;

#[test]
fn replicas_are_judged_by_their_lag_and_the_primary_is_not() {
    let mut pool = Pool::running("a b");
    pool.says("b", replica("b", Some(11)));
    let lag = Duration::from_secs(11);
    assert_eq!(pool.noted(), [Note::Lagging { server: "b".into(), lag }]);
    assert_eq!((pool.readable(), pool.closed(Role::Replica)), (vec![], vec![]));
    pool.says("b", replica("b", Some(6)));
    assert_eq!(pool.readable(), [""; 0]);
    pool.says("b", replica("b", Some(5)));
    assert_eq!(pool.readable(), ["b"]);
    pool.says("b", replica("b", Some(61)));
    assert_eq!(pool.closed(Role::Replica), ["b"]);
    let _: Vec<Note> = pool.noted();
    pool.says("b", replica("b", None));
    assert_eq!(pool.noted(), [Note::NotReplicating { server: "b".into() }]);
    assert_eq!(pool.closed(Role::Replica), ["b"]);
    let left = Replication { running: false, lag: Some(Duration::from_secs(1000)) };
    pool.says("a", Said { replication: Some(left), ..writer("a") });
    assert_eq!(pool.primary().as_deref(), Some("a"));
}

#[test]
fn the_primary_serves_reads_only_while_no_replica_does() {
    let mut pool = Pool::with(Mysql { fallback: true, ..settings() }, "a b");
    pool.says("a", writer("a"));
    pool.says("b", replica("b", Some(0)));
    assert_eq!(pool.readable(), ["b"]);
    pool.says("b", replica("b", Some(11)));
    assert_eq!(pool.readable(), ["a"]);
    assert_eq!(pool.closed(Role::Replica), [""; 0]);
    pool.says("a", replica("a", None));
    assert_eq!(pool.readable(), [""; 0]);
    assert_eq!(pool.view(Role::Replica).hold, Some(WAIT));
    pool.says("b", replica("b", Some(0)));
    assert_eq!((pool.readable(), pool.view(Role::Replica).hold), (vec!["b".into()], None));
}
