//! In by one interface, and out by others.

use lb_tests::{
    config::HTTP,
    netns::{End, veth},
    plan::{Forward, VIPS},
    run::run,
    site::Site,
};

/// A second cable from the node to a server.
fn cable(site: &Site, number: usize) {
    let (lb, web) = (&site.lb, &site.web(number).netns);
    let name = format!("wire{number}");
    veth(End { netns: lb, name: &name }, End { netns: web, name: "wire" }).unwrap();
    for (netns, name, host) in [(lb, name.as_str(), 1), (web, "wire", 2)] {
        netns.checksum_in_software(name).unwrap();
        drop(run(netns.command("ethtool").args(["-K", name, "gro", "on"])).unwrap());
        netns.ip(&format!("addr add 10.9.{number}.{host}/24 dev {name}")).unwrap();
        netns.ip(&format!("addr add fd09:{number}::{host}/64 dev {name} nodad")).unwrap();
    }
}

#[test]
fn backends_behind_other_interfaces_are_reached() {
    let site = super::site();
    (1..=3).for_each(|number| cable(&site, number));
    let mut config = site
        .node_table(&site.pin_dir(), "eth0")
        .replace("\"eth0\"", "\"eth0\", \"wire1\", \"wire2\", \"wire3\"");
    for vip in VIPS.into_iter().filter(|vip| vip.forward == Forward::L2) {
        let mut table = site.service_table(vip, &HTTP);
        for number in 1..=3 {
            let (old, new) = if vip.address.is_ipv4() {
                (format!("\"10.0.0.1{number}\""), format!("\"10.9.{number}.2\""))
            } else {
                (format!("\"fd00:0:0:1::1{number}\""), format!("\"fd09:{number}::2\""))
            };
            assert!(table.contains(&old), "{table}");
            table = table.replace(&old, &new);
        }
        config += &table;
    }
    let node = site.start_node(&config).unwrap();
    node.wait_until_ready().unwrap();
    for vip in VIPS.into_iter().filter(|vip| vip.forward == Forward::L2) {
        let answers = super::connections(&site, &vip.url("/"), 300);
        println!("{}: {answers:?}", vip.service);
        assert_eq!(answers.len(), 3, "{vip:?}: {answers:?}");
    }
    let verdicts = node.stats().unwrap().verdicts;
    assert!(verdicts["redirected"] > 0, "{verdicts:?}");
    super::assert_nothing_dropped(&node);
}
