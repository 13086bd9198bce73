//! A denied client gets nothing, the others all.

use std::process::{Command, Output};

use lb_tests::{
    netns::Netns,
    plan::{VIPS, Vip},
    run::output,
};

/// Prefixes without the client's usual addresses …
const DENY: &str = "\n[firewall]\ndeny = [\"192.0.2.128/25\", \"2001:db8:c::80/121\"]\n";
/// … and addresses within.
const DENIED: [&str; 2] = ["192.0.2.130", "2001:db8:c::82"];

#[test]
fn a_denied_prefix_gets_nothing_and_the_others_all() {
    let site = super::site();
    site.client.ip("addr add 192.0.2.130/24 dev eth0").unwrap();
    // Deprecated, so that it is no other connection's source.
    site.client.ip("addr add 2001:db8:c::82/64 dev eth0 nodad preferred_lft 0").unwrap();
    let mut node = site.start_node(&(site.config() + DENY)).unwrap();
    node.wait_until_ready().unwrap();
    assert_eq!(node.stats().unwrap().verdicts["denied"], 0);
    for vip in VIPS {
        let before = node.stats().unwrap().verdicts["denied"];
        let answer = ask_from_denied(&site.client, vip);
        assert_eq!(answer.status.code(), Some(28), "curl(1): timed out; {vip:?}: {answer:?}");
        let denied = node.stats().unwrap().verdicts["denied"] - before;
        // A SYN, and those that it was repeated by.
        assert!((1..=3).contains(&denied), "{vip:?}: {denied} packets");
        assert_eq!(super::who_answers(&site, vip, 100), ["web1", "web2", "web3"], "{vip:?}");
    }
    let verdicts = node.stats().unwrap().verdicts;
    let others = verdicts.iter().filter(|(name, _)| name.as_str() != "denied");
    assert!(others.into_iter().all(|(name, count)| !super::is_drop(name) || *count == 0));

    let _: std::path::PathBuf = site.write_config(&site.config()).unwrap();
    node.restart().unwrap();
    for vip in VIPS {
        let answer = ask_from_denied(&site.client, vip);
        assert!(answer.status.success(), "no longer denied; {vip:?}: {answer:?}");
    }
    assert_eq!(node.stats().unwrap().verdicts["denied"], verdicts["denied"]);
}

fn ask_from_denied(client: &Netns, vip: Vip) -> Output {
    let [v4, v6] = DENIED;
    let from = if vip.address.is_ipv4() { v4 } else { v6 };
    let mut curl = client.command("curl");
    let _: &mut Command = curl.args(["-sS", "-g", "-f", "--max-time", "2", "--interface", from]);
    output(curl.arg(vip.url("/"))).unwrap()
}
