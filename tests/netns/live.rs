//! Live connections stay where they are while the pool changes.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use lb_tests::{
    config::{Carried, HTTP},
    node::Node,
    plan::VIPS,
    sessions::{Fate, Server, Sessions},
    site::Site,
};
use lb_userspace::api::types::{At, Health};

const PORT: u16 = 7000;
const NAT_PORT: u16 = 7001;
/// A dead server is found within about 200 ms.
const CARRIED: Carried = Carried {
    port: PORT,
    nat_port: NAT_PORT,
    check: "{ type = \"tcp\", interval = \"100ms\", timeout = \"90ms\", rise = 2, fall = 2 }",
    ..HTTP
};

const SESSIONS: usize = 2000;
/// How long the pool changes.
const UNREST: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(1500);
/// The servers that take part; the last is killed at the end.
const SERVERS: usize = 5;
const KILLED: u8 = SERVERS as u8;

/// What an operator does, over and over, to other servers than the one that is killed.
const ORDERS: &[&[&str]] = &[
    &["backend", "drain", "web1"],
    &["backend", "weight", "web2", "8"],
    &["backend", "ready", "web1"],
    &["backend", "drain", "web3"],
    &["backend", "weight", "web2", "1"],
    &["backend", "weight", "web1", "3"],
    &["backend", "ready", "web3"],
    &["backend", "weight", "web1", "1"],
];

#[test]
fn two_thousand_connections_outlive_every_change_of_the_pool() {
    let site = super::site_of(SERVERS);
    let servers: Vec<_> = (1u8..)
        .zip(site.webs())
        .map(|(number, web)| Server::start(web, number, &[PORT, NAT_PORT]).unwrap())
        .collect();
    let node = site.start_node(&site.config_of(&CARRIED)).unwrap();
    node.wait_until_ready().unwrap();
    // Until the second order, the next to last server does not take part.
    let spare = removed(&node, "web4");
    let to = VIPS.iter().map(|vip| (vip.address, PORT).into()).collect();
    // The answers from several networks take more than one second to be missed.
    site.client.ip("route change default via 192.0.2.1 rto_min 1s").unwrap();
    site.client.ip("-6 route change default via 2001:db8:c::1 rto_min 1s").unwrap();
    let sessions = Sessions::start(&site.client, to, SESSIONS).unwrap();
    super::soon("all sessions are answered", || all_live(&sessions));

    let begun = Instant::now();
    let mut orders = 0;
    while begun.elapsed() < UNREST {
        for order in ORDERS {
            let _: String = node.order(order).unwrap();
            thread::sleep(PAUSE);
            assert_unbroken(&sessions.fates(), None);
        }
        for order in &spare {
            let _: String = node.order(&strs(order)).unwrap();
        }
        thread::sleep(PAUSE);
        drop(removed(&node, "web4"));
        orders += ORDERS.len() + 2;
    }
    assert_unbroken(&sessions.fates(), None);
    println!("{SESSIONS} sessions, {orders} changes in {:?}: 0 broken", begun.elapsed());

    let known = kill(&site, &node);
    let fates = super::soon("every session of the killed server is told", || {
        let fates = sessions.fates();
        match of(&fates, KILLED).filter(|fate| matches!(fate, Fate::Live(_))).count() {
            0 => Ok(fates),
            live => Err(format!("{live} go on")),
        }
    });
    report(&fates, known);
    // All others go on.
    thread::sleep(PAUSE);
    let fates = sessions.finish();
    assert_unbroken(&fates, Some(KILLED));
    drop(servers);
}

/// Removes a backend everywhere; gives the orders that add it again.
fn removed(node: &Node<'_>, name: &str) -> Vec<Vec<String>> {
    let backends = node.backends().unwrap();
    let _: String = node.order(&["backend", "remove", name]).unwrap();
    backends
        .into_iter()
        .filter(|backend| backend.name == name)
        .map(|backend| {
            let At::Host { address, port } = backend.at else { panic!("{backend:?}") };
            let (address, port) = (address.to_string(), port.to_string());
            let order =
                ["backend", "add", &backend.service, &address, "--name", name, "--port", &port];
            order.map(str::to_owned).to_vec()
        })
        .collect()
}

fn strs(order: &[String]) -> Vec<&str> {
    order.iter().map(String::as_str).collect()
}

/// Cuts a server's cable; when the node knew.
fn kill(site: &Site, node: &Node<'_>) -> Instant {
    site.router.ip(&format!("link set web{KILLED} down")).unwrap();
    super::soon("the node knows", || {
        let backends = node.backends().map_err(|error| error.to_string())?;
        let name = format!("web{KILLED}");
        let mut killed = backends.iter().filter(|backend| backend.name == name);
        match killed.find(|backend| backend.health != Health::Down) {
            None => Ok(Instant::now()),
            Some(backend) => Err(format!("{backend:?}")),
        }
    })
}

fn all_live(sessions: &Sessions) -> Result<(), String> {
    let fates = sessions.fates();
    assert_unbroken(&fates, None);
    if fates.len() == SESSIONS { Ok(()) } else { Err(format!("{} are", fates.len())) }
}

/// The sessions that a server has or had.
fn of(fates: &BTreeMap<usize, Fate>, wanted: u8) -> impl Iterator<Item = &Fate> {
    fates.values().filter(move |fate| match fate {
        Fate::Live(server) => *server == wanted,
        Fate::Broken { server, .. } => *server == Some(wanted),
    })
}

/// No session ended, but for those of a killed server.
fn assert_unbroken(fates: &BTreeMap<usize, Fate>, killed: Option<u8>) {
    let broken: Vec<_> = fates
        .values()
        .filter(|fate| match fate {
            Fate::Live(_) => false,
            Fate::Broken { server, .. } => server.is_none() || *server != killed,
        })
        .collect();
    assert!(broken.is_empty(), "{} broken, such as {:?}", broken.len(), broken[0]);
}

/// Every session of the killed server ended by a reset, soon after the node knew.
fn report(fates: &BTreeMap<usize, Fate>, known: Instant) {
    let mut delays: Vec<Duration> = of(fates, KILLED)
        .filter_map(|fate| match fate {
            Fate::Live(_) => None,
            Fate::Broken { at, error, .. } => {
                assert!(error.contains("reset"), "{error}");
                Some(at.saturating_duration_since(known))
            }
        })
        .collect();
    delays.sort_unstable();
    assert!(!delays.is_empty(), "the killed server had sessions");
    let (median, last) = (delays[delays.len() / 2], delays[delays.len() - 1]);
    println!(
        "{} sessions told: median {median:?}, last {last:?} after the node knew",
        delays.len()
    );
}
