//! Sessions that somebody or some deadline ends.

use std::{io::Read, net::Shutdown, time::Instant};

use lb_userspace::proxy::{End, Stage};

use crate::site::{SHORT, Site, assert_reset, assert_talks, greeter, until};

#[test]
fn a_session_is_seen_and_killed() {
    let site = Site::new(&[greeter("a")], |_| {});
    let ((mut one, _), (mut other, _)) = (site.greeted(), site.greeted());
    assert_talks(&mut one);
    let views = site.engine.sessions();
    assert_eq!(views.len(), 2);
    let view = views.iter().find(|it| it.client == Some(one.local_addr().unwrap())).unwrap();
    assert_eq!((view.proxy.as_str(), view.backend.as_deref()), ("site", Some("a")));
    assert_eq!((view.bytes_in, view.bytes_out, view.stage), (5, 6, Stage::Open));
    assert!(site.engine.kill(view.id));
    assert_reset(&mut one);
    assert!(!site.engine.kill(view.id), "it is gone");
    assert_talks(&mut other);
    assert_eq!(site.ended(End::Killed), 1);
}

#[test]
fn each_timeout_ends_a_session_with_its_reason() {
    let site = Site::new(&[greeter("a")], |it| it.timeouts.client_idle = SHORT);
    assert_reset(&mut site.greeted().0);
    site.expect_ends(End::ClientIdle, 1);

    let site = Site::new(&[greeter("a")], |it| it.timeouts.backend_idle = SHORT);
    assert_reset(&mut site.greeted().0);
    site.expect_ends(End::BackendIdle, 1);

    let site = Site::new(&[greeter("a")], |it| it.timeouts.session = Some(SHORT));
    let (mut client, _) = site.greeted();
    assert_talks(&mut client);
    assert_reset(&mut client);
    site.expect_ends(End::Age, 1);
}

#[test]
fn a_half_closed_session_does_not_stay_for_ever() {
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Arc::new(std::sync::Mutex::new(held));
    let backend = crate::site::serve(move |_client| {
        // It keeps the connection until the test has ended.
        let _ended = held.lock().unwrap().recv();
        Ok(())
    });
    let site = Site::new(&[backend], |it| it.timeouts.half_closed = SHORT);
    let mut client = site.connect();
    client.shutdown(Shutdown::Write).unwrap();
    assert_reset(&mut client);
    site.expect_ends(End::HalfClosed, 1);
    drop(hold);
}

#[test]
fn activity_puts_the_idle_timeouts_off() {
    let site = Site::new(&[greeter("a")], |it| {
        (it.timeouts.client_idle, it.timeouts.backend_idle) = (SHORT * 5, SHORT * 5);
    });
    let (mut client, _) = site.greeted();
    let begin = Instant::now();
    until("it has lasted longer than the timeout", || {
        assert_talks(&mut client);
        begin.elapsed() > SHORT * 10
    });
    assert_reset(&mut client);
    assert_eq!(site.ended(End::ClientIdle) + site.ended(End::BackendIdle), 1);
}

#[test]
fn other_timeouts_hold_for_sessions_that_are_there() {
    let mut site = Site::new(&[greeter("a")], |_| {});
    let (mut client, _) = site.greeted();
    site.change(|order| order.settings.timeouts.client_idle = SHORT);
    assert_reset(&mut client);
    site.expect_ends(End::ClientIdle, 1);
}

#[test]
fn the_engine_s_end_resets_what_is_left() {
    let site = Site::new(&[greeter("a")], |_| {});
    let (mut client, _) = site.greeted();
    drop(site);
    assert_eq!(client.read(&mut [0; 8]).unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}
