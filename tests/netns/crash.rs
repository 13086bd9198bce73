//! The packets flow while the daemon is dead, and its successor takes over.

use std::{collections::BTreeMap, fs, time::Duration};

use aya::programs::links::{FdLink, PinnedLink};
use lb_tests::{
    download::Download,
    netns::Netns,
    node::Node,
    plan::VIPS,
    run::{output, run},
    site::Site,
    traffic::{Tally, Traffic},
};
use lb_userspace::api::types::{Admin, Backend};

#[test]
fn nothing_is_lost_while_the_daemon_is_dead_and_it_takes_over_what_is_pinned() {
    let site = super::site();
    let mut node = super::node(&site);
    assert!(!node.status().unwrap().took_over);
    let _: String = node.order(&["backend", "drain", "web2", "--service", "app"]).unwrap();
    let traffic = Traffic::start(&site, &VIPS, Duration::from_millis(10)).unwrap();
    let downloads = VIPS.map(|vip| Download::start(&site, vip).unwrap());
    wait_for_answers(&traffic, 20);

    let first = attached(&site);
    crash(&mut node, &traffic, || ());
    assert_replaced_in_place(&first, &attached(&site));
    // The kernel forgets the neighbours: only the maps know them now.
    crash(&mut node, &traffic, || forget_neighbours(&site.lb));

    for (vip, download) in VIPS.iter().zip(&downloads) {
        assert!(download.is_under_way(), "{vip:?}: a download began before and ends after");
    }
    for (vip, download) in VIPS.iter().zip(downloads) {
        let received = download.received();
        download.finish().unwrap();
        println!("{}: {received} bytes during the crashes", vip.service);
    }
    for (service, tally) in traffic.finish() {
        println!("{service}: {:?}", tally.answers);
        assert_eq!(tally.errors, 0, "{service}: {tally:?}");
        assert_eq!(tally.answers.contains_key("web2"), service != "app", "{tally:?}");
    }
    super::assert_nothing_dropped(&node);
    assert_eq!(lost_by_the_driver(&site.lb, "eth0"), BTreeMap::new());
    assert_eq!(lost_by_the_driver(&site.router, "lb"), BTreeMap::new());
}

/// Kills the daemon under traffic, does something meanwhile, and starts the next.
fn crash(node: &mut Node<'_>, traffic: &Traffic, meanwhile: impl FnOnce()) {
    let before = backends(node);
    node.kill();
    meanwhile();
    wait_for_answers(traffic, 200);
    node.restart().unwrap();
    assert!(node.status().unwrap().took_over);
    let after = backends(node);
    for (name, before) in before {
        let Backend { admin, share, traffic, .. } = &after[&name];
        let is_drained = name == ("app".into(), "web2".into());
        assert_eq!(*admin, if is_drained { Admin::Drain } else { Admin::Ready }, "{name:?}");
        assert!((share - before.share).abs() < f64::EPSILON, "{name:?}");
        // Counted on by the program while nobody looked.
        let flows = traffic.packets > before.traffic.packets;
        assert_ne!(flows, is_drained, "{name:?}: {traffic:?}");
    }
    wait_for_answers(traffic, 200);
}

/// The node's link in the kernel, and the program that it runs.
#[derive(Debug)]
struct Attached {
    link: u32,
    program: u32,
}

fn attached(site: &Site) -> Attached {
    let pin = site.pin_dir().join("link-native-eth0");
    let info = FdLink::from(PinnedLink::from_pin(pin).unwrap()).info().unwrap();
    Attached { link: info.id(), program: info.program_id() }
}

/// A new link would leave a moment without any program, which traffic alone may not hit.
fn assert_replaced_in_place(before: &Attached, after: &Attached) {
    assert_eq!(before.link, after.link, "{before:?}, {after:?}");
    assert_ne!(before.program, after.program, "{before:?}, {after:?}");
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

/// The backends by service and name.
fn backends(node: &Node<'_>) -> BTreeMap<(String, String), Backend> {
    let backends = node.backends().unwrap().into_iter();
    backends.map(|b| ((b.service.clone(), b.name.clone()), b)).collect()
}

/// Deletes all neighbour entries, of web servers and of the router.
fn forget_neighbours(lb: &Netns) {
    // `flush all` takes the permanent ones too; `del` takes one at a time, whatever its state.
    for family in ["-4", "-6"] {
        let entries = run(lb.command("ip").args([family, "neigh", "show", "dev", "eth0"])).unwrap();
        let addresses = entries.lines().filter_map(|line| line.split_whitespace().next());
        for address in addresses {
            lb.ip(&format!("neigh del {address} dev eth0")).unwrap();
        }
    }
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
fn a_node_that_is_stopped_leaves_the_traffic_alone_and_the_next_takes_over() {
    let site = super::site();
    let mut node = super::node(&site);
    let traffic = Traffic::start(&site, &VIPS, Duration::from_millis(20)).unwrap();
    wait_for_answers(&traffic, 10);
    let first = attached(&site);
    let ended = node.stop().unwrap();
    assert_eq!(ended.code(), Some(0), "{}", node.log());
    let answer = node.cli(&["status"]).unwrap();
    assert_eq!(answer.status.code(), Some(3), "no daemon answers");
    assert!(fs::exists(site.pin_dir()).unwrap());
    wait_for_answers(&traffic, 100);
    node.restart().unwrap();
    assert!(node.status().unwrap().took_over);
    assert_replaced_in_place(&first, &attached(&site));
    wait_for_answers(&traffic, 20);
    for (service, tally) in traffic.finish() {
        println!("{service}: {:?}", tally.answers);
        assert_eq!(tally.errors, 0, "{service}: {tally:?}");
    }
    super::assert_nothing_dropped(&node);
}

#[test]
fn a_detached_node_is_clean_and_its_traffic_goes_to_the_kernel() {
    let site = super::site();
    let mut node = super::node(&site);
    let detach = || {
        let config = site.folder().path().join("lb.toml");
        output(site.lb_command().unwrap().args(["detach", "--config"]).arg(config)).unwrap()
    };
    let refused = detach();
    assert_eq!(refused.status.code(), Some(1));
    let complaint = String::from_utf8(refused.stderr).unwrap();
    assert!(complaint.contains("lb already runs on this node as process"), "{complaint}");
    assert_eq!(super::who_answers(&site, VIPS[0], 100), ["web1", "web2", "web3"]);

    let _: Option<_> = node.stop();
    let kept = || {
        let shown =
            run(site.lb.command("ip").args(["-d", "neigh", "show", "dev", "eth0"])).unwrap();
        shown.lines().filter(|line| line.contains("managed")).count()
    };
    assert!(kept() > 0, "neighbours outlive the daemon");
    let done = detach();
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(text.starts_with("detached from eth0; "), "{text} {:?}", done.stderr);
    assert!(!site.pin_dir().exists() && !site.runtime_dir().exists());
    assert_eq!(kept(), 0);
    assert!(text.contains(", the probe link removed, "), "{text}");
    let links = run(site.lb.command("ip").args(["link", "show"])).unwrap();
    assert!(!links.contains("lb-probe"), "{links}");
    super::soon("the interface is free", || {
        let shown = run(site.lb.command("ip").args(["link", "show", "eth0"])).unwrap();
        if shown.contains("xdp") { Err(shown) } else { Ok(()) }
    });
    let again = detach();
    assert_eq!(String::from_utf8(again.stdout).unwrap(), "nothing was attached\n");
}
