//! Files: planned, applied, compared, saved.

use std::fs;

use lb_userspace::api::plan::{Difference, Kind, Plan};

use crate::{daemon::Daemon, good, json, run};

#[test]
fn run_time_changes_are_shown_saved_and_dropped() {
    let daemon = Daemon::start();
    assert_eq!(good(&daemon, &["diff"]), "no run-time changes\n");
    let drain = ["backend", "drain", "web2", "--service", "web", "--deadline", "10m"];
    let _: String = good(&daemon, &drain);
    let _: String = good(&daemon, &["backend", "remove", "web3", "--service", "app"]);
    let lines = "  ~ backend web/web2 admin: ready → drain until 2027-01-15T08:10:00Z\n  \
                 - backend app/web3: 10.0.1.13 port 8080\n";
    assert_eq!(good(&daemon, &["diff"]), lines);
    let status = good(&daemon, &["status"]);
    assert!(status.contains("/etc/lb/lb.toml, 2 run-time changes (`lb diff`)\n"), "{status}");
    let list = good(&daemon, &["backend", "list", "--service", "web"]);
    assert!(list.contains("drain, 3 open"), "{list}");
    assert_eq!(good(&daemon, &["save"]), format!("/etc/lb/lb.toml has 2 changes now:\n{lines}"));
    let text = good(&daemon, &["revert"]);
    assert!(text.starts_with("/etc/lb/lb.toml alone is in force:\n"), "{text}");
    assert_eq!(good(&daemon, &["revert"]), "no run-time changes: nothing changed\n");
    let differences: Vec<Difference> = json(&daemon, &["diff"]);
    assert_eq!(differences, []);
}

#[test]
fn a_plan_shows_what_applying_it_does() {
    let daemon = Daemon::start();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new.toml");
    let seed = "seed = '00112233445566778899aabbccddeeff'";
    let text = format!("[node]\ninterfaces = ['eth0']\n{seed}\n");
    fs::write(&path, text).unwrap();
    let name = path.to_str().unwrap();
    let details = "  - service web: 10.0.0.10 port 80/tcp, l2, 3 backends\n  \
                   - service web6: fd00:0:0:1::10 port 80/tcp, l2, 3 backends\n  \
                   - service app: 10.0.0.20 port 80/tcp, nat, 3 backends\n  \
                   - service app6: fd00:0:0:1::20 port 80/tcp, nat, 3 backends\n\
                   service web: 21845 of 65537 slots move (33.3%), 12 connections are remembered\n\
                   cut: service old: its connections end: nothing answers for them\n\
                   forgotten: web/web9, changed, is forgotten: the file has no such backend\n";
    let planned = good(&daemon, &["plan", name]);
    assert_eq!(planned, format!("{name} would make 4 changes:\n{details}"));
    let plan: Plan = json(&daemon, &["plan", name]);
    assert!(plan.differences.iter().all(|it| it.kind == Kind::Removed));
    let applied = good(&daemon, &["apply", name]);
    assert_eq!(applied, format!("{name} is in force, with 4 changes:\n{details}"));
    assert_eq!(good(&daemon, &["plan", name]), format!("{name} would change nothing\n"));
    let reloaded = good(&daemon, &["reload"]);
    assert!(reloaded.starts_with("/etc/lb/lb.toml is in force, with 4 changes:\n"), "{reloaded}");
    let again = good(&daemon, &["reload"]);
    assert_eq!(again, "/etc/lb/lb.toml is in force: nothing changed\n");
}

#[test]
fn a_wrong_file_is_bad_input() {
    let daemon = Daemon::start();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new.toml");
    fs::write(&path, "[nod]\n").unwrap();
    let name = path.to_str().unwrap();
    for verb in ["plan", "apply"] {
        let (code, stdout, stderr) = run(&daemon.socket(), &[verb, name]);
        assert_eq!((code, &*stdout), (2, ""));
        assert!(stderr.starts_with(&format!("{name}:1: nod: unknown key")), "{stderr}");
    }
}
