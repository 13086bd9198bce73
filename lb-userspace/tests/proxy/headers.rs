//! The PROXY protocol, in and out.

use std::{
    io::{Read, Write},
    net::SocketAddr,
};

use lb_common::route::Prefix;
use lb_userspace::{
    config::proxy::{AcceptProxy, HeaderVersion, Place, Proxy},
    proxy::{
        End,
        header::{self, Ends},
    },
};

use crate::site::{PATIENCE, SHORT, Site, assert_reset, assert_talks, greeter, read, serve};

fn accept(network: &str) -> impl Fn(&mut Proxy) {
    let prefix = Prefix::new(network.parse().unwrap(), 24).unwrap();
    move |settings| {
        settings.accept_proxy = Some(AcceptProxy { from: vec![prefix], timeout: PATIENCE });
    }
}

/// A backend that reads a header and the word behind it, and says what they say.
fn interpreter() -> Place {
    serve(|mut client| {
        let mut bytes = Vec::new();
        let received = loop {
            let mut byte = [0];
            client.read_exact(&mut byte)?;
            bytes.extend(byte);
            if let Some(received) = header::read(&bytes).unwrap() {
                break received;
            }
        };
        let said = received.ends.map(|ends| format!("{} {}", ends.source, ends.destination));
        let word = read(&mut client, 4);
        client.write_all(format!("{} {word}", said.unwrap_or_default()).as_bytes())
    })
}

#[test]
fn what_a_client_says_of_itself_is_passed_on() {
    let ends = Ends {
        source: "192.0.2.7:1234".parse().unwrap(),
        destination: "198.51.100.2:443".parse().unwrap(),
    };
    for (came, sent) in
        [(HeaderVersion::V1, HeaderVersion::V2), (HeaderVersion::V2, HeaderVersion::V1)]
    {
        let site = Site::new(&[interpreter()], |settings| {
            accept("127.0.0.0")(settings);
            settings.send_proxy = Some(sent);
        });
        let mut client = site.connect();
        // In pieces, the last of which has the client's own word too.
        let bytes = [header::proxied(came, Some(ends)), b"word".to_vec()].concat();
        let (early, late) = bytes.split_at(9);
        client.write_all(early).unwrap();
        crate::site::until("it is being read", || site.engine.load() == 1);
        client.write_all(late).unwrap();
        let mut answer = String::new();
        let _read = client.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "192.0.2.7:1234 198.51.100.2:443 word");
        assert_eq!(site.report().totals.bytes_in, 4, "the header is not the client's");
    }
}

#[test]
fn a_backend_is_told_who_the_client_is() {
    for version in [HeaderVersion::V1, HeaderVersion::V2] {
        let site = Site::new(&[interpreter()], |it| it.send_proxy = Some(version));
        let mut client = site.connect();
        client.write_all(b"word").unwrap();
        let own: SocketAddr = client.local_addr().unwrap();
        let mut answer = String::new();
        let _read = client.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, format!("{own} {} word", site.at));
    }
}

#[test]
fn a_client_from_elsewhere_must_not_send_one() {
    let site = Site::new(&[greeter("a")], accept("192.0.2.0"));
    let (mut client, _) = site.greeted();
    let header = header::local(HeaderVersion::V1);
    client.write_all(&header).unwrap();
    assert_eq!(read(&mut client, header.len()), "PROXY UNKNOWN\r\n", "to us it is just bytes");
}

#[test]
fn nothing_counts_before_the_header() {
    let site = Site::new(&[greeter("a")], accept("127.0.0.0"));
    let mut client = site.connect();
    client.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    assert_reset(&mut client);
    let client = site.connect();
    drop(client);
    site.expect_ends(End::BadHeader, 2);
    assert_eq!(site.report().backends[0].totals.sessions_total, 0);
}

#[test]
fn a_header_must_be_whole_in_time() {
    let site = Site::new(&[greeter("a")], |settings| {
        accept("127.0.0.0")(settings);
        if let Some(rules) = &mut settings.accept_proxy {
            rules.timeout = SHORT;
        }
    });
    let mut client = site.connect();
    client.write_all(b"PROXY TCP4 192").unwrap();
    assert_reset(&mut client);
    site.expect_ends(End::HeaderTimeout, 1);
}

#[test]
fn a_header_that_says_nothing_leaves_the_connection_s_own_addresses() {
    for version in [HeaderVersion::V1, HeaderVersion::V2] {
        let site = Site::new(&[greeter("a")], accept("127.0.0.0"));
        let mut client = site.connect();
        client.write_all(&header::local(version)).unwrap();
        assert_eq!(read(&mut client, 1), "a");
        assert_talks(&mut client);
        let view = site.engine.sessions().remove(0);
        assert_eq!(view.client, Some(client.local_addr().unwrap()));
    }
}
