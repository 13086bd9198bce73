//! `lb explain` says what happens, and makes nothing happen.

use std::net::{IpAddr, SocketAddr};

use lb_tests::{node::Node, plan::VIPS};
use lb_userspace::api::explain::Explanation;

/// The client's connections to a VIP, each from a port of its own: one that was just closed cannot
/// be used at once.
const CONNECTIONS: usize = 6;

#[test]
fn the_explained_backend_is_the_one_that_answers() {
    let site = super::site();
    let node = super::node(&site);
    let mut ports = 41_000..;
    for vip in VIPS {
        for port in ports.by_ref().take(CONNECTIONS) {
            let (client, to) = (client(vip.address, port), vip.socket_address());
            let explanation = explain(&node, client, to, &["--syn"]);
            let port = port.to_string();
            let options = ["--local-port", &port, "-H", "Connection: close"];
            let answer = site.curl(&site.client, &vip.url("/"), &options).unwrap();
            let body = String::from_utf8_lossy(&answer.stdout);
            assert_eq!(backend(&explanation), body.trim(), "{answer:?}: {explanation:?}");
            assert_eq!(explanation.verdict, "transmitted");
            assert!(explanation.sent.is_some_and(|sent| sent != explanation.received));
        }
    }
}

#[test]
fn an_explanation_leaves_no_trace() {
    let site = super::site();
    let node = super::node(&site);
    let to = VIPS[0].socket_address();
    let on_web2 = flow_of(&node, "web2");
    let _: String = node.order(&["backend", "drain", "web2"]).unwrap();

    // A flow that is older than the drain belongs to web2, and a new one does not; asking twice
    // tells that the first answer was not remembered.
    for _ in 0..2 {
        let amid = explain(&node, on_web2, to, &[]);
        assert_eq!(backend(&amid), "web2", "{amid:?}");
        assert!(finding(&amid, "slot").starts_with("moving: new flows to web"), "{amid:?}");
        assert_eq!(finding(&amid, "memory"), "nothing is remembered of this flow");
        assert!(finding(&amid, "backend").ends_with("draining"), "{amid:?}");
        let opening = explain(&node, on_web2, to, &["--syn"]);
        assert_ne!(backend(&opening), "web2", "{opening:?}");
    }
    let service = node.services().unwrap().swap_remove(0);
    assert_eq!((service.memory.flows, service.memory.refused), (0, 0), "{service:?}");
    assert_eq!(service.traffic.packets, 0, "{service:?}");
    assert_eq!(node.stats().unwrap().verdicts["transmitted"], 0);
}

#[test]
fn what_is_for_nobody_is_explained_too() {
    let site = super::site();
    let denied = "\n[firewall]\ndeny = [\"192.0.2.0/24\"]\n";
    let node = site.start_node(&(site.config() + denied)).unwrap();
    node.wait_until_ready().unwrap();
    let (v4, v6) = (VIPS[0].address, VIPS[1].address);
    let refused = explain(&node, client(v4, 41_000), SocketAddr::new(v4, 80), &["--syn"]);
    assert_eq!(refused.verdict, "denied");
    assert_eq!(finding(&refused, "firewall"), "192.0.2.0/24 is denied");
    let none = explain(&node, client(v6, 41_000), SocketAddr::new(v6, 81), &[]);
    assert_eq!((none.verdict.as_str(), none.sent), ("no-service", None));
    let mixed = node.cli(&["explain", "tcp", "192.0.2.2:1", "[2001:db8::1]:2"]).unwrap();
    let complaint = String::from_utf8(mixed.stderr).unwrap();
    assert!(complaint.contains("of different families"), "{complaint}");
    assert_eq!(mixed.status.code(), Some(1));
}

fn client(of: IpAddr, port: u16) -> SocketAddr {
    let address = if of.is_ipv4() { "192.0.2.2" } else { "2001:db8:c::2" };
    SocketAddr::new(address.parse().unwrap(), port)
}

fn explain(node: &Node<'_>, from: SocketAddr, to: SocketAddr, more: &[&str]) -> Explanation {
    let ends = [from, to].map(|end| end.to_string());
    let arguments = [&["explain", "tcp", ends[0].as_str(), ends[1].as_str()], more].concat();
    node.ask(&arguments).unwrap()
}

/// A client's end whose flow goes to a backend.
fn flow_of(node: &Node<'_>, name: &str) -> SocketAddr {
    let to = VIPS[0].socket_address();
    let mut ends = (41_000..).map(|port| client(to.ip(), port));
    ends.find(|end| backend(&explain(node, *end, to, &[])) == name).unwrap()
}

fn finding<'a>(explanation: &'a Explanation, stage: &str) -> &'a str {
    let step = explanation.steps.iter().find(|step| step.stage == stage);
    step.map_or_else(|| panic!("no {stage} in {explanation:?}"), |step| step.finding.as_str())
}

fn backend(explanation: &Explanation) -> &str {
    let finding = finding(explanation, "backend");
    finding.split_once(' ').map_or(finding, |(name, _)| name)
}
