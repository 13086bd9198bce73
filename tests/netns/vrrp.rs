//! Virtual routers between real nodes, and with keepalived.

use std::fmt::Write as _;

use lb_tests::{
    keepalived::Keepalived, netns::Netns, node::Node, run::output, second::Second, site::Site,
};
use lb_userspace::{speaker::message::View, vrrp::State};

use super::pair::holds;

/// A way of speaking: the names and addresses of its virtual router, and the keys of either side.
struct Kind {
    name: &'static str,
    id: u8,
    vip: &'static str,
    lb: &'static str,
    keepalived: &'static str,
}

const KINDS: [Kind; 7] = [
    Kind {
        name: "v2",
        id: 50,
        vip: "10.0.0.50",
        lb: "version = 2\ninterval = '1s'",
        keepalived: "version 2\nadvert_int 1",
    },
    Kind {
        name: "v3",
        id: 51,
        vip: "10.0.0.51",
        lb: "interval = '100ms'",
        keepalived: "version 3\nadvert_int 0.1",
    },
    Kind {
        name: "v6",
        id: 52,
        vip: "fd00:0:0:1::52",
        lb: "interval = '100ms'",
        keepalived: "version 3\nadvert_int 0.1",
    },
    Kind {
        name: "unicast",
        id: 53,
        vip: "10.0.0.53",
        lb: "interval = '100ms'\nsource = '10.0.0.2'\npeers = ['10.0.0.3']",
        keepalived: "version 3\nadvert_int 0.1\nunicast_src_ip 10.0.0.3\nunicast_peer {\n10.0.0.2\n}",
    },
    Kind {
        name: "unicast6",
        id: 54,
        vip: "fd00:0:0:1::54",
        lb: "interval = '100ms'\nsource = 'fd00:0:0:1::2'\npeers = ['fd00:0:0:1::3']",
        keepalived: "version 3\nadvert_int 0.1\nunicast_src_ip fd00:0:0:1::3\nunicast_peer {\n\
                     fd00:0:0:1::2\n}",
    },
    Kind {
        name: "vmac",
        id: 55,
        vip: "10.0.0.55",
        lb: "interval = '100ms'\nvirtual_mac = true",
        keepalived: "version 3\nadvert_int 0.1\nuse_vmac",
    },
    Kind {
        name: "vmac6",
        id: 56,
        vip: "fd00:0:0:1::56",
        lb: "interval = '100ms'\nvirtual_mac = true",
        keepalived: "version 3\nadvert_int 0.1\nuse_vmac",
    },
];

fn routers(kinds: &[Kind], priority: u8) -> String {
    let mut config = String::new();
    for Kind { name, id, vip, lb, .. } in kinds {
        writeln!(
            config,
            "[[vrrp]]\nname = '{name}'\ninterface = 'eth0'\nid = {id}\naddresses = ['{vip}']\n\
             priority = {priority}\n{lb}"
        )
        .unwrap();
    }
    config
}

fn keepalived(kinds: &[Kind], priority: u8) -> String {
    let mut config = "global_defs {\nrouter_id peer\n}\n".to_owned();
    for Kind { name, id, vip, keepalived, .. } in kinds {
        let length = if vip.contains(':') { 128 } else { 32 };
        writeln!(
            config,
            "vrrp_instance {name} {{\nstate BACKUP\ninterface eth0\nvirtual_router_id {id}\n\
             priority {priority}\n{keepalived}\nvirtual_ipaddress {{\n{vip}/{length}\n}}\n}}"
        )
        .unwrap();
    }
    config
}

/// Waits until one machine has all addresses, and the other none.
fn wait_for_holder(what: &str, holder: &Netns, other: &Netns, log: &dyn Fn() -> String) {
    super::soon(what, || {
        for Kind { name, vip, .. } in &KINDS {
            if !holds(holder, vip) || holds(other, vip) {
                return Err(format!("{name}: {}", log()));
            }
        }
        Ok(())
    });
}

