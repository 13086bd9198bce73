//! Who gets a session, who waits, and what a failure of a backend does.

use std::{
    collections::BTreeSet,
    io::{Read, Write},
};

use lb_userspace::{
    config::{
        Admin,
        proxy::{Balance, Eject, OnDown},
    },
    proxy::{End, Stage, State},
};

use crate::site::{
    PATIENCE, SHORT, Site, assert_reset, assert_talks, greeter, nobody, read, serve, silent, until,
};

const DOWN: State = State { up: false, parts: 10, eligible: true, close: false };
const UP: State = State { up: true, ..DOWN };

#[test]
fn every_way_of_balancing_reaches_all_backends() {
    for balance in
        [Balance::RoundRobin, Balance::LeastConnections, Balance::RandomTwo, Balance::Hash]
    {
        let backends = [greeter("a"), greeter("b"), greeter("c")];
        let site = Site::new(&backends, |settings| settings.balance = balance);
        let names: BTreeSet<String> = (0..60).map(|_| site.greeted().1).collect();
        assert_eq!(names.len(), 3, "{balance:?}");
    }
    let site = Site::new(&[greeter("a"), greeter("b")], |it| it.balance = Balance::Source);
    let names: BTreeSet<String> = (0..20).map(|_| site.greeted().1).collect();
    assert_eq!(names.len(), 1, "a source has one backend");
}

#[test]
fn another_backend_is_tried_where_one_cannot_be_connected_to() {
    let (none, _guard) = nobody();
    let site = Site::new(&[none, greeter("b")], |_| {});
    for _ in 0..10 {
        assert_eq!(site.greeted().1, "b");
    }
    let report = site.report();
    assert_eq!(report.totals.connect_errors, report.totals.redispatches);
    assert!(report.totals.redispatches >= 5);
    assert_eq!(report.backends[0].totals.sessions, 0);
}

#[test]
fn a_session_that_no_backend_takes_is_reset() {
    let ((one, _first), (other, _second)) = (nobody(), nobody());
    let site = Site::new(&[one, other], |_| {});
    assert_reset(&mut site.connect());
    site.expect_ends(End::ConnectFailed, 1);
    assert_eq!(site.report().totals.connect_errors, 2);
}

#[test]
fn a_backend_that_fails_again_and_again_is_passed_over() {
    let (none, _guard) = nobody();
    let site = Site::new(&[none, greeter("b")], |settings| {
        settings.eject = Eject { failures: 2, hold: PATIENCE, max_hold: PATIENCE };
    });
    for _ in 0..20 {
        assert_eq!(site.greeted().1, "b");
    }
    let report = site.report();
    assert_eq!((report.totals.connect_errors, report.totals.ejections), (2, 1));
    assert!(report.backends[0].ejected);
}

#[test]
fn a_full_backend_gets_the_next_when_one_leaves() {
    let site = Site::new(&[greeter("a")], |it| it.backends[0].max_connections = Some(2));
    let (first, _) = site.greeted();
    let (_second, _) = site.greeted();
    let mut third = site.connect();
    until("the third waits", || site.report().waiting == 1);
    assert!(site.engine.sessions().iter().any(|it| it.stage == Stage::Waiting));
    drop(first);
    assert_eq!(read(&mut third, 1), "a");
    let report = site.report();
    assert_eq!((report.waiting, report.waiting_max, report.totals.queued), (0, 1, 1));
    assert_eq!(report.backends[0].totals.sessions_max, 2);
}

#[test]
fn the_line_has_an_end_and_an_hour() {
    let site = Site::new(&[greeter("a")], |it| {
        it.backends[0].max_connections = Some(1);
        it.queue.length = 1;
        it.queue.timeout = SHORT;
    });
    let (_first, _) = site.greeted();
    let mut late = site.connect();
    until("one waits", || site.report().waiting == 1 || site.ended(End::QueueTimeout) == 1);
    let mut refused = site.connect();
    assert_reset(&mut late);
    assert_reset(&mut refused);
    until("both have ended", || site.engine.load() == 1);
    assert!(site.ended(End::QueueTimeout) >= 1);
    assert_eq!(site.ended(End::QueueTimeout) + site.ended(End::QueueFull), 2);
    assert_eq!(site.report().waiting, 0);
}

#[test]
fn who_leaves_the_line_is_forgotten() {
    let site = Site::new(&[greeter("a")], |it| it.backends[0].max_connections = Some(1));
    let (first, _) = site.greeted();
    let gone = site.connect();
    until("one waits", || site.report().waiting == 1);
    crate::site::reset(gone);
    until("nobody waits", || site.report().waiting == 0);
    drop(first);
    assert_eq!(site.greeted().1, "a");
    assert_eq!(site.ended(End::ClientReset), 1);
}

#[test]
fn new_sessions_are_held_until_a_backend_is_eligible() {
    let mut site = Site::new(&[greeter("a"), greeter("b")], |_| {});
    site.change(|order| {
        order.hold = Some(PATIENCE);
        for name in ["a", "b"] {
            let _known = order.states.insert(name.into(), State { eligible: false, ..UP });
        }
    });
    let mut clients: Vec<_> = (0..5).map(|_| site.connect()).collect();
    until("all wait", || site.report().waiting == 5);
    site.set("b", UP);
    for client in &mut clients {
        assert_eq!(read(client, 1), "b");
        assert_talks(client);
    }
}

