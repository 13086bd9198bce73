//! Checks through the packet path: they see what clients' packets meet, and not only the server.

use std::{fmt::Write as _, net::SocketAddr, path::PathBuf, time::Duration};

use lb_tests::{
    config::{Carried, HTTP, UDP_PORT},
    echo::Echo,
    node::Node,
    plan::{Forward, VIPS, Vip},
    run::run,
    site::Site,
    traffic::Traffic,
};
use lb_userspace::api::types::{Backend, Health};

/// Where the node's tunnel packets come from.
const SOURCES: [&str; 2] = ["10.0.0.64/26", "fd00:0:0:1::6:0/112"];

fn vips() -> impl Iterator<Item = Vip> {
    VIPS.into_iter().filter(|vip| vip.forward == Forward::L2)
}

/// A kind of check: the ends of its services' names, their protocol and port, and its keys.
const KINDS: [(&str, &str, u16, &str); 5] = [
    ("", "tcp", 80, "type = \"http\", path = \"/\""),
    ("-tcp", "tcp", 81, "type = \"tcp\", port = 80"),
    ("-udp", "udp", UDP_PORT, "type = \"udp\", send = \"hello\", expect = \"hello\""),
    ("-icmp", "tcp", 82, "type = \"icmp\""),
    ("-direct", "tcp", 83, "type = \"http\", port = 80, through = \"direct\""),
];

fn config(site: &Site, mode: &'static str, crossed: bool) -> String {
    let mut config = site.node_table(&site.pin_dir(), "eth0");
    writeln!(config, "tunnel_source = {SOURCES:?}").unwrap();
    for vip in vips() {
        for (end, protocol, port, check) in KINDS {
            let check = format!(
                "{{ {check}, interval = \"500ms\", timeout = \"400ms\", rise = 2, fall = 2 }}"
            );
            let carried = Carried { protocol, port, direct: mode, crossed, ..HTTP };
            let table = site.service_table(vip, &carried);
            let named = table.replacen(vip.service, &format!("{}{end}", vip.service), 1);
            config += &named.replace(HTTP.check, &check);
        }
    }
    config
}

/// Lets a server undo the node's tunnels.
fn decapsulate(site: &Site, number: usize) -> PathBuf {
    let web = site.web(number);
    let pins = PathBuf::from(format!("/sys/fs/bpf/lb-decap-{}", web.netns.name()));
    site.folder().own(&pins).unwrap();
    let mut lb = web.netns.command(lb_tests::workspace::lb_binary().unwrap());
    let from = SOURCES.iter().flat_map(|source| ["--from", source]);
    let decap = lb.args(["decap", "--interface", "eth0", "--pin-dir"]).arg(&pins).args(from);
    drop(run(decap).unwrap());
    pins
}

fn vip_on(site: &Site, number: usize, verb: &str) {
    for Vip { address, .. } in vips() {
        let length = if address.is_ipv4() { 32 } else { 128 };
        let nodad = if verb == "add" { " nodad" } else { "" };
        let order = format!("addr {verb} {address}/{length} dev lo{nodad}");
        site.web(number).netns.ip(&order).unwrap();
    }
}

fn filter_reverse_paths(site: &Site) {
    for netns in site.webs().iter().map(|web| &web.netns).chain([&site.lb]) {
        for conf in ["all", "default", "eth0"] {
            netns.sysctl(&format!("net/ipv4/conf/{conf}/rp_filter"), "1").unwrap();
        }
    }
}

/// What answers the datagrams of checks, and at the VIPs alone.
fn echoes(site: &Site) -> Vec<Echo> {
    let all = vips().flat_map(|vip| {
        let address = SocketAddr::new(vip.address, UDP_PORT);
        site.webs().iter().map(move |web| Echo::start(web, address).unwrap())
    });
    all.collect()
}

/// Waits until the servers are found so, by all checks through the packet path, and up by the others.
fn wait_for(node: &Node<'_>, found: [Health; 3]) {
    let is_so = |backend: &Backend| {
        let number = usize::from(backend.name.as_bytes()[3] - b'1');
        let direct = backend.service.ends_with("-direct");
        let expected = if direct { Health::Up } else { found[number] };
        let silent = backend.health_reason.contains("no answer within 400ms");
        backend.health == expected && (expected == Health::Down) == silent
    };
    super::soon("the servers are found out", || {
        let backends = node.backends().map_err(|error| error.to_string())?;
        let wrong: Vec<_> = backends.iter().filter(|backend| !is_so(backend)).collect();
        if wrong.is_empty() { Ok(()) } else { Err(format!("{wrong:#?}\n{}", node.log())) }
    });
}

/// web1 has all that it needs, web2 lacks the VIPs, and web3 what undoes tunnels. Then they get it.
fn find_out(mode: &'static str, crossed: bool) {
    use Health::{Down, Up};
    let site = super::site();
    filter_reverse_paths(&site);
    let _echoes = echoes(&site);
    vip_on(&site, 2, "del");
    let is_tunnel = mode != "l2";
    for number in [1, 2] {
        if is_tunnel {
            drop(decapsulate(&site, number));
        }
    }
    let node = site.start_node(&config(&site, mode, crossed)).unwrap();
    let first = [Up, Down, if is_tunnel { Down } else { Up }];
    wait_for(&node, first);
    let good = if is_tunnel { &["web1"][..] } else { &["web1", "web3"] };
    for vip in vips() {
        assert_eq!(super::who_answers(&site, vip, 100), good, "{vip:?}");
    }
    let vips: Vec<_> = vips().collect();
    let traffic = Traffic::start(&site, &vips, Duration::from_millis(20)).unwrap();
    vip_on(&site, 2, "add");
    if is_tunnel {
        drop(decapsulate(&site, 3));
    }
    wait_for(&node, [Up, Up, Up]);
    for vip in &vips {
        assert_eq!(super::who_answers(&site, *vip, 100), ["web1", "web2", "web3"], "{vip:?}");
    }
    for (service, tally) in traffic.finish() {
        assert_eq!(tally.errors, 0, "{service}: {tally:?}");
    }
    let verdicts = node.stats().unwrap().verdicts;
    assert!(verdicts["probe"] > 0 && verdicts["probe-answer"] > 0, "{verdicts:?}");
}

