//! The packets flow while the daemon is dead, and its successor takes over.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    process::{Command, ExitStatus},
    time::Duration,
};

use lb_tests::{
    netns::Netns,
    node::Node,
    plan::VIPS,
    process::Process,
    run::{eventually, run},
    site::Site,
    traffic::{Tally, Traffic},
};

#[test]
fn nothing_is_lost_while_the_daemon_is_dead_and_it_takes_over_what_is_pinned() {
    let site = super::site();
    let mut node = super::node(&site);
    assert!(!node.status().unwrap().took_over);
    let traffic = Traffic::start(&site, &VIPS, Duration::from_millis(10)).unwrap();
    let mut downloads: Vec<_> = VIPS.iter().map(|vip| download(&site, &vip.url("/big"))).collect();
    wait_for_answers(&traffic, 20);
    let before = packets(&node);

    node.kill();
    wait_for_answers(&traffic, 200);
    for download in &mut downloads {
        assert!(download.ended().is_none(), "the downloads outlast the dead time");
    }

    node.restart().unwrap();
    assert!(node.status().unwrap().took_over);
    let after = packets(&node);
    for (backend, before) in before {
        // Counted on by the program while nobody looked.
        assert!(after[&backend] > before, "{backend:?}: {before}, then {}", after[&backend]);
    }
    wait_for_answers(&traffic, 200);

    for download in &mut downloads {
        let status = eventually(Duration::from_mins(1), "a download ends", || {
            download.ended().ok_or_else(|| "it goes on".into())
        });
        assert!(status.as_ref().is_ok_and(ExitStatus::success), "{status:?}");
    }
    for (service, tally) in traffic.finish() {
        assert_eq!(tally.errors, 0, "{service}: {tally:?}");
    }
    for (verdict, count) in node.stats().unwrap().verdicts {
        assert!(!super::is_drop(&verdict) || count == 0, "{verdict}: {count}");
    }
    assert_eq!(lost_by_the_driver(&site.lb, "eth0"), BTreeMap::new());
    assert_eq!(lost_by_the_driver(&site.router, "lb"), BTreeMap::new());
}

/// A download of some seconds.
fn download(site: &Site, url: &str) -> Process {
    let mut curl = site.client.command("curl");
    let null = File::options().write(true).open("/dev/null").unwrap();
    let _: &mut Command = curl.args(["-sS", "-g", "-f", "--limit-rate", "8M", url]).stdout(null);
    Process::start(&mut curl).unwrap()
}

/// Waits for so many more answers from every service.
fn wait_for_answers(traffic: &Traffic, more: u64) {
    let before = traffic.tally();
    super::soon("requests are answered", || {
        let now = traffic.tally();
        let is_short =
            |service: &str, tally: &Tally| tally.answered() < before[service].answered() + more;
        match now.iter().find(|(service, tally)| is_short(service, tally)) {
            None => Ok(()),
            Some((service, tally)) => Err(format!("{service}: {tally:?}")),
        }
    });
}

/// Packets by service and backend.
fn packets(node: &Node<'_>) -> BTreeMap<(String, String), u64> {
    let backends = node.backends().unwrap().into_iter();
    backends.map(|b| ((b.service, b.name), b.traffic.packets)).collect()
}

/// The driver's counters of frames that XDP wanted to send and that did not leave, unless zero.
fn lost_by_the_driver(netns: &Netns, interface: &str) -> BTreeMap<String, u64> {
    let statistics = run(netns.command("ethtool").args(["-S", interface])).unwrap();
    let counters = statistics.lines().filter_map(|line| line.trim().split_once(": "));
    counters
        .filter(|(name, _)| name.ends_with("xdp_tx_errors") || name.ends_with("xdp_drops"))
        .map(|(name, count)| (name.to_owned(), count.parse().unwrap()))
        .filter(|(_, count)| *count > 0)
        .collect()
}

#[test]
fn a_node_that_is_stopped_leaves_the_traffic_alone() {
    let site = super::site();
    let mut node = super::node(&site);
    let traffic = Traffic::start(&site, &VIPS, Duration::from_millis(20)).unwrap();
    wait_for_answers(&traffic, 10);
    node.stop();
    assert!(fs::exists(site.pin_dir()).unwrap());
    wait_for_answers(&traffic, 100);
    for (service, tally) in traffic.finish() {
        assert_eq!(tally.errors, 0, "{service}: {tally:?}");
    }
}
