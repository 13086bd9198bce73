//! Two nodes that are both at work, by mistake or on purpose, and one whose packet path fails.

use lb_tests::{
    netns::{self, Netns},
    plan::Vip,
    run::run,
    site::Site,
    stream::Tally,
};
use lb_userspace::vrrp::State;

use super::pair::{
    Load, holds, machines, routers, serve, services, view, vips, vrrp_pair, wait_for,
    wait_for_each, wait_for_event,
};

const SESSIONS: usize = 500;
/// Between two adverts, in milliseconds.
const INTERVAL: u64 = 100;

/// The MAC address of a node's interface.
fn mac(machine: &Netns) -> String {
    let shown = run(machine.command("ip").args(["-o", "link", "show", "eth0"])).unwrap();
    let after = shown.split_once("link/ether ").unwrap().1;
    after.split_whitespace().next().unwrap().to_owned()
}

/// Waits until the router sends the packets for all VIPs to this MAC address.
fn wait_for_neighbour(site: &Site, mac: &str) {
    for Vip { address, .. } in vips() {
        let mut ip = site.router.command("ip");
        let _ = ip.args(["neigh", "show", "to", &address.to_string(), "dev", "br0"]);
        super::soon(&format!("{address} is at {mac}"), || {
            let shown = run(&mut ip).map_err(|error| error.to_string())?;
            if shown.contains(mac) { Ok(()) } else { Err(shown) }
        });
    }
}

/// Cuts the wire between the nodes, or mends it; both still reach all others.
fn part(site: &Site, parted: bool) {
    let isolated = if parted { "on" } else { "off" };
    for port in ["lb", "lb2"] {
        site.router.ip(&format!("link set {port} type bridge_slave isolated {isolated}")).unwrap();
    }
}

#[test]
fn a_split_brain_ends_with_the_better_master_and_breaks_nothing() {
    let (site, second) = machines(3);
    let servers = serve(&site);
    let (first, other) = vrrp_pair(&site, &second, INTERVAL, "");
    let load = Load::start(&site, servers, SESSIONS);
    wait_for_neighbour(&site, &mac(&site.lb));

    part(&site, true);
    wait_for(&other, State::Master);
    wait_for(&first, State::Master);
    // It has told the neighbours so.
    wait_for_neighbour(&site, &mac(&second.netns));
    load.spell();

    part(&site, false);
    wait_for(&other, State::Backup);
    wait_for(&first, State::Master);
    wait_for_neighbour(&site, &mac(&site.lb));
    // Both are of one group: the other node may give both up at the first's word in one of them.
    wait_for_event(&first, "split-brain", "is master as well, with priority 100");
    wait_for_event(&first, "split-healed", "is not master any more");
    super::soon("nobody is a rival any more", || {
        let routers = view(&first)?;
        if routers.values().all(|it| it.peer.is_none()) {
            Ok(())
        } else {
            Err(format!("{routers:?}"))
        }
    });
    let routers = view(&first).unwrap();
    assert!(routers.values().any(|it| it.counters.rivals > 0), "{routers:?}");
    assert!(routers.values().all(|it| it.counters.left_master == 0), "{routers:?}");
    for Vip { address, .. } in vips() {
        assert!(holds(&site.lb, &address.to_string()));
        assert!(!holds(&second.netns, &address.to_string()));
    }
    let _ = load.is_answered();
    let _lost: Tally = load.finish();
}

/// A virtual router for each VIP, of which this node has one by its priority.
fn crossed(own: &str) -> String {
    let router = |(id, Vip { service, address, .. }): (u8, Vip)| {
        let priority = if service == own { 150 } else { 100 };
        let delay = if service == own { "preempt_delay = '2s'\n" } else { "" };
        format!(
            "[[vrrp]]\nname = '{service}'\ninterface = 'eth0'\nid = {id}\n\
             addresses = ['{address}']\npriority = {priority}\ninterval = '{INTERVAL}ms'\n{delay}"
        )
    };
    (10..).zip(vips()).map(router).collect()
}

/// What a boot does to a machine that has lost its power.
fn boot(site: &Site) {
    let file = site.folder().path().join("lb.toml");
    let mut detach = site.lb_command().unwrap();
    drop(run(detach.args(["detach", "--config"]).arg(file)).unwrap());
    for Vip { address, .. } in vips() {
        assert!(!holds(&site.lb, &address.to_string()), "what a killed speaker left is gone");
    }
    site.router.ip("link set lb up").unwrap();
}

#[test]
fn with_crossed_priorities_each_node_holds_one_vip_and_stands_in_for_the_other() {
    let (own, others) = (
        [("web", State::Master), ("web6", State::Backup)],
        [("web", State::Backup), ("web6", State::Master)],
    );
    let (site, second) = machines(3);
    let servers = serve(&site);
    let config = services(&site);
    let mut first = site.start_node(&(config.clone() + &crossed("web"))).unwrap();
    let other = second.config(&site, &config) + &crossed("web6");
    let other = site.start_second_node(&second, &other).unwrap();
    for node in [&first, &other] {
        node.wait_until_ready().unwrap();
    }
    wait_for_each(&first, &own);
    wait_for_each(&other, &others);
    let load = Load::start(&site, servers, SESSIONS);
    load.spell();

    netns::kill_all(&site.lb).unwrap();
    site.router.ip("link set lb down").unwrap();
    wait_for(&other, State::Master);
    let _ = load.is_answered();

    boot(&site);
    first.restart().unwrap();
    wait_for_each(&first, &own);
    wait_for_each(&other, &others);
    let _ = load.is_answered();
    load.spell();
    let _lost: Tally = load.finish();
}

#[test]
fn a_master_whose_packet_path_fails_gives_its_addresses_up() {
    let (site, second) = machines(1);
    let _servers = serve(&site);
    site.lb.ip("link add spare type veth peer name cable").unwrap();
    for link in ["spare", "cable"] {
        site.lb.ip(&format!("link set {link} up")).unwrap();
    }
    let config = services(&site);
    let tracks = "[[vrrp.track]]\ndatapath = true\n";
    let with_spare =
        config.replace("interfaces = [\"eth0\"]", "interfaces = [\"eth0\", \"spare\"]");
    let first = site.start_node(&(with_spare + &routers(150, INTERVAL, tracks))).unwrap();
    let other = second.config(&site, &config) + &routers(100, INTERVAL, tracks);
    let other = site.start_second_node(&second, &other).unwrap();
    wait_for(&first, State::Master);
    wait_for(&other, State::Backup);

    site.lb.ip("link del spare").unwrap();
    wait_for(&first, State::Fault);
    wait_for(&other, State::Master);
    for router in view(&first).unwrap().values() {
        assert_eq!(router.problems, ["the packet path fails"], "{router:?}");
    }
    for Vip { address, .. } in vips() {
        assert!(!holds(&site.lb, &address.to_string()));
        assert!(holds(&second.netns, &address.to_string()));
    }
    wait_for_event(&first, "fault", "what it depends on fails");
}
