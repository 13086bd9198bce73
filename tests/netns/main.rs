//! Whole nodes with real servers in network namespaces. Needs root and the `lb` binary.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends by panicking")]

mod agent;
mod balance;
mod certificates;
mod chaos;
mod checks;
mod crash;
mod database;
mod decap;
mod demo;
mod ecmp;
mod emergency;
mod explain;
mod failover;
mod firewall;
mod health;
mod interfaces;
mod live;
mod memory;
mod monitor;
mod mtu;
mod pair;
mod pools;
mod probe;
mod proxy;
mod refusals;
mod reload;
mod rings;
mod site;
mod split;
mod tunnel;
mod udp;
mod upgrade;
mod vrrp;

use std::{
    collections::BTreeMap,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use lb_common::verdict::{Kind, Verdict};
use lb_tests::{
    cleanup,
    node::Node,
    plan::Vip,
    run::{eventually, run},
    site::{Options, Site, mount_bpffs},
};

/// A site of its own for a test.
fn site() -> Site {
    site_of(3)
}

/// A site with so many web servers, with what crashed runs left removed first.
fn site_of(webs: usize) -> Site {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    drop(cleanup::clean_dead_tests().unwrap());
    let _: bool = mount_bpffs().unwrap();
    let prefix = cleanup::test_prefix(NUMBER.fetch_add(1, Ordering::Relaxed));
    Site::build(&Options { webs, ..Options::new(prefix) }).unwrap()
}

/// A node over the site's four services, ready for traffic.
fn node(site: &Site) -> Node<'_> {
    let node = site.start_node(&site.config()).unwrap();
    node.wait_until_ready().unwrap();
    node
}

/// Waits for something that the node is expected to do within a few seconds.
fn soon<T>(what: &str, look: impl FnMut() -> Result<T, String>) -> T {
    match eventually(Duration::from_secs(15), what, look) {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}

/// `count` connections one after another, by what was answered, a line each; none may fail.
fn connections(site: &Site, url: &str, count: usize) -> BTreeMap<String, usize> {
    let mut curl = site.client.command("curl");
    // curl counts through the range itself; the header makes it open a connection each time.
    let _: &mut Command = curl
        .args(["-sS", "-f", "--max-time", "10", "-H", "Connection: close"])
        .arg(format!("{url}?[1-{count}]"));
    let stdout = run(&mut curl).unwrap();
    let mut answers = BTreeMap::new();
    for answer in stdout.lines() {
        *answers.entry(answer.to_owned()).or_default() += 1;
    }
    assert_eq!(answers.values().sum::<usize>(), count, "{url}: {answers:?}");
    answers
}

/// The names of the web servers that answer `count` connections.
fn who_answers(site: &Site, vip: Vip, count: usize) -> Vec<String> {
    connections(site, &vip.url("/"), count).into_keys().collect()
}

/// No packet was dropped, on whatever grounds.
fn assert_nothing_dropped(node: &Node<'_>) {
    let verdicts = node.stats().unwrap().verdicts.into_iter();
    let drops: Vec<_> = verdicts.filter(|(name, count)| is_drop(name) && *count > 0).collect();
    assert!(drops.is_empty(), "{drops:?}");
}

/// Whether a verdict, by its name in `lb stats`, ends a packet of somebody else's: the node's own checks
/// may begin before the way to a backend is known.
fn is_drop(verdict: &str) -> bool {
    let is_named = |known: &&Verdict| known.as_str() == verdict;
    let known = *Verdict::ALL.iter().find(is_named).unwrap();
    known.kind() == Kind::Dropped && known != Verdict::ProbeLost
}
