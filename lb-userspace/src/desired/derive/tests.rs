//! What a configuration and the network make of the settings and the backends.

use std::net::SocketAddr;

use lb_common::{
    addr::{Addr, Mac},
    route::VlanTag,
    service::{DownPolicy, Ports},
    settings::TunnelSource,
};

use super::*;
use crate::{
    config::file,
    health::{Finding, agent::line},
    ring::Endpoint,
    topology::{Link, Route, Vlan},
};

const MAC: Mac = Mac([2; 6]);

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn config(services: &str) -> Config {
    let node = "[node]\ninterfaces = ['eth0']\nseed = '00112233445566778899aabbccddeeff'\n";
    file::parse(&[node, services].concat(), "test").unwrap().config
}

fn service(name: &str, port: &str, rest: &str) -> String {
    format!("[[service]]\nname = '{name}'\nvip = '203.0.113.10'\nport = {port}\n{rest}\n")
}

fn link(name: &str, addresses: &[&str]) -> Link {
    Link {
        name: name.into(),
        mac: Mac([1; 6]),
        up: true,
        mtu: 1500,
        vlan: None,
        addresses: addresses.iter().map(|text| ip(text)).collect(),
    }
}

/// `eth0` (2), on it the VLAN 7 (3); a router, behind which routes take less.
fn topology() -> Topology {
    let prefix = |text: &str, length| Prefix::new(ip(text), length).unwrap();
    let route = |prefix, gateway: Option<&str>, interface, mtu| Route {
        prefix,
        gateway: gateway.map(ip),
        interface,
        metric: 0,
        mtu,
    };
    let vlan = Some(Vlan { lower: 2, tag: VlanTag::new(0x8100, 7) });
    let eth0 = link("eth0", &["169.254.0.1", "203.0.113.10", "10.0.0.1", "10.0.0.2", "fe80::1"]);
    let eth0_7 = Link { vlan, mtu: 9000, ..link("eth0.7", &["10.7.0.1", "2001:db8:7::1"]) };
    let other = link("eth1", &["10.9.0.1", "2001:db8:9::1"]);
    Topology {
        links: [(2, eth0), (3, eth0_7), (4, other)].into(),
        routes: vec![
            route(prefix("10.0.0.0", 24), None, 2, None),
            route(prefix("10.7.0.0", 24), None, 3, None),
            route(prefix("10.8.0.0", 24), Some("10.0.0.254"), 2, Some(1400)),
        ],
        neighbours: [(2, "10.0.0.11"), (2, "10.0.0.254"), (3, "10.7.0.11")]
            .map(|(link, address)| ((link, ip(address)), MAC))
            .into(),
        addresses: BTreeSet::new(),
    }
}

fn desired(config: &Config, topology: &Topology) -> Desired {
    let (health, last_hops) = (&View::new(), &LastHops::default());
    let leaving = &Leaving::new();
    derive(Inputs { agents: &agent::View::new(), config, health, topology, last_hops, leaving })
}

#[test]
fn stages_are_on_where_there_is_something_to_do() {
    let stages = |services: &str| desired(&config(services), &topology()).settings.stages;
    assert_eq!(stages(&service("one", "80", "forward = 'ipip'")), Stages::NONE);
    assert_eq!(stages(&service("some", "'8000-8100'", "forward = 'l2'")), Stages::RANGES);
    assert_eq!(stages(&service("all", "'any'", "forward = 'gue'")), Stages::RANGES);
    let several =
        service("one", "80", "forward = 'nat'") + &service("all", "'any'", "forward = 'l2'");
    assert_eq!(stages(&several), Stages::RANGES.with(Stages::REPLY));
    assert_eq!(stages("[firewall]\ndeny = ['192.0.2.0/24']\n"), Stages::FIREWALL);
}

#[test]
fn settings_are_those_of_the_configuration() {
    let text = "[limits]\nservices = 100\n[answers]\necho = 1\nerrors = 2\nresets = 3\n";
    let Settings { service_mask, answers, .. } = desired(&config(text), &topology()).settings;
    assert_eq!(service_mask, 1023);
    assert_eq!(answers, AnswerRates { echo: 1, error: 2, reset: 3, padding: 0 });
}

