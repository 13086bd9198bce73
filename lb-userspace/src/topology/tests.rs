use proptest::prelude::*;

use super::*;

const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn prefix(text: &str) -> Prefix {
    let (address, length) = text.split_once('/').unwrap();
    Prefix::new(ip(address), length.parse().unwrap()).unwrap()
}

fn link(number: u8, up: bool) -> (u32, Link) {
    let link = Link {
        name: format!("eth{number}"),
        mac: Mac([2, 0, 0, 0, 1, number]),
        up,
        mtu: 1500,
        vlan: None,
        addresses: Vec::new(),
    };
    (u32::from(number), link)
}

fn route(to: &str, gateway: Option<&str>, interface: u32, metric: u32) -> Route {
    Route { prefix: prefix(to), gateway: gateway.map(ip), interface, metric, mtu: None }
}

fn topology(routes: Vec<Route>, neighbours: &[(u32, &str)]) -> Topology {
    Topology {
        links: [link(1, true), link(2, true), link(3, false)].into(),
        routes,
        neighbours: neighbours.iter().map(|&(link, address)| ((link, ip(address)), MAC)).collect(),
        addresses: [ip("10.0.0.1"), ip("2001:db8::1")].into(),
    }
}

fn hop(interface: u8) -> NextHop {
    NextHop {
        interface: interface.into(),
        destination: MAC,
        source: Mac([2, 0, 0, 0, 1, interface]),
        tags: [VlanTag::NONE; 2],
    }
}

fn via(neighbour: &str, interface: u32, on_link: bool) -> Path {
    Path { neighbour: ip(neighbour), interface, on_link, mtu: 1500 }
}

#[test]
fn interfaces_are_found_by_name_even_when_down() {
    let topology = topology(vec![], &[]);
    assert_eq!(topology.interface("eth3"), Some(3));
    assert_eq!(topology.interface("eth4"), None);
}

#[test]
fn the_longest_prefix_wins_then_the_smallest_metric() {
    let topology = topology(
        vec![
            route("0.0.0.0/0", Some("10.0.0.254"), 1, 0),
            route("10.0.0.0/24", None, 1, 100),
            route("192.0.2.0/24", Some("10.0.0.253"), 1, 20),
            route("192.0.2.0/24", Some("10.0.1.254"), 2, 10),
            route("192.0.2.128/25", Some("10.9.9.9"), 3, 0),
        ],
        &[],
    );
    assert_eq!(topology.path(ip("10.0.0.7")), Some(via("10.0.0.7", 1, true)));
    assert_eq!(topology.path(ip("8.8.8.8")), Some(via("10.0.0.254", 1, false)));
    assert_eq!(topology.path(ip("192.0.2.1")), Some(via("10.0.1.254", 2, false)));
    assert_eq!(topology.path(ip("192.0.2.200")), Some(via("10.0.1.254", 2, false)), "eth3 is down");
    assert_eq!(topology.path(ip("2001:db8::7")), None);
}

#[test]
fn a_next_hop_needs_a_resolved_neighbour_and_a_link_that_is_up() {
    let topology = topology(vec![], &[(1, "10.0.0.7"), (3, "10.0.3.7")]);
    let next_hop = |neighbour, interface| topology.next_hop(&via(neighbour, interface, true));
    assert_eq!(next_hop("10.0.0.7", 1), Some(hop(1)));
    assert_eq!(next_hop("10.0.0.8", 1), None);
    assert_eq!(next_hop("10.0.0.7", 2), None);
    assert_eq!(next_hop("10.0.3.7", 3), None);
    assert_eq!(next_hop("10.0.3.7", 9), None);
}

/// `eth1`, on it VLAN 100 as link 10, on that VLAN 7 as link 11, on that VLAN 8 as link 12.
fn stacked() -> Topology {
    let mut topology = topology(
        [10, 11, 12].map(|link| route(&format!("10.0.{link}.0/24"), None, link, 0)).to_vec(),
        &[(10, "10.0.10.7"), (11, "10.0.11.7"), (12, "10.0.12.7")],
    );
    for (number, lower, protocol, id) in
        [(10, 1, 0x88a8, 100), (11, 10, 0x8100, 7), (12, 11, 0x8100, 8)]
    {
        let (index, mut link) = link(number, true);
        link.vlan = Some(Vlan { lower, tag: VlanTag::new(protocol, id) });
        let _ = topology.links.insert(index, link);
    }
    topology
}

#[test]
fn frames_of_vlan_devices_leave_by_the_link_below_with_tags() {
    let topology = stacked();
    let hop_to = |address| topology.path(ip(address)).and_then(|path| topology.next_hop(&path));
    let [service, inner] = [VlanTag::new(0x88a8, 100), VlanTag::new(0x8100, 7)];
    let by_eth1 = |device, tags| NextHop { interface: 1, tags, ..hop(device) };
    assert_eq!(hop_to("10.0.10.7"), Some(by_eth1(10, [service, VlanTag::NONE])));
    assert_eq!(hop_to("10.0.11.7"), Some(by_eth1(11, [service, inner])));
    assert_eq!(hop_to("10.0.12.7"), None, "three tags are too many");
    assert_eq!(topology.mirror(&BTreeMap::new()).len(), 2);
    let needed = [(10, ip("10.0.10.9"))].into();
    assert_eq!(topology.needed_neighbours(&[ip("10.0.10.9")].into()), needed, "on the device");
}

