//! Agents on the backends have a say in what the backends get.

use std::net::SocketAddr;

use lb_tests::{
    agent::Agent,
    config::{Carried, HTTP, backend_address},
    node::Node,
    plan::VIPS,
};
use lb_userspace::api::types::{Backend, Health};

use super::{soon, who_answers};

const PORT: u16 = 9707;
const ASKED: Carried = Carried {
    keys: "agent = { port = 9707, interval = \"100ms\", timeout = \"90ms\" }\non_down = \"rehash\"",
    ..HTTP
};

#[test]
fn an_agent_sets_the_weight_and_takes_its_backend_out_and_in() {
    let site = super::site_of(2);
    let address = SocketAddr::new(backend_address(VIPS[0], 1, false), PORT);
    let agent = Agent::start(site.web(1), address, "up ready 100%").unwrap();
    // On web2's machine nobody listens there, which is no failure.
    let config = site.node_table(&site.pin_dir(), "eth0") + &site.service_table(VIPS[0], &ASKED);
    let mut node = site.start_node(&config).unwrap();
    node.wait_until_ready().unwrap();
    let up = Health::Up;
    wait_for(&node, up, 50, "agent: up ready 100%");

    agent.say("50%");
    wait_for(&node, up, 33, "agent: up ready 50%");
    agent.say("drain");
    wait_for(&node, up, 0, "agent: up drain 50%");
    assert_eq!(who_answers(&site, VIPS[0], 20), ["web2"]);
    agent.say("100%, maxconn:30");
    wait_for(&node, up, 0, "agent: up drain 100%");

    // Its successor goes on from what it finds: the agent's silence changes nothing.
    drop(agent);
    node.kill();
    node.restart().unwrap();
    wait_for(&node, up, 0, "agent: up drain 100%");
    assert_eq!(who_answers(&site, VIPS[0], 20), ["web2"]);

    let agent = Agent::start(site.web(1), address, "ready").unwrap();
    wait_for(&node, up, 50, "agent: up ready 100%");
    assert_eq!(who_answers(&site, VIPS[0], 60), ["web1", "web2"]);
    agent.say("maint");
    wait_for(&node, up, 0, "agent: up maint 100%");
    assert_eq!(who_answers(&site, VIPS[0], 20), ["web2"]);
    agent.say("ready down #disk full");
    wait_for(&node, Health::Down, 0, "agent: down ready 100% #disk full");
    assert_eq!(node.services().unwrap()[0].backends_up, 1);
    agent.say("up");
    wait_for(&node, up, 50, "agent: up ready 100%");
    // It cannot make up what the check says is down.
    site.web(1).stop();
    wait_for(&node, Health::Down, 0, "agent: up ready 100%");
    let events = node.order(&["events"]).unwrap();
    println!("{events}");
    assert!(
        events.contains("web/web1") && events.contains("down ready 100% #disk full"),
        "{events}"
    );
}

/// Until the first backend has this health and share, in percent, and its reason ends so.
fn wait_for(node: &Node<'_>, health: Health, percent: i32, words: &str) {
    soon(words, || {
        let backends = node.backends().map_err(|error| error.to_string())?;
        let Backend { health: found, share, health_reason, .. } = &backends[0];
        let off = (share * 100.0 - f64::from(percent)).abs();
        let is_so = *found == health && off < 1.0 && health_reason.ends_with(words);
        is_so.then_some(()).ok_or_else(|| format!("{:?}", backends[0]))
    });
}