#[test]
fn services_have_their_keys_and_policies() {
    let text = service("all", "'any'", "forward = 'gue'\ngue_port = 6081\nwindow = '90s'")
        + "flow_table = 5\non_down = 'drop'\nbackend = [{ address = '10.0.0.11' }]\n";
    let desired = desired(&config(&text), &topology());
    let (key, service) = desired.services.first_key_value().unwrap();
    assert_eq!(key.ports, Ports::ANY);
    assert_eq!((service.window, service.flow_limit), (90, 5));
    assert_eq!((service.on_down, service.gue_port), (DownPolicy::DROP, Port::new(6081)));
    let endpoint = Endpoint { address: ip("10.0.0.11").into(), port: Port::ZERO };
    assert!(service.backends.contains_key(&endpoint));
}

#[test]
fn tunnels_come_from_the_configured_prefix_or_the_nodes_own_address() {
    let sources = |config: &Config, topology: &Topology| {
        let Settings { tunnel4, tunnel6, .. } = desired(config, topology).settings;
        (tunnel4, tunnel6)
    };
    let host = |text| TunnelSource::new(Prefix::host(ip(text).into()));
    let web = config(&service("web", "80", "forward = 'ipip'"));
    let found = sources(&web, &topology());
    let why = "neither link-local nor a VIP; by a VLAN where the interface itself has none";
    assert_eq!(found, (host("10.0.0.1"), host("2001:db8:7::1")), "{why}");
    assert_eq!(sources(&web, &Topology::default()), (TunnelSource::NONE, TunnelSource::NONE));

    let mut configured = web;
    configured.node.tunnel_source = vec![Prefix::new(ip("10.0.0.16"), 28).unwrap()];
    let (v4, v6) = sources(&configured, &topology());
    assert_eq!(v4.base, Addr::from_v4([10, 0, 0, 16]));
    assert_eq!((v4.varying, v6), (15u32.to_be(), host("2001:db8:7::1")));
}

/// Next hop and MTU of a service's only backend.
fn way(forward: &str, backend: &str) -> (NextHop, u16) {
    let pool = format!("forward = '{forward}'\nbackend = [{{ address = '{backend}' }}]");
    let desired = desired(&config(&service("web", "80", &pool)), &topology());
    let service = desired.services.values().next().unwrap();
    let backend = service.backends.values().next().unwrap();
    (backend.way.next_hop, backend.way.mtu)
}

#[test]
fn tunnels_know_the_mtu_of_their_way_and_may_lead_over_routers() {
    let tags = [VlanTag::NONE; 2];
    let hop = NextHop { interface: 2, destination: MAC, source: Mac([1; 6]), tags };
    for mode in ["ipip", "gue"] {
        assert_eq!(way(mode, "10.0.0.11"), (hop, 1500));
        assert_eq!(way(mode, "10.8.0.11"), (hop, 1400), "a router's route says so");
        assert_eq!(way(mode, "192.0.2.1"), (NextHop::UNRESOLVED, u16::MAX), "no route");
    }
    assert_eq!(way("nat", "10.8.0.11"), (hop, u16::MAX), "nothing is added");
    assert_eq!(way("l2", "10.0.0.11"), (hop, u16::MAX));
    assert_eq!(way("l2", "10.8.0.11"), (NextHop::UNRESOLVED, u16::MAX), "not on the link");
}

/// The weights and conditions of a pool by the last byte of the address, given how its backends are:
/// up, with how many parts of their weight.
fn pool_of(keys: &str, health: &[(u8, bool, u8)]) -> Vec<(u8, u16, Condition)> {
    pool_with(keys, health, &[])
}

