//! The topology of real network namespaces. Needs root.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test's helpers fail by panicking")]

#[path = "support/netns.rs"]
mod netns;
mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use lb_common::route::Prefix;
use lb_userspace::topology::{Path, Route, Topology, netlink};
use netns::{Namespace, connect};
use tokio::{sync::watch, time::timeout};

/// Far more than anything here takes; only a failure waits so long.
const PATIENCE: Duration = Duration::from_secs(20);

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn prefix(address: &str, length: u8) -> Prefix {
    Prefix::new(ip(address), length).unwrap()
}

/// A node with `lb0` towards a network with a router and a backend.
struct Site {
    node: Namespace,
    far: Namespace,
}

impl Site {
    fn new() -> Self {
        let site = Self { node: Namespace::new(), far: Namespace::new() };
        connect((&site.node, "lb0"), (&site.far, "far0"));
        let node = ["addr add 10.7.0.1/24 dev lb0", "addr add 2001:db8:7::1/64 dev lb0 nodad"];
        let far = [
            "addr add 10.7.0.2/24 dev far0",
            "addr add 10.7.0.3/24 dev far0",
            "addr add 2001:db8:7::2/64 dev far0 nodad",
        ];
        for command in node.into_iter().chain(["link set lb0 up"]) {
            let _ = site.node(command);
        }
        for command in far.into_iter().chain(["link set far0 up"]) {
            let _ = site.far(command);
        }
        site
    }

    fn node(&self, command: &str) -> String {
        self.node.run(&format!("ip {command}"))
    }

    fn far(&self, command: &str) -> String {
        self.far.run(&format!("ip {command}"))
    }

    /// Runs a test in the node's namespace, on a runtime of that thread alone.
    fn test<F: Future<Output = ()>>(&self, test: impl FnOnce() -> F + Send) {
        self.node.enter(|| {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(test());
        });
    }

    /// The kernel's words on a neighbour of the node.
    fn neighbour(&self, address: &str) -> String {
        self.node(&format!("-d neigh show {address} dev lb0"))
    }
}

struct Watched {
    wanted: watch::Sender<BTreeSet<IpAddr>>,
    topology: watch::Receiver<Arc<Topology>>,
}

impl Watched {
    fn new(wanted: &[&str]) -> Self {
        let (wanted, receiver) = watch::channel(wanted.iter().map(|text| ip(text)).collect());
        let (topology, _) = netlink::spawn(receiver).unwrap();
        Self { wanted, topology }
    }

    async fn until(&mut self, what: &str, condition: impl FnMut(&Arc<Topology>) -> bool) {
        let seen = timeout(PATIENCE, self.topology.wait_for(condition)).await;
        drop(seen.unwrap_or_else(|_| panic!("never: {what}")).unwrap());
    }
}

fn has_route(topology: &Topology, to: Prefix) -> bool {
    topology.routes.iter().any(|route| route.prefix == to)
}

async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let poll = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, poll).await.unwrap_or_else(|_| panic!("never: {what}"));
}

#[test]
fn a_snapshot_has_links_addresses_routes_and_neighbours() {
    let site = Site::new();
    for command in [
        "neigh add 10.7.0.9 dev lb0 lladdr 02:00:00:00:00:09 nud permanent",
        "neigh add 10.7.0.8 dev lb0 nud failed",
        "route add 192.0.2.0/24 via 10.7.0.9 metric 7",
        "route add blackhole 198.51.100.0/24",
        "route add unreachable 203.0.113.0/24",
        "-6 route add prohibit 2001:db8:bad::/48",
        "route add 10.99.0.0/16 via 10.7.0.9 table 100",
        "link add dead type veth peer name dead-peer",
        "link set dead up",
        "route add 10.98.0.0/16 nexthop via 10.6.0.9 dev dead onlink nexthop via 10.7.0.9",
        "route add 10.97.0.0/16 via inet6 2001:db8:7::2 dev lb0",
        "-6 route add default via 2001:db8:7::2",
    ] {
        let _ = site.node(command);
    }
    site.test(|| async {
        let topology = netlink::snapshot().await.unwrap();
        let index = topology.interface("lb0").unwrap();
        assert!(topology.links[&index].up);
        assert!(!topology.links[&topology.interface("dead").unwrap()].up, "it has no carrier");
        assert!(topology.addresses.contains(&ip("10.7.0.1")));
        assert!(topology.addresses.contains(&ip("2001:db8:7::1")));
        assert!(topology.neighbours.contains_key(&(index, ip("10.7.0.9"))));
        assert!(!topology.neighbours.contains_key(&(index, ip("10.7.0.8"))));

        assert!(topology.routes.iter().all(|r| r.prefix != prefix("2001:db8:bad::", 48)));

        let route = |to, gateway: Option<&str>, metric| Route {
            prefix: to,
            gateway: gateway.map(ip),
            interface: index,
            metric,
            mtu: None,
        };
        let mut routes = topology.routes.clone();
        routes.retain(|r| {
            r.interface == index && !r.prefix.address.to_ip().to_string().starts_with("fe80")
        });
        routes.sort_by_key(|r| r.prefix);
        let mut expected = vec![
            route(prefix("10.7.0.0", 24), None, 0),
            route(prefix("192.0.2.0", 24), Some("10.7.0.9"), 7),
            route(prefix("10.98.0.0", 16), Some("10.7.0.9"), 0),
            route(prefix("10.97.0.0", 16), Some("2001:db8:7::2"), 0),
            route(prefix("2001:db8:7::", 64), None, 256),
            route(prefix("::", 0), Some("2001:db8:7::2"), 1024),
        ];
        expected.sort_by_key(|r| r.prefix);
        assert_eq!(routes, expected);
        let on_link =
            Path { neighbour: ip("10.7.0.9"), interface: index, on_link: true, mtu: 1500 };
        assert_eq!(topology.path(ip("10.7.0.9")), Some(on_link));
        assert!(topology.next_hop(&on_link).is_some());
    });
}

