//! What a node remembers of flows fades when they are over.

use std::time::Duration;

use lb_tests::{
    config::{Carried, HTTP},
    node::Node,
    plan::{VIPS, web_addresses},
    run::{eventually, run},
    sessions::{Fate, Server, Sessions},
    site::Site,
};
use lb_userspace::api::types::{Memory, Service};

const PORT: u16 = 7000;
const NAT_PORT: u16 = 7001;
const CARRIED: Carried = Carried {
    port: PORT,
    nat_port: NAT_PORT,
    check: "{ type = \"tcp\", interval = \"500ms\", timeout = \"400ms\", rise = 2, fall = 2 }",
    keys: "window = \"5s\"",
    ..HTTP
};
const SESSIONS: usize = 200;
/// A handshake counts as under way for a minute, and so long do the slots of TCP move at least; the
/// line of a backend that has left is kept for another.
const LONG: Duration = Duration::from_secs(200);

#[test]
fn a_removed_backend_keeps_its_connections_until_they_end_and_is_forgotten() {
    let site = super::site();
    let servers: Vec<_> = (1u8..)
        .zip(site.webs())
        .map(|(number, web)| Server::start(web, number, &[PORT, NAT_PORT]).unwrap())
        .collect();
    let node = site.start_node(&site.config_of(&CARRIED)).unwrap();
    node.wait_until_ready().unwrap();
    let to = VIPS.iter().map(|vip| (vip.address, PORT).into()).collect();
    let sessions = Sessions::start(&site.client, to, SESSIONS).unwrap();
    super::soon("all sessions are answered", || match sessions.fates().len() {
        SESSIONS => Ok(()),
        some => Err(format!("{some} are")),
    });
    assert!(memories(&node).iter().all(is_empty), "a stable ring remembers nothing");

    let _: String = node.order(&["backend", "remove", "web3"]).unwrap();
    assert!(memories(&node).iter().all(|memory| memory.moving > 10_000), "a third of it moves");
    let long = eventually(LONG, "the windows end", || {
        let memories = memories(&node);
        let over = memories.iter().all(|it| it.moving == 0 && it.settled > 0 && it.flows > 0);
        if over { Ok(memories) } else { Err(format!("{memories:?}")) }
    });
    println!("{:?}", long.unwrap());
    assert!(is_kept_resolved(&site), "its neighbour is kept resolved");

    let fates = sessions.finish();
    let on_web3 = fates.values().filter(|fate| matches!(fate, Fate::Live(3))).count();
    assert!(on_web3 > SESSIONS / 6, "{on_web3} sessions of the removed backend live");
    assert!(fates.values().all(|fate| matches!(fate, Fate::Live(_))), "{fates:?}");
    let forgotten = eventually(LONG, "everything is forgotten", || {
        let memories = memories(&node);
        let kept = is_kept_resolved(&site);
        let over = memories.iter().all(is_empty) && !kept;
        if over { Ok(()) } else { Err(format!("{memories:?}, kept resolved: {kept}")) }
    });
    forgotten.unwrap();
    super::assert_nothing_dropped(&node);
    drop(servers);
}

fn memories(node: &Node<'_>) -> Vec<Memory> {
    let services: Vec<Service> = node.services().unwrap();
    services.into_iter().map(|service| service.memory).collect()
}

fn is_empty(memory: &Memory) -> bool {
    *memory == Memory { limit: memory.limit, ..Memory::default() }
}

/// Whether the node still has the removed backend's address looked up.
fn is_kept_resolved(site: &Site) -> bool {
    let [address, ..] = web_addresses(3);
    let mut show = site.lb.command("ip");
    let shown = run(show.args(["neigh", "show", &address.to_string()])).unwrap();
    shown.contains("managed")
}