/// As [`pool_of`], with what agents have said.
fn pool_with(
    keys: &str,
    health: &[(u8, bool, u8)],
    lines: &[(u8, &str)],
) -> Vec<(u8, u16, Condition)> {
    let backends = "backend = [{ address = '10.0.0.11', weight = 3 }, { address = '10.0.0.12' }]";
    let text =
        service("web", "80", &format!("forward = 'l2'\ncheck.type = 'tcp'\n{keys}\n{backends}"));
    let config = config(&text);
    let key = |host| {
        let backend = SocketAddr::from(([10, 0, 0, host], 80));
        TargetKey::Service { service: config.services[0].key(), backend }
    };
    let said = |&(host, line): &(u8, &str)| {
        let mut said = Said::default();
        said.hear(line::parse(format!("{line}\n").as_bytes()).unwrap());
        (key(host), said)
    };
    let agents = &lines.iter().map(said).collect();
    let finding = |&(host, up, parts)| {
        (key(host), Finding { up, confirmed: true, parts, reason: String::new() })
    };
    let health: View = health.iter().map(finding).collect();
    let (last_hops, leaving) = (&LastHops::default(), &Leaving::new());
    let (health, topology) = (&health, &topology());
    let desired = derive(Inputs { agents, config: &config, health, topology, last_hops, leaving });
    let pool = desired.services.into_values().flat_map(|service| service.backends);
    let last_byte = |endpoint: Endpoint| match endpoint.address.to_ip() {
        IpAddr::V4(v4) => v4.octets()[3],
        IpAddr::V6(v6) => v6.octets()[15],
    };
    pool.map(|(endpoint, it)| (last_byte(endpoint), it.weight, it.condition)).collect()
}

#[test]
fn what_came_back_has_a_part_of_its_weight() {
    let pool = pool_of("", &[(11, true, 10), (12, true, 4)]);
    assert_eq!(pool, [(11, 30, Condition::UP), (12, 4, Condition::UP)]);
    let pool = pool_of("", &[(11, false, 10)]);
    assert_eq!(pool, [(11, 30, Condition::DOWN), (12, 10, Condition::UP)], "no finding is none");
}

#[test]
fn in_a_panic_the_dead_are_used_as_well() {
    let panic = "panic = '60%'";
    let pool = pool_of(panic, &[(11, false, 10), (12, true, 4)]);
    assert_eq!(pool, [(11, 30, Condition::UP), (12, 10, Condition::UP)], "all of all");
    let pool = pool_of("panic = '50%'", &[(11, false, 10), (12, true, 4)]);
    assert_eq!(pool, [(11, 30, Condition::DOWN), (12, 4, Condition::UP)]);
}

#[test]
fn the_sorry_machine_has_a_line_always_and_a_weight_when_it_is_needed() {
    let sorry = "sorry = { address = '10.0.0.99' }";
    let pool = pool_of(sorry, &[(11, false, 10)]);
    let up = Condition::UP;
    assert_eq!(pool, [(11, 30, Condition::DOWN), (12, 10, up), (99, 0, up)]);
    let pool = pool_of(sorry, &[(11, false, 10), (12, false, 10)]);
    assert_eq!(pool, [(11, 0, Condition::DOWN), (12, 0, Condition::DOWN), (99, 1, up)]);
    let both = format!("panic = '100%'\n{sorry}");
    let pool = pool_of(&both, &[(11, false, 10)]);
    assert_eq!(pool, [(11, 0, Condition::DOWN), (12, 0, up), (99, 1, up)], "12 keeps its flows");
}

#[test]
fn packets_leave_by_the_link_below_a_vlan() {
    let pool = "forward = 'ipip'\nbackend = [{ address = '10.7.0.11' }]";
    let config = config(&service("web", "80", pool));
    let mut inputs = topology();
    let all = desired(&config, &inputs);
    let backend = all.services.values().next().unwrap().backends.values().next().unwrap();
    let tags = [VlanTag::new(0x8100, 7), VlanTag::NONE];
    assert_eq!((backend.way.next_hop.interface, backend.way.next_hop.tags), (2, tags));
    assert_eq!(backend.way.mtu, 9000);
    assert_eq!(all.devices, [2].into(), "the VLAN device itself is none to redirect to");

    // The neighbour is forgotten: the last hop serves on.
    inputs.neighbours.clear();
    let last_hops = LastHops {
        backends: [(ip("10.7.0.11"), backend.way.next_hop)].into(),
        ..LastHops::default()
    };
    let health = &View::new();
    let topology = &inputs;
    let (last_hops, leaving) = (&last_hops, &Leaving::new());
    let agents = &agent::View::new();
    let after = derive(Inputs { agents, config: &config, health, topology, last_hops, leaving });
    assert_eq!(after.services, all.services);
}