#[test]
fn paths_have_the_mtu_of_link_and_route_and_links_their_lasting_addresses() {
    let site = Site::new();
    for command in [
        "link set lb0 mtu 1400",
        "route add 192.0.2.0/24 via 10.7.0.2 mtu 1300",
        "addr add 10.7.0.4/24 dev lb0",
        "addr add 2001:db8:7::4/64 dev lb0 nodad preferred_lft 0",
    ] {
        let _ = site.node(command);
    }
    site.test(|| async {
        let topology = netlink::snapshot().await.unwrap();
        let mtu = |address| topology.path(ip(address)).unwrap().mtu;
        assert_eq!([mtu("10.7.0.2"), mtu("2001:db8:7::2"), mtu("192.0.2.1")], [1400, 1400, 1300]);
        let link = &topology.links[&topology.interface("lb0").unwrap()];
        let lasting: Vec<_> = link.addresses.iter().filter(|it| it.is_ipv4()).collect();
        assert_eq!(lasting, [&ip("10.7.0.1"), &ip("10.7.0.4")]);
        assert!(link.addresses.contains(&ip("2001:db8:7::1")));
        assert!(!link.addresses.contains(&ip("2001:db8:7::4")), "it is deprecated");
        assert_eq!(link.vlan, None);
    });
}

type Seen<'a> = &'a dyn Fn(&Topology) -> bool;

