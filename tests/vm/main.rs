//! A whole node in a virtual machine: native XDP on virtio-net, and the kernel's own tunnel devices
//! as the backends' ends. The machine's two network cards are joined by a cable.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends by panicking")]

use std::{fs, time::Duration};

use lb_tests::{
    cleanup,
    config::{Carried, HTTP},
    node::Node,
    plan::{Forward, VIPS},
    run::{eventually, run},
    site::{Options, Site, mount_bpffs},
};

/// Where the node's tunnel packets come from: nobody has these addresses.
const SOURCES: [&str; 2] = ["10.0.0.64/26", "fd00:0:0:1::6:0/112"];
/// An emulated machine takes seconds for what others do in none.
const CHECK: &str = "{ type = \"http\", path = \"/\", port = 80, interval = \"2s\", \
                     timeout = \"1900ms\", rise = 1, fall = 5 }";
/// Other kernels than those of virtual machines often have no VLAN devices.
const VLAN: u16 = 10;
const BIG: usize = 2_000_000;
const REQUESTS: usize = 30;

#[test]
fn every_mode_carries_real_tcp_over_virtio() {
    drop(cleanup::clean_dead_tests().unwrap());
    let _: bool = mount_bpffs().unwrap();
    let options = Options {
        webs: 2,
        big_bytes: BIG,
        cable: Some(cards()),
        ..Options::new(cleanup::test_prefix(0))
    };
    let site = Site::build(&options).unwrap();
    for (direct, crossed) in
        [("l2", false), ("ipip", false), ("ipip", true), ("gue", false), ("gue", true)]
    {
        carry(&site, direct, crossed);
    }
    site.tag(VLAN).unwrap();
    carry(&site, "l2", false);
}

/// The machine's virtio-net interfaces.
fn cards() -> [String; 2] {
    let interfaces = fs::read_dir("/sys/class/net").unwrap();
    let mut cards: Vec<String> = interfaces
        .map(|entry| entry.unwrap())
        .filter(|entry| {
            let driver = fs::read_link(entry.path().join("device/driver"));
            driver.is_ok_and(|driver| driver.ends_with("virtio_net"))
        })
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    cards.sort_unstable();
    cards.try_into().unwrap_or_else(|cards| panic!("two virtio network cards, not {cards:?}"))
}

/// Requests and downloads by every VIP, in `nat` and another mode.
fn carry(site: &Site, direct: &'static str, crossed: bool) {
    if direct != "l2" {
        set_backends_up(site, direct, crossed);
    }
    let node = site.start_node(&config(site, Carried { check: CHECK, direct, crossed, ..HTTP }));
    let node = node.unwrap();
    node.wait_until_ready().unwrap();
    let interfaces = node.status().unwrap().interfaces;
    assert!(interfaces.iter().all(|it| it.mode == "native"), "{interfaces:?}");
    for vip in VIPS {
        let mode = if vip.forward == Forward::L2 { direct } else { "nat" };
        let what = format!("{mode} by {}, crossed: {crossed}", vip.address);
        let answers = answers(site, &vip.url("/"), &what);
        assert_eq!(answers, ["web1", "web2"], "{what}");
        let body = site.curl(&site.client, &vip.url("/big"), &[]).unwrap();
        assert!(body.stdout == fs::read(site.big()).unwrap(), "{what}: /big: {body:?}");
        println!("{what}: {REQUESTS} requests, {BIG} bytes");
    }
    assert_nothing_lost(&node);
}

fn config(site: &Site, carried: Carried) -> String {
    let sources = format!("tunnel_source = {SOURCES:?}\n");
    let services: String = VIPS.iter().map(|vip| site.service_table(*vip, &carried)).collect();
    site.node_table(&site.pin_dir(), "eth0") + &sources + &services
}

/// Has `lb backend-setup` make the kernel's tunnel devices on every server.
fn set_backends_up(site: &Site, mode: &str, crossed: bool) {
    let direct = || VIPS.iter().filter(|vip| vip.forward == Forward::L2);
    for web in site.webs() {
        for vip in direct() {
            let outer_v4 = vip.address.is_ipv4() != crossed;
            let source = SOURCES[usize::from(!outer_v4)];
            let mut lb = web.netns.command(lb_tests::workspace::lb_binary().unwrap());
            let setup = lb
                .args(["backend-setup", "--apply", "--tunnel", "kernel", "--mode", mode])
                .args(["--vip", &vip.address.to_string(), "--from", source]);
            println!("{}", run(setup).unwrap());
        }
    }
}

/// Who answers requests, each over a connection of its own.
fn answers(site: &Site, url: &str, what: &str) -> Vec<String> {
    let mut curl = site.client.command("curl");
    let _ = curl.args(["-sS", "-g", "-f", "--max-time", "60", "-H", "Connection: close"]);
    let urls = std::iter::repeat_n(url, REQUESTS);
    let stdout = run(curl.args(urls)).unwrap_or_else(|error| panic!("{what}: {error}"));
    let mut names: Vec<String> = stdout.lines().map(str::to_owned).collect();
    assert_eq!(names.len(), REQUESTS, "{what}: {stdout}");
    names.sort_unstable();
    names.dedup();
    names
}

/// Only what did not fit through a tunnel was dropped, and the client was told. A check may be lost that was
/// sent before its way was known.
fn assert_nothing_lost(node: &Node<'_>) {
    let lost = eventually(Duration::from_secs(5), "the counters", || {
        let verdicts = node.stats().map_err(|error| error.to_string())?.verdicts;
        let kind = |name: &str| {
            let mut known = lb_common::verdict::Verdict::ALL.iter();
            known.find(|verdict| verdict.as_str() == name).map(|verdict| verdict.kind())
        };
        let dropped = |(name, count): &(String, u64)| {
            *count > 0 && kind(name) == Some(lb_common::verdict::Kind::Dropped)
        };
        Ok(verdicts.into_iter().filter(dropped).collect::<Vec<_>>())
    });
    let lost = lost.unwrap();
    let is_no_loss = |name: &str| ["rate-limited", "probe-lost"].contains(&name);
    assert!(lost.iter().all(|(name, _)| is_no_loss(name)), "{lost:?}");
}