#[test]
fn however_few_routes_fit_ipv6_does_not_take_ipv4() {
    let mut topology = topology();
    let router = ip("fe80::fe");
    let route = |to: &str, length| Route {
        prefix: Prefix::new(ip(to), length).unwrap(),
        gateway: Some(router),
        interface: 2,
        metric: 0,
        mtu: None,
    };
    topology.routes = vec![route("::", 0), route("2001:db8::", 32), route("2001:db8:1::", 48)];
    topology.neighbours = [((2, router), MAC)].into();
    let limit = "[limits]\nroutes = 2\n".to_owned();
    let config = config(&(limit + &service("web", "80", "forward = 'nat'")));
    let routes = desired(&config, &topology).routes;
    let default4 = Prefix::new(ip("0.0.0.0"), 0).unwrap();
    assert_eq!(routes.len(), 2);
    assert!(routes[&Prefix::new(ip("::"), 0).unwrap()].is_resolved());
    assert_eq!(routes[&default4], NextHop::UNRESOLVED);
}

#[test]
fn agents_scale_weights_and_take_backends_out() {
    let pool = |keys: &str, health: &[_], lines: &[(u8, &str)]| {
        pool_with(&format!("agent.port = 9000\n{keys}"), health, lines)
    };
    let (up, down) = (Condition::UP, Condition::DOWN);
    assert_eq!(pool("", &[], &[(11, "50%")]), [(11, 1500, up), (12, 1000, up)]);
    assert_eq!(pool("", &[(11, true, 4)], &[(11, "50%")]), [(11, 600, up), (12, 1000, up)]);
    assert_eq!(pool("", &[], &[(11, "0%")]), [(11, 0, up), (12, 1000, up)]);
    let out = |line| pool("", &[], &[(11, line)])[0].2;
    assert_eq!(out("down"), down);
    assert_eq!(out("drain"), Condition::WITHDRAWN);
    assert_eq!(out("maint"), down.with(Condition::WITHDRAWN));
    assert_eq!(out("up ready"), up);
    let failing = pool("", &[(11, false, 10)], &[(11, "up")]);
    assert_eq!(failing[0].2, down, "it cannot make up what is down");

    let panic = "panic = '60%'";
    let conditions =
        |lines: &[_]| pool(panic, &[], lines).into_iter().map(|it| it.2).collect::<Vec<_>>();
    assert_eq!(conditions(&[(11, "down")]), [up, up], "one of two is up: a panic");
    assert_eq!(conditions(&[(11, "drain")]), [Condition::WITHDRAWN, up], "one of one");
    assert_eq!(pool_with("", &[], &[(11, "down")])[0].2, up, "an agent that is not configured");
}

/// The topology with the probe link (8, 9).
fn topology_with_probe_link() -> Topology {
    let mut topology = topology();
    let near = Link { mac: Mac([8; 6]), ..link("lb-probe0", &["240.0.0.1"]) };
    let far = Link { mac: Mac([9; 6]), ..link("lb-probe1", &[]) };
    topology.links.extend([(8, near), (9, far)]);
    topology
}

#[test]
fn checks_through_the_packet_path_come_from_the_link_to_the_backend() {
    let pool = "forward = 'ipip'\nbackend = [{ address = '10.0.0.11' }, { address = '10.7.0.11' }, \
                { address = '10.8.0.11' }]\n";
    let checked = |check: &str| {
        let check = format!("check = {{ type = 'tcp', timeout = '200ms'{check} }}\n");
        let config = config(&[service("web", "80", pool), check].concat());
        desired(&config, &topology_with_probe_link())
    };
    let found = checked("");
    let sources: Vec<_> = found.services.values().flat_map(|it| it.probes.values()).collect();
    let expected = ["10.0.0.1", "10.7.0.1", "10.0.0.1"];
    let expected =
        expected.map(|own| super::super::Probe { source: ip(own).into(), patience: 200 });
    assert!(sources.into_iter().eq(&expected), "{found:?}");
    let probes = found.settings.probes;
    let answers = NextHop {
        interface: 9,
        destination: Mac([8; 6]),
        source: Mac([9; 6]),
        ..NextHop::UNRESOLVED
    };
    assert_eq!(probes.answers, answers);
    assert_eq!(probes.aliases4.own(), ip("240.0.0.1").into());
    assert_eq!(found.settings.stages, Stages::PROBES);
    assert!(found.devices.contains(&9));

    let direct = checked(", through = 'direct'");
    assert_eq!(direct.settings.probes, ProbeSettings::NONE);
    assert!(direct.services.values().all(|service| service.probes.is_empty()));
    assert_eq!(direct.settings.stages, Stages::NONE);
}