/// More changes one after another than periodic dumps would show in time.
#[test]
fn notifications_tell_of_every_change() {
    let site = Site::new();
    let (net4, net6) = (prefix("192.0.2.0", 24), prefix("2001:db8:2::", 48));
    let host = ip("10.7.0.77");
    site.test(|| async {
        let mut watched = Watched::new(&[]);
        watched.until("the links", |t| t.interface("lb0").is_some()).await;
        let cases: [(&str, &str, Seen<'_>); 5] = [
            ("route add 192.0.2.0/24 dev lb0", "route del 192.0.2.0/24", &|t| has_route(t, net4)),
            ("route add 2001:db8:2::/48 dev lb0", "route del 2001:db8:2::/48", &|t| {
                has_route(t, net6)
            }),
            ("link add lb1 type veth peer name far1", "link del lb1", &|t| {
                t.interface("lb1").is_some()
            }),
            ("addr add 10.7.7.7/32 dev lb0", "addr del 10.7.7.7/32 dev lb0", &|t| {
                t.addresses.contains(&ip("10.7.7.7"))
            }),
            (
                "neigh add 10.7.0.77 dev lb0 lladdr 02:00:00:00:00:77",
                "neigh del 10.7.0.77 dev lb0",
                &|t| t.mirror(&BTreeMap::new()).contains_key(&Prefix::host(host.into())),
            ),
        ];
        for (add, remove, seen) in cases {
            let rounds = async {
                for _ in 0..5 {
                    let _ = site.node(add);
                    watched.until(add, |t| seen(t)).await;
                    let _ = site.node(remove);
                    watched.until(remove, |t| !seen(t)).await;
                }
            };
            timeout(PATIENCE, rounds).await.unwrap_or_else(|_| panic!("only by dumps: {add}"));
        }
    });
}

#[test]
fn wanted_neighbours_and_routers_are_resolved_and_kept() {
    let site = Site::new();
    let _ = site.node("route add default via 10.7.0.3");
    site.test(|| async {
        let mut watched = Watched::new(&["10.7.0.2", "2001:db8:7::2"]);
        for address in ["10.7.0.2", "2001:db8:7::2", "198.51.100.1"] {
            let next_hop = |t: &Topology| t.path(ip(address)).and_then(|path| t.next_hop(&path));
            watched.until(address, |t| next_hop(t).is_some()).await;
        }
        for neighbour in ["10.7.0.2", "2001:db8:7::2", "10.7.0.3"] {
            let entry = site.neighbour(neighbour);
            assert!(entry.contains(" managed "), "{entry}");
        }

        // An entry that is lost is asked for again.
        let _ = site.node("neigh del 10.7.0.2 dev lb0");
        eventually("managed again", || site.neighbour("10.7.0.2").contains("managed")).await;

        // Nobody needs it any more; the router stays.
        let _ = watched.wanted.send_replace([ip("2001:db8:7::2")].into());
        let released = || !site.neighbour("10.7.0.2").contains("managed");
        eventually("released", released).await;
        assert!(site.neighbour("10.7.0.3").contains("managed"));
        assert!(site.neighbour("2001:db8:7::2").contains("managed"));
    });
}

#[test]
fn a_new_router_is_kept_instead_of_the_old_one() {
    let site = Site::new();
    let _ = site.node("route add 192.0.2.0/24 via 10.7.0.2");
    site.test(|| async {
        let _watched = Watched::new(&["192.0.2.1"]);
        eventually("first", || site.neighbour("10.7.0.2").contains("managed")).await;
        let _ = site.node("route replace 192.0.2.0/24 via 10.7.0.3");
        eventually("second", || site.neighbour("10.7.0.3").contains("managed")).await;
        eventually("released", || !site.neighbour("10.7.0.2").contains("managed")).await;
    });
}

#[test]
fn a_restarted_node_knows_its_own_neighbours_and_leaves_others_alone() {
    let site = Site::new();
    let _ = site.node("neigh replace 10.7.0.3 dev lb0 managed");
    let _ = site.node("neigh add 10.7.0.9 dev lb0 lladdr 02:00:00:00:00:09 nud permanent");
    site.test(|| async {
        let watched = Watched::new(&["10.7.0.2", "10.7.0.9"]);
        eventually("kept", || site.neighbour("10.7.0.2").contains("managed")).await;
        drop(watched);
    });
    assert!(site.neighbour("10.7.0.2").contains("managed"), "it outlives the daemon");
    site.test(|| async {
        let _watched = Watched::new(&[]);
        eventually("released", || !site.neighbour("10.7.0.2").contains("managed")).await;
        assert!(site.neighbour("10.7.0.3").contains("managed"));
        assert!(site.neighbour("10.7.0.9").contains("PERMANENT"));
    });
}

#[test]
fn a_link_that_goes_down_takes_its_paths_along() {
    let site = Site::new();
    site.test(|| async {
        let mut watched = Watched::new(&["10.7.0.2"]);
        let next_hop = |t: &Topology| t.next_hop(&t.path(ip("10.7.0.2"))?);
        watched.until("a next hop", |t| next_hop(t).is_some()).await;
        let _ = site.far("link set far0 down");
        watched.until("no carrier", |t| next_hop(t).is_none()).await;
        let _ = site.far("link set far0 up");
        watched.until("a next hop again", |t| next_hop(t).is_some()).await;
        let _ = site.node("link del lb0");
        watched.until("no link", |t| t.interface("lb0").is_none()).await;
    });
}

/// Far more notifications than the socket holds, while nobody reads them.
#[test]
fn an_overflow_of_notifications_is_survived() {
    let site = Site::new();
    let batch = tempfile::NamedTempFile::new().unwrap();
    let routes = (0..20_000u32).map(|n| {
        let [_, b, c, d] = n.to_be_bytes();
        format!("route add 172.{}.{c}.{d}/32 via 10.7.0.2\n", 16 + b)
    });
    std::fs::write(batch.path(), routes.collect::<String>()).unwrap();
    site.test(|| async {
        let mut watched = Watched::new(&[]);
        watched.until("the links", |t| t.interface("lb0").is_some()).await;
        let _ = site.node(&format!("-batch {}", batch.path().display()));
        assert!(dropped_notifications(&site.node) > 0, "the socket did not overflow");
        watched.until("all routes", |t| t.routes.len() > 20_000).await;
    });
}

/// The sum of the column `Drops` of the namespace's netlink sockets.
fn dropped_notifications(namespace: &Namespace) -> u64 {
    let table = namespace.run("cat /proc/thread-self/net/netlink");
    let mut lines = table.lines().map(str::split_whitespace);
    let column = lines.next().unwrap().position(|name| name == "Drops").unwrap();
    lines.map(|mut words| words.nth(column).unwrap().parse::<u64>().unwrap()).sum()
}
