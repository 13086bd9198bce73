//! Two nodes at work at once: BIRD announces the VIPs of both, and a router spreads flows over them.

use std::fs;

use lb_tests::{
    bird::Bird,
    netns,
    node::Node,
    run::run,
    second::{HOST, Second},
    site::Site,
};
use lb_userspace::speaker::message::{Route, RouteState};

use super::pair::{Load, holds, machines, serve, services, speaker, vips, wait_for_event};

/// The last number of the first node's addresses.
const FIRST: u8 = 2;
const SESSIONS: usize = 500;

/// A route for each of the VIPs.
fn routes() -> String {
    let route = |name: &str, address| {
        format!(
            "[[route]]\nname = '{name}'\naddresses = ['{address}']\n[[route.track]]\n\
             datapath = true\n[[route.track]]\nservice = '{name}'\n"
        )
    };
    vips().map(|vip| route(vip.service, vip.address)).collect()
}

/// Two nodes that announce both routes.
fn pair<'a>(site: &'a Site, second: &'a Second) -> (Node<'a>, Node<'a>) {
    let config = services(site);
    let first = site.start_node(&(config.clone() + &routes())).unwrap();
    let other = second.config(site, &config) + &routes();
    let other = site.start_second_node(second, &other).unwrap();
    for node in [&first, &other] {
        node.wait_until_ready().unwrap();
        wait_for_all(node, RouteState::Announced);
    }
    (first, other)
}

fn list(node: &Node<'_>) -> Result<Vec<Route>, String> {
    node.ask(&["route", "list"]).map_err(|error| error.to_string())
}

/// Waits until the route of a name is so; gives it.
fn wait_for(node: &Node<'_>, name: &str, state: RouteState) -> Route {
    super::soon(&format!("{name} is {}", state.as_str()), || {
        let routes = list(node)?;
        let found = routes.iter().find(|it| it.name == name && it.state == state);
        found.cloned().ok_or_else(|| format!("{routes:#?}\n{}", node.log()))
    })
}

fn wait_for_all(node: &Node<'_>, state: RouteState) {
    for vip in vips() {
        drop(wait_for(node, vip.service, state));
    }
}

/// Waits until the router's kernel sends the flows to a VIP to these nodes, by their last numbers.
fn wait_for_hops(site: &Site, service: &str, nodes: &[u8], bird: &Bird) {
    let vip = vips().find(|it| it.service == service).unwrap().address;
    let (family, network) = if vip.is_ipv4() { ("-4", "10.0.0.") } else { ("-6", "fd00:0:0:1::") };
    super::soon(&format!("flows to {vip} go to {nodes:?}"), || {
        let mut ip = site.router.command("ip");
        let shown = run(ip.args([family, "route", "show", &vip.to_string(), "proto", "bird"]));
        let shown = shown.map_err(|error| error.to_string())?;
        let words: Vec<_> = shown.split_whitespace().collect();
        let vias = words.windows(2).filter(|pair| pair[0] == "via").map(|pair| pair[1]);
        let mut hops: Vec<_> = vias.collect();
        hops.sort_unstable();
        let wanted: Vec<_> = nodes.iter().map(|host| format!("{network}{host}")).collect();
        if hops == wanted { Ok(()) } else { Err(format!("{shown}\n{}", bird.log())) }
    });
}

fn wait_for_all_hops(site: &Site, nodes: &[u8], bird: &Bird) {
    for vip in vips() {
        wait_for_hops(site, vip.service, nodes, bird);
    }
}

/// The packets that a node has sent to backends.
fn forwarded(node: &Node<'_>) -> u64 {
    node.stats().unwrap().backends.iter().map(|it| it.traffic.packets).sum()
}

#[test]
fn no_connection_breaks_when_a_node_withdraws_or_is_lost() {
    let (site, second) = machines(3);
    let servers = serve(&site);
    let (first, other) = pair(&site, &second);
    let bird = Bird::on_router(&site, &[FIRST, HOST]).unwrap();
    let _first_bird = Bird::on_node(&site, &site.lb, FIRST).unwrap();
    let _other_bird = Bird::on_node(&site, &second.netns, HOST).unwrap();
    wait_for_all_hops(&site, &[FIRST, HOST], &bird);
    let load = Load::start(&site, servers, SESSIONS);
    load.spell();
    let shares = [&first, &other].map(forwarded);
    println!("packets by node: {shares:?}");
    assert!(shares.iter().all(|it| *it > 100), "{shares:?}");

    drop(first.order(&["route", "withdraw"]).unwrap());
    wait_for_all_hops(&site, &[HOST], &bird);
    let _ = load.is_answered();
    load.spell();
    wait_for_event(&first, "withdrawn", "root (uid 0)");
    drop(first.order(&["route", "announce"]).unwrap());
    wait_for_all_hops(&site, &[FIRST, HOST], &bird);
    let _ = load.is_answered();
    load.spell();

    // Its machine has no power any more: it cannot even close its connections.
    let lost_from = load.sent();
    site.router.ip("link set lb down").unwrap();
    netns::kill_all(&site.lb).unwrap();
    wait_for_all_hops(&site, &[HOST], &bird);
    println!("all sessions are answered {:?} after the routes are gone", load.is_answered());
    load.spell();
    let lost = load.finish().lost;
    let early: Vec<_> = lost.iter().filter(|it| **it < lost_from).collect();
    assert!(early.is_empty(), "lost by orders: {early:?}");
    let (begin, end) = (lost[0], lost[lost.len() - 1]);
    println!("a part of the flows was without an answer for {} ms", end - begin + 1);
}