#[test]
fn a_vlan_device_needs_the_links_below() {
    let mut down = stacked();
    down.links.get_mut(&1).unwrap().up = false;
    assert_eq!(down.egress(11), None);
    let mut elsewhere = stacked();
    elsewhere.links.get_mut(&10).unwrap().vlan.as_mut().unwrap().lower = 0;
    assert_eq!(elsewhere.egress(11), None);
}

#[test]
fn the_last_hop_serves_while_it_leaves_the_same_way() {
    let mut topology = stacked();
    let path = topology.path(ip("10.0.10.7")).unwrap();
    let last = topology.next_hop(&path).unwrap();
    topology.neighbours.clear();
    assert_eq!(topology.next_hop_or_last(&path, Some(&last)), Some(last));
    assert_eq!(topology.next_hop_or_last(&path, None), None);
    let untagged = NextHop { tags: [VlanTag::NONE; 2], ..last };
    assert_eq!(topology.next_hop_or_last(&path, Some(&untagged)), None, "of another VLAN");
    assert_eq!(topology.next_hop_or_last(&path, Some(&NextHop { interface: 2, ..last })), None);
    topology.links.get_mut(&10).unwrap().mac = Mac([6; 6]);
    let moved = NextHop { source: Mac([6; 6]), ..last };
    assert_eq!(topology.next_hop_or_last(&path, Some(&last)), Some(moved), "by its own MAC");
}

#[test]
fn the_shortest_of_link_and_route_limits_packets() {
    let mut routes = vec![route("10.0.0.0/24", None, 1, 0), route("10.0.1.0/24", None, 1, 0)];
    routes[1].mtu = Some(1400);
    let mut topology = topology(routes, &[]);
    let mtus =
        |topology: &Topology| ["10.0.0.7", "10.0.1.7"].map(|to| topology.path(ip(to)).unwrap().mtu);
    assert_eq!(mtus(&topology), [1500, 1400]);
    topology.links.get_mut(&1).unwrap().mtu = 1280;
    assert_eq!(mtus(&topology), [1280, 1280]);
}

#[test]
fn the_mirror_has_routers_prefixes_and_hosts() {
    let topology = topology(
        vec![
            route("0.0.0.0/0", Some("10.0.0.254"), 1, 0),
            route("10.0.0.0/24", None, 1, 0),
            route("198.51.100.0/24", Some("10.0.0.253"), 1, 0),
            route("2001:db8::/64", None, 2, 0),
            route("2001:db8:1::/48", Some("fe80::1"), 2, 0),
            route("fe80::/64", None, 2, 0),
            route("224.0.0.0/4", Some("10.0.0.254"), 1, 0),
        ],
        &[
            (1, "10.0.0.254"),
            (1, "10.0.0.7"),
            (1, "10.0.0.1"),
            (1, "203.0.113.9"),
            (2, "10.0.0.8"),
            (2, "fe80::1"),
            (2, "2001:db8::7"),
            (2, "ff02::1"),
        ],
    );
    let expected = [
        (prefix("0.0.0.0/0"), hop(1)),
        (prefix("10.0.0.254/32"), hop(1)),
        (prefix("10.0.0.7/32"), hop(1)),
        (prefix("2001:db8::7/128"), hop(2)),
        (prefix("2001:db8:1::/48"), hop(2)),
    ];
    assert_eq!(topology.mirror(&BTreeMap::new()), expected.into());
}

#[test]
fn a_prefix_keeps_its_last_hop_while_its_router_is_not_resolved() {
    let routes = |interface| {
        vec![
            route("0.0.0.0/0", Some("10.0.0.254"), interface, 0),
            route("192.0.2.0/24", Some("10.0.0.253"), interface, 0),
        ]
    };
    let before = topology(routes(1), &[(1, "10.0.0.254")]).mirror(&BTreeMap::new());
    let expected = BTreeMap::from([(prefix("0.0.0.0/0"), hop(1))]);
    let forgotten = topology(routes(1), &[]);
    assert_eq!(forgotten.mirror(&before), expected);
    assert_eq!(forgotten.mirror(&forgotten.mirror(&before)), expected, "for as long as it takes");
    assert_eq!(topology(routes(2), &[]).mirror(&before), [].into(), "it is another link's");
    assert_eq!(topology(routes(3), &[]).mirror(&before), [].into(), "the link is down");
    assert_eq!(topology(vec![], &[]).mirror(&before), [].into(), "the route is gone");
}

