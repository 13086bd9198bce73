//! The traffic follows the command line.

use std::time::Duration;

use lb_tests::{
    plan::{VIPS, Vip},
    run::{command, output},
    traffic::Traffic,
};
use lb_userspace::api::types::{At, Backend, Traffic as Counted};

/// Enough that a backend with a third of the slots is missed once in 10^17 runs.
const ENOUGH: usize = 100;
const ALL: [&str; 3] = ["web1", "web2", "web3"];

#[test]
fn a_drained_backend_gets_no_new_connections_until_it_is_ready_again() {
    let site = super::site();
    let node = super::node(&site);
    for vip in VIPS {
        assert_eq!(super::who_answers(&site, vip, ENOUGH), ALL);
    }

    let _: String = node.order(&["backend", "drain", "web2"]).unwrap();
    for vip in VIPS {
        assert_eq!(super::who_answers(&site, vip, ENOUGH), ["web1", "web3"], "{vip:?}");
    }
    for backend in node.backends().unwrap().iter().filter(|backend| backend.name == "web2") {
        assert!(backend.share.abs() < f64::EPSILON, "{backend:?}");
    }

    let _: String = node.order(&["backend", "ready", "web2"]).unwrap();
    for vip in VIPS {
        assert_eq!(super::who_answers(&site, vip, ENOUGH), ALL, "{vip:?}");
    }
}

#[test]
fn a_backend_is_removed_and_added_again() {
    let site = super::site();
    let node = super::node(&site);
    let before = node.backends().unwrap();
    let traffic = Traffic::start(&site, &VIPS, Duration::from_millis(20)).unwrap();

    let _: String = node.order(&["backend", "remove", "web2"]).unwrap();
    for vip in VIPS {
        assert_eq!(super::who_answers(&site, vip, ENOUGH), ["web1", "web3"], "{vip:?}");
    }
    assert_eq!(node.backends().unwrap().len(), 8);

    for Backend { service, name, at, .. } in named(&before, "web2") {
        let At::Host { address, port } = at else { panic!("{at}") };
        let (address, port) = (address.to_string(), port.to_string());
        let _: String = node
            .order(&["backend", "add", service, &address, "--name", name, "--port", &port])
            .unwrap();
    }
    node.wait_until_ready().unwrap();
    for vip in VIPS {
        assert_eq!(super::who_answers(&site, vip, ENOUGH), ALL, "{vip:?}");
    }
    let after = node.backends().unwrap();
    for (was, is) in named(&before, "web2").zip(named(&after, "web2")) {
        assert_eq!(lasting(is), lasting(was));
        assert!(is.traffic.packets > 0, "{is:?}");
    }
    // Neither order cut a connection that was not on the removed backend for a moment: requests
    // are over in milliseconds, and at most one of each service was under way.
    for (service, tally) in traffic.finish() {
        assert!(tally.errors <= 1, "{service}: {tally:?}");
    }
    super::assert_nothing_dropped(&node);
}

/// A backend without what changes by itself.
fn lasting(backend: &Backend) -> Backend {
    let (traffic, health_reason) = (Counted::default(), String::new());
    Backend { traffic, health_reason, ..backend.clone() }
}

fn named<'a>(backends: &'a [Backend], name: &'a str) -> impl Iterator<Item = &'a Backend> {
    backends.iter().filter(move |backend| backend.name == name)
}

#[test]
fn a_weight_is_honoured_and_an_unknown_backend_refused() {
    let site = super::site();
    let node = super::node(&site);
    let _: String = node.order(&["backend", "weight", "web1", "8"]).unwrap();
    for vip in VIPS {
        let answers = super::connections(&site, &vip.url("/"), 1000);
        println!("{}: {answers:?}", vip.service);
        // 8 of 10 slots; 13 connections are one standard deviation.
        assert!((720..=880).contains(&answers["web1"]), "{answers:?}");
    }
    let _: String = node.order(&["backend", "weight", "web1", "0", "--service", "app6"]).unwrap();
    let expect = |vip: Vip| if vip.service == "app6" { &ALL[1..] } else { &ALL[..1] };
    for vip in VIPS {
        let answering = super::who_answers(&site, vip, ENOUGH);
        assert!(expect(vip).iter().all(|web| answering.contains(&(*web).to_owned())));
        assert_eq!(answering.contains(&"web1".to_owned()), vip.service != "app6", "{vip:?}");
    }

    let refused = node.cli(&["backend", "drain", "web9"]).unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let message = String::from_utf8(refused.stderr).unwrap();
    assert!(message.contains("web9"), "{message}");
}

#[test]
fn the_socket_speaks_http() {
    let site = super::site();
    let node = super::node(&site);
    let answer = over_socket(&node.socket().display().to_string());
    assert_eq!(answer["pid"], node.id());
    assert_eq!(answer["problems"], serde_json::json!([]));
}

fn over_socket(socket: &str) -> serde_json::Value {
    let mut curl = command("curl");
    let answer =
        output(curl.args(["-sS", "-f", "--unix-socket", socket, "http://lb/v1/status"])).unwrap();
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    serde_json::from_slice(&answer.stdout).unwrap()
}
