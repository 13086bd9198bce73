//! The configuration changes while the node works: files, run-time changes over them, drains that end.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use lb_tests::{
    config::{Carried, HTTP},
    node::Node,
    plan::VIPS,
    sessions::{Fate, Server, Sessions},
    site::Site,
    traffic::Traffic,
};
use lb_userspace::api::{
    plan::{Difference, Plan},
    types::{Admin, Backend},
};
use rustix::process::{Pid, Signal, kill_process};

fn file(site: &Site) -> PathBuf {
    site.folder().path().join("lb.toml")
}

fn hang_up(node: &Node<'_>) {
    let pid = Pid::from_raw(i32::try_from(node.id()).unwrap()).unwrap();
    kill_process(pid, Signal::HUP).unwrap();
}

fn subjects(node: &Node<'_>) -> Vec<String> {
    let differences: Vec<Difference> = node.ask(&["diff"]).unwrap();
    differences.into_iter().map(|it| it.subject).collect()
}

fn backend(node: &Node<'_>, service: &str, name: &str) -> Backend {
    let backends = node.backends().unwrap();
    backends.into_iter().find(|it| it.service == service && it.name == name).unwrap()
}

/// The events of a kind, by subject and cause.
fn events(node: &Node<'_>, kind: &str) -> Vec<String> {
    let lines = node.order(&["events"]).unwrap();
    lines.lines().filter(|line| line.contains(kind)).map(str::to_owned).collect()
}

#[test]
fn a_file_is_read_anew_under_traffic_and_run_time_changes_stay_over_it() {
    let site = super::site();
    let mut node = super::node(&site);
    let traffic = Traffic::start(&site, &VIPS, Duration::from_millis(10)).unwrap();
    let _: String = node.order(&["backend", "drain", "web3", "--service", "web"]).unwrap();
    let before = backend(&node, "app", "web1");

    // Another weight, and a service that goes away in favour of another name.
    let old = site.config();
    let heavier = old.replacen("name = \"web2\"\n", "name = \"web2\"\nweight = 3\n", 1);
    fs::write(file(&site), &heavier).unwrap();
    let plan: Plan = node.ask(&["plan"]).unwrap();
    let planned: Vec<_> = plan.differences.iter().map(|it| it.subject.as_str()).collect();
    assert_eq!(planned, ["backend web/web2 weight"]);
    assert!(plan.rings[0].moved > 10_000 && plan.rings.len() == 1, "{plan:?}");
    assert_eq!(backend(&node, "web", "web2").weight, 1, "a plan changes nothing");

    hang_up(&node);
    super::soon("the signal is heeded", || match backend(&node, "web", "web2").weight {
        3 => Ok(()),
        weight => Err(format!("weight {weight}")),
    });
    assert_eq!(subjects(&node), ["backend web/web3 admin"]);
    assert!(events(&node, "applied")[0].contains("SIGHUP"), "{:?}", events(&node, "applied"));

    // Not a configuration: all stays, and the operator hears of it.
    fs::write(file(&site), "[node]\n").unwrap();
    hang_up(&node);
    super::soon("the refusal is told", || {
        let told = events(&node, "refused");
        told.first()
            .filter(|it| it.contains("node.interfaces"))
            .map(drop)
            .ok_or_else(|| format!("{told:?}"))
    });
    let refused = node.cli(&["reload"]).unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(backend(&node, "web", "web2").weight, 3);

    // Counters and health went on, and the next daemon goes on with the changes.
    fs::write(file(&site), &heavier).unwrap();
    node.kill();
    node.restart().unwrap();
    assert_eq!(subjects(&node), ["backend web/web3 admin"]);
    assert_eq!(backend(&node, "web", "web3").admin, Admin::Drain);
    assert!(backend(&node, "app", "web1").traffic.packets > before.traffic.packets);

    let saved = node.order(&["save"]).unwrap();
    assert!(saved.contains("~ backend web/web3 admin: ready → drain"), "{saved}");
    assert_eq!(subjects(&node), [""; 0]);
    let text = fs::read_to_string(file(&site)).unwrap();
    assert_eq!(text.lines().filter(|line| *line == "admin = \"drain\"").count(), 1, "{text}");
    let _: String = node.order(&["backend", "ready", "web3", "--service", "web"]).unwrap();
    let _: String = node.order(&["revert"]).unwrap();
    assert_eq!(backend(&node, "web", "web3").admin, Admin::Drain, "the file says so");

    for (service, tally) in traffic.finish() {
        println!("{service}: {:?}", tally.answers);
        assert_eq!(tally.errors, 0, "{service}: {tally:?}");
    }
    super::assert_nothing_dropped(&node);
}

