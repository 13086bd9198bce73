//! A process that runs out of descriptors, which must be one of its own.

use std::{process::Command, thread};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::site::{SHORT, Site, assert_talks, greeter, read, until};

#[test]
fn clients_wait_while_there_are_no_descriptors() {
    let this = std::env::current_exe().unwrap();
    let words = ["--exact", "descriptors::in_a_process_of_its_own", "--ignored", "--nocapture"];
    let status = Command::new(this).args(words).status().unwrap();
    assert!(status.success());
}

#[test]
#[ignore = "limits its whole process: `clients_wait_while_there_are_no_descriptors` runs it"]
fn in_a_process_of_its_own() {
    let site = Site::new(&[greeter("a")], |_| {});
    let (first, _) = site.greeted();
    let before = getrlimit(Resource::Nofile);
    // The next descriptors are those of the clients, which are made before nothing is left.
    let clients: Vec<_> = (0..3)
        .map(|_| socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap())
        .collect();
    let used = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
    setrlimit(Resource::Nofile, Rlimit { current: Some(used - 1), ..before }).unwrap();
    for client in &clients {
        client.connect(&site.at.into()).unwrap();
    }
    thread::sleep(SHORT);
    assert_eq!(site.report().totals.sessions, 1, "the others wait");
    setrlimit(Resource::Nofile, before).unwrap();
    for client in clients {
        let mut client = std::net::TcpStream::from(client);
        assert_eq!(read(&mut client, 1), "a");
        assert_talks(&mut client);
    }
    drop(first);
    until("all have ended", || site.engine.load() == 0);
}
