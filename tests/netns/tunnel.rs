//! Tunnels of both kinds and families carry whole files, at an MTU of 1500 everywhere.

use lb_tests::{
    config::{Carried, HTTP},
    plan::{Forward, VIPS, Vip},
    run::run,
    site::Site,
    upload::{Sink, upload},
};

const SINK: u16 = 7002;
/// Where the node's tunnel packets come from: nobody has these addresses.
const SOURCES: [&str; 2] = ["10.0.0.64/26", "fd00:0:0:1::6:0/112"];

fn direct() -> impl Iterator<Item = Vip> {
    VIPS.into_iter().filter(|vip| vip.forward == Forward::L2)
}

fn carried(direct: &'static str, crossed: bool) -> Carried {
    Carried { direct, crossed, ..HTTP }
}

/// Services for HTTP, and for uploads on the same VIPs.
fn config(site: &Site, http: &Carried) -> String {
    let check = "{ type = \"tcp\", interval = \"500ms\", timeout = \"400ms\", rise = 2, fall = 2 }";
    let uploads = Carried { port: SINK, nat_port: SINK, check, ..*http };
    let tables = direct().map(|vip| {
        site.service_table(vip, http)
            + &site.service_table(vip, &uploads).replacen(
                vip.service,
                &format!("{}-up", vip.service),
                1,
            )
    });
    let sources = format!("tunnel_source = {SOURCES:?}\n");
    site.node_table(&site.pin_dir(), "eth0") + &sources + &tables.collect::<String>()
}

/// Every server takes tunnel packets from the node.
fn decapsulate(site: &Site) {
    for web in site.webs() {
        let mut lb = web.netns.command(lb_tests::workspace::lb_binary().unwrap());
        let pins = format!("/sys/fs/bpf/lb-decap-{}", web.netns.name());
        site.folder().own(pins.as_ref()).unwrap();
        let from = SOURCES.iter().flat_map(|source| ["--from", source]);
        let decap = lb.args(["decap", "--interface", "eth0", "--pin-dir", &pins]).args(from);
        println!("{}", run(decap).unwrap());
    }
}

fn transfer(mode: &'static str, crossed: bool) {
    let site = super::site();
    decapsulate(&site);
    let sinks: Vec<_> = site.webs().iter().map(|web| Sink::start(web, SINK).unwrap()).collect();
    let node = site.start_node(&config(&site, &carried(mode, crossed))).unwrap();
    node.wait_until_ready().unwrap();
    for vip in direct() {
        let answers = super::connections(&site, &vip.url("/"), 300);
        assert_eq!(answers.len(), 3, "{mode} {vip:?}: {answers:?}");
        let body = site.curl(&site.client, &vip.url("/big"), &[]).unwrap();
        assert!(body.stdout == std::fs::read(site.big()).unwrap(), "{mode} {vip:?}: download");
        let sent = site.client.enter(|| upload((vip.address, SINK).into(), &site.big())).unwrap();
        sent.unwrap_or_else(|error| panic!("{mode} {vip:?}: upload: {error}"));
    }
    let verdicts = node.stats().unwrap().verdicts;
    println!("{mode}, crossed {crossed}: {verdicts:?}");
    // The client's first large packets did not fit, and it was told.
    assert!(verdicts["too-big"] >= 2, "{verdicts:?}");
    let dropped: Vec<_> =
        verdicts.iter().filter(|(name, count)| super::is_drop(name) && **count > 0).collect();
    assert!(dropped.iter().all(|(name, _)| *name == "rate-limited"), "{dropped:?}");
    drop(sinks);
}

#[test]
fn ipip_carries_100_mb_each_way() {
    transfer("ipip", false);
}

#[test]
fn ipip_crosses_families() {
    transfer("ipip", true);
}

#[test]
fn gue_carries_100_mb_each_way() {
    transfer("gue", false);
}

#[test]
fn gue_crosses_families() {
    transfer("gue", true);
}