#[test]
fn services_come_and_go_by_a_file_and_a_spoilt_state_file_is_put_aside() {
    let site = super::site();
    let mut node = super::node(&site);
    let traffic = Traffic::start(&site, &VIPS[2..], Duration::from_millis(10)).unwrap();
    let all = site.config();
    let without = site.node_table(&site.pin_dir(), "eth0")
        + &VIPS[1..].iter().map(|vip| site.service_table(*vip, &HTTP)).collect::<String>();
    let other = site.write_config_as("other.toml", &without).unwrap();
    let applied = node.order(&["apply", &other.display().to_string()]).unwrap();
    assert!(applied.contains("- service web: 10.0.0.10 port 80/tcp, l2, 3 backends"), "{applied}");
    assert!(applied.contains("cut: service web: its connections end"), "{applied}");
    assert_eq!(node.services().unwrap().len(), 3);
    let url = VIPS[0].url("/");
    let alone = site.curl(&site.client, &url, &["--max-time", "2"]).unwrap();
    assert!(!alone.status.success(), "nobody answers for the service");

    fs::write(file(&site), &all).unwrap();
    let _: String = node.order(&["reload"]).unwrap();
    node.wait_until_ready().unwrap();
    assert_eq!(super::who_answers(&site, VIPS[0], 100), ["web1", "web2", "web3"]);

    let _: String = node.order(&["backend", "maintenance", "web1"]).unwrap();
    assert_eq!(super::who_answers(&site, VIPS[0], 100), ["web2", "web3"]);
    node.kill();
    let changes = site.runtime_dir().join("changes.json");
    fs::write(&changes, "{\"version\": 1, \"changes\": [").unwrap();
    node.restart().unwrap();
    let problems = node.status().unwrap().problems;
    assert!(problems.iter().any(|it| it.contains("changes.json are lost")), "{problems:?}");
    assert!(changes.with_extension("bad").exists() && !changes.exists());
    assert_eq!(backend(&node, "web", "web1").admin, Admin::Ready);
    for (service, tally) in traffic.finish() {
        assert_eq!(tally.errors, 0, "{service}: {tally:?}");
    }
}

const PORT: u16 = 7000;
const NAT_PORT: u16 = 7001;
const CARRIED: Carried = Carried {
    port: PORT,
    nat_port: NAT_PORT,
    check: "{ type = \"tcp\", interval = \"200ms\", timeout = \"100ms\", rise = 2, fall = 2 }",
    keys: "window = \"2s\"",
    ..HTTP
};
const SESSIONS: usize = 120;

#[test]
fn a_drain_says_what_is_left_and_ends_at_its_deadline_or_by_itself() {
    let site = super::site();
    let servers: Vec<_> = (1u8..)
        .zip(site.webs())
        .map(|(number, web)| Server::start(web, number, &[PORT, NAT_PORT]).unwrap())
        .collect();
    let node = site.start_node(&site.config_of(&CARRIED)).unwrap();
    node.wait_until_ready().unwrap();
    let to = VIPS.iter().map(|vip| (vip.address, PORT).into()).collect();
    let sessions = Sessions::start(&site.client, to, SESSIONS).unwrap();
    super::soon("all sessions are answered", || match sessions.fates().len() {
        SESSIONS => Ok(()),
        few => Err(format!("{few} are")),
    });
    let had = count(&sessions, |fate| matches!(fate, Fate::Live(1)));
    assert!(had > 10, "web1 has {had}");

    let _: String = node.order(&["backend", "drain", "web1"]).unwrap();
    super::soon("what is left is counted", || {
        let left: Vec<_> = node.backends().unwrap().into_iter().filter_map(|it| it.drain).collect();
        let connections: u32 = left.iter().map(|it| it.connections).sum();
        if connections == u32::try_from(had).unwrap() { Ok(()) } else { Err(format!("{left:?}")) }
    });
    let list = node.order(&["backend", "list"]).unwrap();
    assert!(list.contains(" open  "), "{list}");

    let begun = Instant::now();
    let drain = ["backend", "drain", "web1", "--deadline", "3s", "--wait"];
    let output = node.cli(&drain).unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && begun.elapsed() >= Duration::from_secs(2), "{told}");
    let open = format!("web1: {had} open connections, silent ones may turn up for ");
    assert!(told.starts_with(&open) && told.contains(", maintenance in "), "{told}");
    assert!(told.ends_with("web1: the deadline has passed: in maintenance\n"), "{told}");
    super::soon("the sessions of web1 are reset", || {
        let live = count(&sessions, |fate| matches!(fate, Fate::Live(1)));
        if live == 0 { Ok(()) } else { Err(format!("{live} go on")) }
    });
    let broken =
        count(&sessions, |fate| matches!(fate, Fate::Broken { server, .. } if *server != Some(1)));
    assert_eq!((broken, count(&sessions, |fate| matches!(fate, Fate::Broken { .. }))), (0, had));
    let web1 = backend(&node, "web", "web1");
    assert_eq!(
        (web1.admin, web1.drain, &*web1.health_reason),
        (Admin::Maintenance, None, "in maintenance")
    );

    // Whoever has no connections is drained as soon as old ones cannot turn up any more: a minute after
    // the last that may have been in its handshake.
    drop(sessions);
    let _: String = node.order(&["backend", "ready", "web1"]).unwrap();
    node.wait_until_ready().unwrap();
    let output = node.cli(&["backend", "drain", "web2", "--wait"]).unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.ends_with("web2: drained: nothing is left\n"), "{told}");
    drop(servers);
}

fn count(sessions: &Sessions, is_meant: impl Fn(&Fate) -> bool) -> usize {
    sessions.fates().values().filter(|fate| is_meant(fate)).count()
}