#[test]
fn an_ipv6_default_route_does_not_catch_ipv4() {
    let routes =
        vec![route("::/0", Some("2001:db8::fe"), 2, 0), route("2001:db8::/64", None, 2, 0)];
    let topology = topology(routes, &[(2, "2001:db8::fe")]);
    assert_eq!(topology.path(ip("192.0.2.1")), None);
    let mirror = topology.mirror(&BTreeMap::new());
    assert_eq!(mirror.get(&prefix("::/0")), Some(&hop(2)));
    assert_eq!(mirror.get(&prefix("0.0.0.0/0")), Some(&NextHop::UNRESOLVED));
}

#[test]
fn needed_are_the_neighbours_of_wanted_addresses_and_all_routers() {
    let topology = topology(
        vec![
            route("10.0.0.0/24", None, 1, 0),
            route("0.0.0.0/0", Some("10.0.0.254"), 1, 0),
            route("::/0", Some("fe80::1"), 2, 0),
            route("172.16.0.0/12", Some("10.0.3.1"), 3, 0),
        ],
        &[],
    );
    let wanted = ["10.0.0.7", "192.0.2.1", "10.0.0.1"].map(ip).into();
    let expected = [(1, ip("10.0.0.7")), (1, ip("10.0.0.254")), (2, ip("fe80::1"))];
    assert_eq!(topology.needed_neighbours(&wanted), expected.into());
}

fn any_address() -> impl Strategy<Value = IpAddr> {
    // Few distinct bits, so that prefixes nest and addresses meet them.
    prop_oneof![
        (any::<u8>(), 0..4u8).prop_map(|(a, b)| IpAddr::from([10, a & 0x81, 0, b])),
        (any::<u8>(), 0..4u8).prop_map(|(a, b)| {
            let mut octets = [0; 16];
            (octets[0], octets[5], octets[15]) = (0x20, a & 0x81, b);
            IpAddr::from(octets)
        }),
    ]
}

fn any_route() -> impl Strategy<Value = Route> {
    (any_address(), 0..=128u8, any::<bool>(), 1..=3u32, 0..3u32).prop_map(
        |(address, length, gateway, interface, metric)| Route {
            prefix: Prefix::new(address, if address.is_ipv4() { length / 4 } else { length })
                .unwrap(),
            gateway: gateway.then(|| {
                let host = u8::try_from(interface).unwrap();
                if address.is_ipv4() { [10, 0, 0, host].into() } else { ip("2000::1") }
            }),
            interface,
            metric,
            mtu: None,
        },
    )
}

/// The longest prefix by comparing bits one by one.
fn naive_path(topology: &Topology, to: IpAddr) -> Option<Path> {
    let bit = |address: &Addr, n: u32| address.octets()[n as usize / 8] >> (7 - n % 8) & 1;
    let to_wire = Addr::from(to);
    let mut best: Option<&Route> = None;
    for route in &topology.routes {
        let family = route.prefix.address.is_v4() == to.is_ipv4();
        let matches =
            (0..route.prefix.length).all(|n| bit(&route.prefix.address, n) == bit(&to_wire, n));
        let better = best.is_none_or(|best| {
            route.prefix.length > best.prefix.length
                || route.prefix.length == best.prefix.length && route.metric < best.metric
        });
        if family && matches && better && topology.links[&route.interface].up {
            best = Some(route);
        }
    }
    best.map(|route| topology.path_by(route, to))
}

/// What the kernel's LPM trie would answer.
fn lookup(mirror: &BTreeMap<Prefix, NextHop>, to: IpAddr) -> Option<NextHop> {
    (0..=128).rev().find_map(|length| mirror.get(&masked(to, length)).copied())
}

proptest! {
    #[test]
    fn paths_are_those_of_the_naive_model(
        routes in prop::collection::vec(any_route(), 0..12),
        to in any_address(),
    ) {
        let topology = topology(routes, &[]);
        let expected = naive_path(&topology, to);
        prop_assert_eq!(topology.path(to), expected);
        let best = topology.best_routes();
        let found = longest(&best, to).map(|route| topology.path_by(route, to));
        prop_assert_eq!(found, expected);
    }

    /// With all neighbours resolved, the packet path goes where `path` says.
    #[test]
    fn the_mirror_agrees_with_the_paths(
        routes in prop::collection::vec(any_route(), 0..12),
        to in any_address(),
    ) {
        let mut topology = topology(routes, &[]);
        topology.addresses.clear();
        for interface in 1..=3 {
            let gateways = topology.routes.iter().filter_map(|route| route.gateway);
            for neighbour in gateways.chain([to]).collect::<Vec<_>>() {
                let _ = topology.neighbours.insert((interface, neighbour), MAC);
            }
        }
        let expected = topology.path(to).and_then(|path| topology.next_hop(&path));
        let found = lookup(&topology.mirror(&BTreeMap::new()), to).filter(NextHop::is_resolved);
        prop_assert_eq!(found, expected);
    }
}
