//! Connections spread over the backends, and arrive whole.

use std::process::{Command, Stdio};

use lb_tests::{
    plan::VIPS,
    run::{command, run},
    site::Site,
};

#[test]
fn a_thousand_connections_spread_over_all_backends() {
    let site = super::site();
    let node = super::node(&site);
    for vip in VIPS {
        let answers = super::connections(&site, &vip.url("/"), 1000);
        println!("{}: {answers:?}", vip.service);
        assert_eq!(answers.len(), 3, "{vip:?}: {answers:?}");
        for (web, count) in &answers {
            // A third each; 15 connections are one standard deviation of chance.
            assert!((233..=433).contains(count), "{vip:?}: {web} got {answers:?}");
        }
    }
    // What the node counted: at least a SYN, an ACK, a request and a FIN a connection.
    for backend in node.backends().unwrap() {
        assert!(backend.traffic.packets >= 4 * 233, "{backend:?}");
        let replies = backend.traffic.reply_packets;
        assert_eq!(replies > 0, backend.service.starts_with("app"), "{backend:?}");
    }
    super::assert_nothing_dropped(&node);
}

#[test]
fn a_large_body_arrives_intact_through_every_vip() {
    let site = super::site();
    let _node = super::node(&site);
    let sent = run(command("sha256sum").arg(site.big())).unwrap();
    let sent = sent.split_whitespace().next().unwrap();
    for vip in VIPS {
        assert_eq!(received_sha256(&site, &vip.url("/big")), sent, "{vip:?}");
    }
}

/// The SHA-256 of what curl gets, as hexadecimal digits.
fn received_sha256(site: &Site, url: &str) -> String {
    let mut curl = site.client.command("curl");
    let _: &mut Command = curl.args(["-sS", "-g", "-f", "--max-time", "120", url]);
    let mut download = curl.stdout(Stdio::piped()).spawn().unwrap();
    let sum = run(command("sha256sum").stdin(download.stdout.take().unwrap())).unwrap();
    assert!(download.wait().unwrap().success(), "{url}");
    sum.split_whitespace().next().unwrap().to_owned()
}

#[test]
fn the_backend_sees_the_client() {
    let site = super::site();
    let _node = super::node(&site);
    for vip in VIPS {
        let seen = site.fetch(&vip.url("/client")).unwrap();
        let client = if vip.address.is_ipv4() { "192.0.2.2:" } else { "2001:db8:c::2:" };
        assert!(seen.starts_with(client), "{vip:?}: {seen}");
    }
}
