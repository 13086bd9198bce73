//! What goes in comes out, and how it ends is passed on.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    os::unix::net::{UnixListener, UnixStream},
    thread,
};

use lb_userspace::{config::proxy::Place, proxy::End};

use crate::site::{Site, assert_reset, read, reset, serve, until};

const LENGTH: usize = 8 << 20;

/// Bytes that differ from place to place, and from seed to seed.
fn bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bytes = vec![0; length];
    random.fill(&mut bytes);
    bytes
}

/// Writes bytes in pieces of random lengths, and ends.
fn send(mut to: TcpStream, bytes: &[u8], seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut rest = bytes;
    while !rest.is_empty() {
        let length = if random.bool() { random.usize(1..100) } else { random.usize(1..400_000) };
        let (piece, behind) = rest.split_at(length.min(rest.len()));
        to.write_all(piece).unwrap();
        rest = behind;
    }
    to.shutdown(Shutdown::Write).unwrap();
}

#[test]
fn bytes_arrive_as_they_were_both_ways_at_once() {
    let backend = serve(|mut client| {
        let back = client.try_clone()?;
        let writer = thread::spawn(move || send(back, &bytes(2, LENGTH), 2));
        let mut got = Vec::new();
        let _read = client.read_to_end(&mut got)?;
        assert!(got == bytes(1, LENGTH), "the backend got other bytes");
        writer.join().unwrap();
        Ok(())
    });
    let site = Site::new(&[backend], |_| {});
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let mut client = site.connect();
            thread::spawn(move || {
                let there = client.try_clone().unwrap();
                let writer = thread::spawn(move || send(there, &bytes(1, LENGTH), 3));
                let mut got = Vec::new();
                let _read = client.read_to_end(&mut got).unwrap();
                writer.join().unwrap();
                assert!(got == bytes(2, LENGTH), "the client got other bytes");
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
    until("all have ended", || site.engine.load() == 0);
    let totals = site.report().totals;
    assert_eq!((totals.bytes_in, totals.bytes_out), (4 * LENGTH as u64, 4 * LENGTH as u64));
    assert_eq!(site.ended(End::ClientClosed) + site.ended(End::BackendClosed), 4);
}

#[test]
fn a_client_that_has_ended_still_gets_an_answer() {
    let backend = serve(|mut client| {
        let mut heard = String::new();
        let _read = client.read_to_string(&mut heard)?;
        client.write_all(heard.to_uppercase().as_bytes())
    });
    let site = Site::new(&[backend], |_| {});
    let mut client = site.connect();
    client.write_all(b"question").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    let _read = client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "QUESTION");
    site.expect_ends(End::ClientClosed, 1);
}

#[test]
fn a_backend_that_has_ended_still_hears_its_client() {
    let (said, hears) = std::sync::mpsc::channel();
    let backend = serve(move |mut client| {
        client.write_all(b"bye")?;
        client.shutdown(Shutdown::Write)?;
        let mut heard = String::new();
        let _read = client.read_to_string(&mut heard)?;
        said.send(heard).unwrap();
        Ok(())
    });
    let site = Site::new(&[backend], |_| {});
    let mut client = site.connect();
    let mut farewell = String::new();
    let _read = client.read_to_string(&mut farewell).unwrap();
    assert_eq!(farewell, "bye");
    client.write_all(b"last words").unwrap();
    drop(client);
    assert_eq!(hears.recv().unwrap(), "last words");
    site.expect_ends(End::BackendClosed, 1);
}

#[test]
fn a_reset_of_the_client_is_one_for_the_backend() {
    let (said, hears) = std::sync::mpsc::channel();
    let backend = serve(move |mut client| {
        client.write_all(b"a")?;
        said.send(client.read(&mut [0; 8]).map_err(|error| error.kind())).unwrap();
        Ok(())
    });
    let site = Site::new(&[backend], |_| {});
    let (client, _) = site.greeted();
    reset(client);
    assert_eq!(hears.recv().unwrap(), Err(ErrorKind::ConnectionReset));
    site.expect_ends(End::ClientReset, 1);
}

#[test]
fn a_reset_of_the_backend_is_one_for_the_client() {
    let backend = serve(|mut client| {
        client.write_all(b"a")?;
        let _word = client.read(&mut [0; 8])?;
        reset(client);
        Ok(())
    });
    let site = Site::new(&[backend], |_| {});
    let (mut client, _) = site.greeted();
    client.write_all(b"x").unwrap();
    assert_reset(&mut client);
    site.expect_ends(End::BackendReset, 1);
}

#[test]
fn a_reset_comes_behind_the_bytes_before_it() {
    let backend = serve(|mut client| {
        let _word = client.read(&mut [0; 8])?;
        client.write_all(b"a part")?;
        reset(client);
        Ok(())
    });
    let site = Site::new(&[backend], |_| {});
    // Sometimes both are there when the first is read.
    for round in 1..=100 {
        let mut client = site.connect();
        client.write_all(b"x").unwrap();
        assert_eq!(read(&mut client, 6), "a part");
        assert_reset(&mut client);
        site.expect_ends(End::BackendReset, round);
    }
}

#[test]
fn a_stalled_reader_stops_its_writer_and_loses_nothing() {
    let (go, waits) = std::sync::mpsc::sync_channel(0);
    let waits = std::sync::Arc::new(std::sync::Mutex::new(waits));
    let backend = serve(move |mut client| {
        let () = waits.lock().unwrap().recv().unwrap();
        let mut got = Vec::new();
        let _read = client.read_to_end(&mut got)?;
        client.write_all(&got.len().to_be_bytes())
    });
    let site = Site::new(&[backend], |_| {});
    let mut client = site.connect();
    client.set_nonblocking(true).unwrap();
    let (mut sent, mut before) = (0, u64::MAX);
    // It is full when all that was taken in a while is what was taken before.
    until("nothing more is taken", || {
        loop {
            match client.write(&[b'x'; 1 << 12]) {
                Ok(taken) => sent += taken,
                Err(error) => break assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
        thread::sleep(crate::site::SHORT);
        let read = site.report().totals.bytes_in;
        std::mem::replace(&mut before, read) == read
    });
    assert!(sent < 64 << 20, "{sent} bytes were taken for a backend that reads nothing");
    go.send(()).unwrap();
    client.set_nonblocking(false).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut got = [0; 8];
    client.read_exact(&mut got).unwrap();
    assert_eq!(usize::from_be_bytes(got), sent);
}

#[test]
fn unix_sockets_on_both_sides() {
    let directory = tempfile::tempdir().unwrap();
    let [front, back] = ["front", "back"].map(|name| directory.path().join(name));
    let listener = UnixListener::bind(&back).unwrap();
    let server = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut heard = Vec::new();
        let _read = client.read_to_end(&mut heard).unwrap();
        client.write_all(&heard).unwrap();
    });
    let site = Site::new(&[Place::Unix(back)], |settings| {
        settings.listen.push(Place::Unix(front.clone()));
    });
    let mut client = UnixStream::connect(&front).unwrap();
    let said = bytes(5, 3 << 20);
    let mut there = client.try_clone().unwrap();
    let copy = said.clone();
    let writer = thread::spawn(move || {
        there.write_all(&copy).unwrap();
        there.shutdown(Shutdown::Write).unwrap();
    });
    let mut heard = Vec::new();
    let _read = client.read_to_end(&mut heard).unwrap();
    assert!(heard == said, "other bytes came back");
    writer.join().unwrap();
    server.join().unwrap();
    site.expect_ends(End::ClientClosed, 1);
}
