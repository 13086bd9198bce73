//! Reconfiguration, draining, and the hand-over to the next process.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use lb_userspace::{
    config::proxy::{OnDown, Place},
    proxy::{Engine, EngineError},
};

use crate::site::{
    PATIENCE, SHORT, Site, assert_reset, assert_talks, connect, greeter, read, until,
};

/// An address where nobody listened a moment ago.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn reconfiguration_leaves_sessions_alone() {
    let mut site = Site::new(&[greeter("a"), greeter("b")], |_| {});
    let mut clients: Vec<_> = (0..4).map(|_| site.greeted().0).collect();
    let (second, third) = (free(), greeter("c"));
    site.change(|order| {
        let gone = order.settings.backends.remove(0);
        order.settings.listen.push(Place::Tcp(second));
        order.settings.backends[0].weight = 7;
        order.settings.backends.push(lb_userspace::config::proxy::Backend {
            name: "c".into(),
            address: third,
            ..gone
        });
    });
    let names: Vec<String> = (0..8)
        .map(|at| {
            let at = if at % 2 == 0 { site.at } else { second };
            read(&mut connect(at), 1)
        })
        .collect();
    assert_eq!(names.iter().filter(|it| *it == "b").count(), 7, "{names:?}");
    clients.iter_mut().for_each(assert_talks);

    site.change(|order| drop(order.settings.listen.remove(0)));
    until("the first place is closed", || TcpStream::connect(site.at).is_err());
    clients.iter_mut().for_each(assert_talks);
    assert_talks(&mut {
        let mut it = connect(second);
        let _name = read(&mut it, 1);
        it
    });
}

#[test]
fn a_removed_backend_s_sessions_follow_on_down() {
    let mut site = Site::new(&[greeter("a"), greeter("b")], |it| it.on_down = OnDown::Close);
    let mut clients: Vec<_> = (0..4).map(|_| site.greeted()).collect();
    site.change(|order| drop(order.settings.backends.remove(0)));
    for (client, name) in &mut clients {
        if name == "a" { assert_reset(client) } else { assert_talks(client) }
    }
}

#[test]
fn what_cannot_be_listened_at_changes_nothing() {
    let mut site = Site::new(&[greeter("a")], |_| {});
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = Place::Tcp(taken.local_addr().unwrap());
    let mut order = site.order.clone();
    order.settings.listen = vec![place.clone()];
    let error = site.engine.configure(&[order], Vec::new()).unwrap_err();
    assert!(matches!(&error, EngineError::Listen { place: it, .. } if *it == place), "{error}");
    assert_eq!(site.greeted().1, "a");
}

#[test]
fn a_drain_refuses_the_new_and_waits_for_the_old() {
    let mut site = Site::new(&[greeter("a")], |_| {});
    let (mut done, _) = site.greeted();
    let (mut slow, _) = site.greeted();
    site.engine.drain(Instant::now() + SHORT * 5);
    until("nobody is accepted", || {
        TcpStream::connect(site.at).is_err_and(|it| it.kind() == ErrorKind::ConnectionRefused)
    });
    assert_talks(&mut done);
    drop(done);
    assert_talks(&mut slow);
    let end = thread::spawn(move || site.engine.finish());
    assert_reset(&mut slow);
    end.join().unwrap();
}

#[test]
fn sockets_that_are_handed_over_refuse_nobody() {
    let mut site = Site::new(&[greeter("a")], |_| {});
    // On a place of its own there is a socket for each thread.
    let at = free();
    site.change(|order| order.settings.listen = vec![Place::Tcp(at)]);
    let (mut old, stop) = (connect(at), Arc::new(AtomicBool::new(false)));
    let _name = read(&mut old, 1);
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                let mut count = 0;
                while !stop.load(SeqCst) {
                    let mut client = connect(at);
                    client.write_all(b"x").unwrap();
                    assert_eq!(read(&mut client, 2), "ax");
                    count += 1;
                }
                count
            })
        })
        .collect();
    for _ in 0..5 {
        let taken = site.engine.listeners().unwrap();
        assert_eq!(taken.len(), 2);
        let mut next = Engine::start(2, [7; 16]).unwrap();
        next.configure(std::slice::from_ref(&site.order), taken).unwrap();
        let mut before = std::mem::replace(&mut site.engine, next);
        before.drain(Instant::now() + PATIENCE);
        until("the next one serves", || site.report().totals.sessions_total > 20);
        assert_talks(&mut old);
        drop(thread::spawn(move || before.finish()));
    }
    stop.store(true, SeqCst);
    let count: u32 = clients.into_iter().map(|client| client.join().unwrap()).sum();
    assert!(count >= 100, "{count}");
}

#[test]
fn few_sessions_are_spread_over_the_threads() {
    let site = Site::new(&[greeter("a")], |_| {});
    // One socket was taken over, so that one thread accepts them all.
    let mut clients: Vec<_> = (0..8).map(|_| site.greeted().0).collect();
    clients.iter_mut().for_each(assert_talks);
    let on_first = site.engine.sessions().iter().filter(|it| is_even(&it.id.to_string())).count();
    assert_eq!(on_first, 4);
}

/// A session's number is a multiple of 256, and its thread's position.
fn is_even(id: &str) -> bool {
    id.parse::<u64>().unwrap() % 2 == 0
}

#[test]
fn a_socket_s_file_comes_and_goes_with_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    // What a process that was killed has left behind is in nobody's way.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let mut site = Site::new(&[greeter("a")], |it| it.listen.push(Place::Unix(path.clone())));
    let mut client = std::os::unix::net::UnixStream::connect(&path).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut name = [0];
    client.read_exact(&mut name).unwrap();
    site.change(|order| drop(order.settings.listen.pop()));
    assert!(!path.exists());
    assert_talks(&mut client);
}
