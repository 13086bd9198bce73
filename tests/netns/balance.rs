//! Connections spread over the backends, and arrive whole.

use std::{
    collections::BTreeSet,
    process::{Command, Stdio},
};

use lb_tests::{
    netns::{End, Netns, veth},
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

#[test]
fn a_client_in_the_nodes_own_network_is_served() {
    let site = super::site();
    let node = super::node(&site);
    let neighbour = neighbour(&site);
    for vip in VIPS {
        let mut answering = BTreeSet::new();
        for _ in 0..50 {
            let answer = site.curl(&neighbour, &vip.url("/"), &["-f"]).unwrap();
            assert!(answer.status.success(), "{vip:?}: {answer:?}");
            let _: bool = answering.insert(answer.stdout);
        }
        assert_eq!(answering.len(), 3, "{vip:?}: {answering:?}");
    }
    super::assert_nothing_dropped(&node);
}

/// A machine beside the node, without the router between them.
fn neighbour(site: &Site) -> Netns {
    let neighbour = Netns::create(site.client.name().replace("client", "beside")).unwrap();
    let (netns, router) = (&neighbour, &site.router);
    veth(End { netns, name: "eth0" }, End { netns: router, name: "beside" }).unwrap();
    router.ip("link set beside master br0").unwrap();
    netns.checksum_in_software("eth0").unwrap();
    netns.ip("addr add 10.0.0.99/24 dev eth0").unwrap();
    netns.ip("addr add fd00:0:0:1::99/64 dev eth0 nodad").unwrap();
    neighbour
}