#[test]
fn a_server_without_the_vip_is_found_down_behind_l2() {
    find_out("l2", false);
}

#[test]
fn a_server_without_vip_or_tunnel_is_found_down_behind_ipip() {
    find_out("ipip", false);
}

#[test]
fn a_server_without_vip_or_tunnel_is_found_down_behind_ipip_across_families() {
    find_out("ipip", true);
}

#[test]
fn a_server_without_vip_or_tunnel_is_found_down_behind_gue() {
    find_out("gue", false);
}

#[test]
fn a_server_without_vip_or_tunnel_is_found_down_behind_gue_across_families() {
    find_out("gue", true);
}

/// The index of the daemon's end of the probe link, while there is one.
fn ifindex(site: &Site) -> Option<u32> {
    let socket = || {
        let kind = rustix::net::SocketType::DGRAM;
        rustix::net::socket(rustix::net::AddressFamily::INET, kind, None)
    };
    let index = || rustix::net::netdevice::name_to_index(socket().unwrap(), "lb-probe0").ok();
    site.lb.enter(index).unwrap()
}

/// The probe link outlives the daemon, and the next one goes on with it. One that somebody has taken away is
/// made anew, and no backend goes down meanwhile.
#[test]
fn the_link_of_checks_outlives_the_daemon_and_its_own_end() {
    use Health::Up;
    let site = super::site();
    let _echoes = echoes(&site);
    let mut node = site.start_node(&config(&site, "l2", false)).unwrap();
    wait_for(&node, [Up, Up, Up]);
    let first = ifindex(&site).unwrap();
    node.restart().unwrap();
    wait_for(&node, [Up, Up, Up]);
    assert_eq!(ifindex(&site), Some(first));
    site.lb.ip("link del lb-probe0").unwrap();
    super::soon("the link is made anew", || match ifindex(&site) {
        Some(new) if new != first => Ok(()),
        other => Err(format!("{other:?}\n{}", node.log())),
    });
    let asked = || node.stats().unwrap().verdicts["probe-answer"];
    let before = asked();
    super::soon("checks go by it", || match asked() {
        now if now > before + 100 => Ok(()),
        now => Err(format!("{before} {now}")),
    });
    wait_for(&node, [Up, Up, Up]);
    let events = node.order(&["events"]).unwrap();
    assert!(!events.contains(" down "), "{events}");
    super::assert_nothing_dropped(&node);
}

/// A reload brings the first check in a family, and takes it away again: the other family's checks go on.
#[test]
fn a_reload_brings_the_way_of_checks_in_a_family() {
    use Health::{Down, Up};
    let site = super::site();
    let _echoes = echoes(&site);
    let whole = config(&site, "l2", false);
    let (node_table, services) = whole.split_once("[[service]]").unwrap();
    let of = |is_ipv4: bool| -> String {
        let services = services.split("[[service]]");
        let of_family = services.filter(|it| it.contains("vip = \"10.") == is_ipv4);
        of_family.flat_map(|it| ["[[service]]", it]).collect()
    };
    let only4 = format!("{node_table}{}", of(true));
    let (ipv4, ipv6) = ("240.0.0.0/12", "fd6c:6270:726f:6265::/96");
    let ways = || {
        let routes = ["-4", "-6"].map(|family| {
            let mut ip = site.lb.command("ip");
            run(ip.args([family, "route", "show", "dev", "lb-probe0"])).unwrap()
        });
        [ipv4, ipv6].map(|block| routes.concat().contains(block))
    };
    vip_on(&site, 2, "del");

    let none = only4.replace("check = {", "#check = {");
    let node = site.start_node(&none).unwrap();
    assert_eq!(ifindex(&site), None, "nothing is checked");
    for (config, expected) in
        [(&only4, [true, false]), (&whole, [true; 2]), (&only4, [true, false])]
    {
        drop(site.write_config(config).unwrap());
        drop(node.order(&["reload"]).unwrap());
        wait_for(&node, [Up, Down, Up]);
        assert_eq!(ways(), expected, "{}", node.log());
        let problems = node.status().unwrap().problems;
        assert!(!problems.iter().any(|it| it.contains("own addresses")), "{problems:?}");
    }
    let events = node.order(&["events"]).unwrap();
    let fell: Vec<_> = events.lines().filter(|it| it.contains(" down ")).collect();
    assert!(fell.iter().all(|it| it.contains("web2")), "{fell:#?}");
    drop(site.write_config(&none).unwrap());
    drop(node.order(&["reload"]).unwrap());
    super::soon("the link is taken away", || match ifindex(&site) {
        None => Ok(()),
        Some(index) => Err(format!("{index}\n{}", node.log())),
    });
}
