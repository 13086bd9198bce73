//! In by one interface, and out by another one's VLAN.

use lb_tests::{
    config::HTTP,
    netns::{End, Netns, veth},
    plan::{Forward, VIPS},
    run::run,
    site::Site,
};

/// A second cable from the node to a server, with tags that stand in the frames.
fn cable(site: &Site, number: usize, tags: &[(u16, &str)]) {
    let (lb, web) = (&site.lb, &site.web(number).netns);
    let name = format!("wire{number}");
    veth(End { netns: lb, name: &name }, End { netns: web, name: "wire" }).unwrap();
    for (netns, name, host) in [(lb, name.as_str(), 1), (web, "wire", 2)] {
        for end in ["txvlan", "rxvlan"] {
            drop(run(netns.command("ethtool").args(["-K", name, end, "off"])).unwrap());
        }
        netns.checksum_in_software(name).unwrap();
        drop(run(netns.command("ethtool").args(["-K", name, "gro", "on"])).unwrap());
        let inner = stack(netns, name, tags);
        netns.ip(&format!("addr add 10.9.{number}.{host}/24 dev {inner}")).unwrap();
        netns.ip(&format!("addr add fd09:{number}::{host}/64 dev {inner} nodad")).unwrap();
    }
}

/// VLAN devices on top of each other; the name of the topmost.
fn stack(netns: &Netns, lowest: &str, tags: &[(u16, &str)]) -> String {
    let mut below = lowest.to_owned();
    for (id, protocol) in tags {
        let above = format!("{below}.{id}");
        netns
            .ip(&format!(
                "link add link {below} name {above} type vlan id {id} protocol {protocol}"
            ))
            .unwrap();
        netns.ip(&format!("link set {above} up")).unwrap();
        below = above;
    }
    below
}

#[test]
fn backends_behind_vlans_are_reached() {
    let site = super::site();
    cable(&site, 1, &[(100, "802.1Q")]);
    cable(&site, 2, &[(200, "802.1ad"), (201, "802.1Q")]);
    cable(&site, 3, &[]);
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