#[test]
fn a_hold_ends() {
    let mut site = Site::new(&[greeter("a")], |_| {});
    site.set("a", DOWN);
    assert_reset(&mut site.connect());
    site.change(|order| order.hold = Some(SHORT));
    assert_reset(&mut site.connect());
    site.expect_ends(End::NoBackend, 2);
}

#[test]
fn backups_serve_while_nobody_else_can() {
    let mut site = Site::new(&[greeter("a"), greeter("b")], |it| it.backends[1].backup = true);
    assert!((0..6).all(|_| site.greeted().1 == "a"));
    site.set("a", DOWN);
    assert!((0..6).all(|_| site.greeted().1 == "b"));
    site.set("a", UP);
    assert!((0..6).all(|_| site.greeted().1 == "a"));
}

#[test]
fn the_sessions_of_a_backend_that_goes_down_are_kept_or_reset() {
    for (on_down, is_kept) in [(OnDown::Keep, true), (OnDown::Close, false)] {
        let mut site = Site::new(&[greeter("a"), greeter("b")], |it| it.on_down = on_down);
        let mut clients: Vec<_> = (0..10).map(|_| site.greeted()).collect();
        site.set("a", DOWN);
        for (client, name) in &mut clients {
            if is_kept || name == "b" {
                assert_talks(client);
            } else {
                assert_reset(client);
            }
        }
        assert_eq!(site.ended(End::BackendDown), if is_kept { 0 } else { 5 });
        assert!((0..4).all(|_| site.greeted().1 == "b"));
    }
}

#[test]
fn the_host_can_close_the_sessions_of_a_backend() {
    let mut site = Site::new(&[greeter("a"), greeter("b")], |_| {});
    let mut clients: Vec<_> = (0..4).map(|_| site.greeted()).collect();
    site.set("b", State { close: true, ..UP });
    for (client, name) in &mut clients {
        if name == "a" { assert_talks(client) } else { assert_reset(client) }
    }
    assert_eq!(site.ended(End::Withdrawn), 2);
}

#[test]
fn who_only_connects_to_a_closed_backend_gets_another_one() {
    let (silent, _guards) = silent();
    let mut site = Site::new(&[silent, greeter("b")], |_| {});
    let mut client = site.connect();
    until("it connects", || site.report().backends[0].totals.sessions == 1);
    site.set("a", State { close: true, ..UP });
    assert_eq!(read(&mut client, 1), "b");
    assert_talks(&mut client);
    let report = site.report();
    assert_eq!((report.totals.redispatches, report.totals.connect_errors), (1, 0));
    assert_eq!((report.backends[0].totals.sessions, site.ended(End::Withdrawn)), (0, 0));
}

#[test]
fn backends_see_the_source_address_of_their_family() {
    let backend = serve(|mut client| {
        let source = client.peer_addr()?.ip();
        client.write_all(source.to_string().as_bytes())
    });
    let site = Site::new(&[backend], |settings| {
        settings.sockets.source = vec!["::1".parse().unwrap(), "127.0.0.9".parse().unwrap()];
    });
    let mut said = String::new();
    let _read = site.connect().read_to_string(&mut said).unwrap();
    assert_eq!(said, "127.0.0.9");
}

#[test]
fn a_source_address_of_another_machine_is_not_the_backend_s_fault() {
    let site = Site::new(&[greeter("a")], |settings| {
        settings.sockets.source = vec!["192.0.2.1".parse().unwrap()];
        settings.eject.failures = 1;
    });
    assert_reset(&mut site.connect());
    site.expect_ends(End::ConnectFailed, 1);
    let report = site.report();
    assert_eq!((report.totals.connect_errors, report.totals.ejections), (1, 0));
}

#[test]
fn a_draining_backend_keeps_its_sessions_and_gets_none() {
    let mut site = Site::new(&[greeter("a"), greeter("b")], |_| {});
    let mut clients: Vec<_> = (0..4).map(|_| site.greeted().0).collect();
    site.change(|order| order.settings.backends[0].admin = Admin::DRAIN);
    assert!((0..6).all(|_| site.greeted().1 == "b"));
    clients.iter_mut().for_each(assert_talks);
}

#[test]
fn a_backend_that_does_not_answer_is_given_up_in_time() {
    let (silent, _guards) = silent();
    let site = Site::new(&[silent, greeter("b")], |it| it.timeouts.connect = SHORT);
    for _ in 0..2 {
        assert_eq!(site.greeted().1, "b");
    }
    assert_eq!(site.report().backends[0].totals.connect_errors, 1);
}

#[test]
fn clients_beyond_the_limit_wait_in_the_backlog() {
    let mut site = Site::new(&[greeter("a")], |it| it.max_connections = 2);
    let (first, _) = site.greeted();
    let (_second, _) = site.greeted();
    let mut third = site.connect();
    third.set_read_timeout(Some(SHORT)).unwrap();
    assert!(third.read(&mut [0; 1]).is_err(), "nobody serves it yet");
    assert_eq!(site.report().totals.sessions, 2);
    third.set_read_timeout(Some(PATIENCE)).unwrap();
    drop(first);
    assert_eq!(read(&mut third, 1), "a");
    let mut fourth = site.connect();
    site.change(|order| order.settings.max_connections = 3);
    assert_eq!(read(&mut fourth, 1), "a");
}

#[test]
fn an_order_that_changes_nothing_leaves_the_turns_alone() {
    let mut site = Site::new(&[greeter("a"), greeter("b")], |_| {});
    let names: Vec<String> = (0..6)
        .map(|_| {
            site.change(|_| {});
            site.greeted().1
        })
        .collect();
    assert_eq!(names, ["a", "b", "a", "b", "a", "b"]);
}