#[test]
fn routes_follow_what_they_track() {
    let (site, second) = machines(1);
    let config = services(&site);
    let first = site.start_node(&(config.clone() + &routes())).unwrap();
    let other = second.config(&site, &config) + &routes();
    let other = site.start_second_node(&second, &other).unwrap();
    let bird = Bird::on_router(&site, &[FIRST, HOST]).unwrap();
    let _first_bird = Bird::on_node(&site, &site.lb, FIRST).unwrap();
    let _other_bird = Bird::on_node(&site, &second.netns, HOST).unwrap();
    super::soon("the check has failed", || match &list(&first)?[0] {
        Route { cause, .. } if cause == "service web fails" => Ok(()),
        route => Err(format!("{route:?}")),
    });
    assert!(!first.order(&["events"]).unwrap().contains("announced"), "it was never well");
    let serving = serve(&site);
    wait_for_all_hops(&site, &[FIRST, HOST], &bird);

    drop(first.order(&["backend", "maintenance", "web1", "--service", "web"]).unwrap());
    wait_for_hops(&site, "web", &[HOST], &bird);
    wait_for_hops(&site, "web6", &[FIRST, HOST], &bird);
    wait_for_event(&first, "withdrawn", "service web fails");
    let status = first.status().unwrap().problems;
    assert!(status.iter().any(|it| it == "route web: service web fails"), "{status:?}");
    drop(first.order(&["backend", "ready", "web1", "--service", "web"]).unwrap());
    wait_for_all_hops(&site, &[FIRST, HOST], &bird);

    drop(serving);
    for node in [&first, &other] {
        wait_for_all(node, RouteState::Withdrawn);
    }
    wait_for_all_hops(&site, &[], &bird);
    let _serving = serve(&site);
    wait_for_all_hops(&site, &[FIRST, HOST], &bird);
}

/// As an operator sees it: restarts and upgrades change nothing, and what was ordered stays ordered.
#[test]
fn routes_stay_as_they_are_while_the_daemon_is_restarted_and_upgraded() {
    let (site, _second) = machines(1);
    let _servers = serve(&site);
    let mut node = site.start_node(&(services(&site) + &routes())).unwrap();
    wait_for_all(&node, RouteState::Announced);
    let are_held = || vips().all(|vip| holds(&site.lb, &vip.address.to_string()));
    let are_gone = || vips().all(|vip| !holds(&site.lb, &vip.address.to_string()));
    assert!(are_held());
    let (pid, since) = (speaker(&site.lb), list(&node).unwrap()[0].since);
    let _status = node.stop();
    assert!(are_held());
    node.restart().unwrap();
    assert_eq!(wait_for(&node, "web", RouteState::Announced).since, since);
    node.kill();
    assert!(are_held());

    node.restart().unwrap();
    wait_for_all(&node, RouteState::Announced);
    drop(node.order(&["route", "withdraw"]).unwrap());
    wait_for_all(&node, RouteState::Withdrawn);
    assert!(are_gone());
    let newer = site.folder().path().join("lb-newer");
    let _length = fs::copy(node.binary(), &newer).unwrap();
    node.replace_binary(newer.clone());
    node.restart().unwrap();
    super::soon("the speaker runs the new program", || {
        let program = speaker(&site.lb).map(|pid| fs::read_link(format!("/proc/{pid}/exe")));
        if matches!(&program, Some(Ok(it)) if *it == newer) {
            Ok(())
        } else {
            Err(format!("{program:?}"))
        }
    });
    assert_eq!(speaker(&site.lb), pid, "it is the same process");
    let route = wait_for(&node, "web", RouteState::Withdrawn);
    assert_eq!((route.wanted, &*route.cause), (false, "an operator wants it"));
    drop(node.order(&["route", "announce", "web"]).unwrap());
    drop(wait_for(&node, "web", RouteState::Announced));
    drop(node.order(&["route", "announce"]).unwrap());
    wait_for_all(&node, RouteState::Announced);

    // What somebody takes away comes back.
    site.lb.ip("addr del 10.0.0.10/32 dev lo").unwrap();
    super::soon("it is there again", || if are_held() { Ok(()) } else { Err(node.log()) });

    let _status = node.stop();
    let file = site.folder().path().join("lb.toml");
    let mut detach = site.lb_command().unwrap();
    drop(run(detach.args(["detach", "--config"]).arg(file)).unwrap());
    assert!(are_gone());
    assert_eq!(speaker(&site.lb), None);
}