/// How they are, as soon as the node knows.
fn states(node: &Node<'_>) -> Result<Vec<(String, State)>, String> {
    let view: View = node.ask(&["vrrp"]).map_err(|error| error.to_string())?;
    Ok(view.routers.into_iter().map(|router| (router.name, router.state)).collect())
}

fn wait_for_state(node: &Node<'_>, state: State) {
    super::soon(&format!("{state:?}"), || {
        let states = states(node)?;
        let wrong: Vec<_> = states.iter().filter(|(_, it)| *it != state).collect();
        if wrong.is_empty() && !states.is_empty() {
            Ok(())
        } else {
            Err(format!("{wrong:?}: {}\n{}", node.order(&["vrrp"]).unwrap(), node.log()))
        }
    });
}

/// The client reaches all addresses, wherever they are.
fn assert_reachable(site: &Site) {
    for Kind { name, vip, .. } in &KINDS {
        let mut ping = site.client.command("ping");
        super::soon("the address answers", || {
            let answer = output(ping.args(["-n", "-c", "1", "-W", "1", vip])).unwrap();
            if answer.status.success() { Ok(()) } else { Err(format!("{name}: {answer:?}")) }
        });
    }
}

#[test]
fn a_node_and_keepalived_take_over_from_each_other() {
    let site = super::site_of(1);
    let second = Second::build(&site).unwrap();
    let (first, peer) = (&site.lb, &second.netns);
    let mut other = Keepalived::start(&site, peer, &keepalived(&KINDS, 100)).unwrap();
    wait_for_holder("keepalived is master, being alone", peer, first, &|| other.log());

    let config = site.config() + &routers(&KINDS, 150);
    let node = site.start_node(&config).unwrap();
    wait_for_state(&node, State::Master);
    wait_for_holder("the node takes over by its priority", first, peer, &|| other.log());
    assert_reachable(&site);

    drop(node.order(&["failover"]).unwrap());
    wait_for_holder("keepalived takes over from a node that resigns", peer, first, &|| node.log());
    wait_for_state(&node, State::Backup);
    assert_reachable(&site);

    other.stop();
    wait_for_holder("the node takes over from a peer that resigns", first, peer, &|| node.log());
    assert_reachable(&site);

    let mut other = Keepalived::start(&site, peer, &keepalived(&KINDS, 200)).unwrap();
    wait_for_holder("keepalived takes over by its priority", peer, first, &|| other.log());
    wait_for_state(&node, State::Backup);
    assert_reachable(&site);

    other.kill().unwrap();
    wait_for_state(&node, State::Master);
    let view: View = node.ask(&["vrrp"]).unwrap();
    assert!(view.rejected.is_empty(), "{:?}", view.rejected);
}

/// What other makers' checksums cover is understood, and answered in kind.
#[test]
fn nodes_of_either_checksum_hear_each_other() {
    let site = super::site_of(1);
    let second = Second::build(&site).unwrap();
    let kinds = &KINDS[1..2];
    let config = site.config();
    let plain = |priority| routers(kinds, priority) + "checksum = 'plain'\n";
    let first = site.start_node(&(config.clone() + &routers(kinds, 150))).unwrap();
    wait_for_state(&first, State::Master);
    let other = second.config(&site, &config);
    let other = site.start_second_node(&second, &(other + &plain(100))).unwrap();
    wait_for_state(&other, State::Backup);
    drop(first.order(&["failover"]).unwrap());
    wait_for_state(&other, State::Master);
    wait_for_state(&first, State::Backup);
    drop(other.order(&["failover"]).unwrap());
    wait_for_state(&first, State::Master);
    wait_for_state(&other, State::Backup);
    for node in [&first, &other] {
        let view: View = node.ask(&["vrrp"]).unwrap();
        assert!(view.rejected.is_empty(), "{:?}", view.rejected);
        assert_eq!(view.routers[0].counters.rivals, 0, "{view:?}");
    }
}
