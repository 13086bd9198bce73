//! `lb decap` and `lb backend-setup`: what needs neither a kernel nor rights.

use std::fs;

use crate::{no_daemon, run};

#[test]
fn command_lines_that_make_no_sense_exit_with_2_and_name_the_option() {
    for (arguments, named) in [
        ("decap --from 10.0.0.0/24", "--interface"),
        ("decap --interface eth0", "--from"),
        ("decap --interface eth0 --from 10.0.0.1/24", "write 10.0.0.0/24"),
        ("decap --interface eth0 --from 10.0.0.0/24 --mode fast", "use native or generic"),
        ("decap --interface eth0 --from 10.0.0.0/24 --gue-port 0", "--gue-port"),
        ("decap --interface eth0 --show --detach", "--show"),
        ("decap --interface eth0 --show --from 10.0.0.0/24", "--from"),
        ("decap --interface eth0 --show --socket /tmp/lb.sock", "has no use for --socket"),
        ("backend-setup --mode l2 --vip 192.0.2.10", "--print"),
        ("backend-setup --print --check --mode l2 --vip 192.0.2.10", "--check"),
        ("backend-setup --print --vip 192.0.2.10", "--mode"),
        ("backend-setup --print --mode dsr --vip 192.0.2.10", "use l2, ipip, gue or nat"),
        ("backend-setup --print --mode l2", "--vip"),
        ("backend-setup --print --mode ipip --vip 192.0.2.10", "--from"),
        ("backend-setup --print --mode nat", "--gateway"),
        ("backend-setup --print --config lb.toml", "--service"),
    ] {
        let words: Vec<_> = arguments.split(' ').collect();
        let (code, stdout, stderr) = run(no_daemon(), &words);
        assert_eq!((code, stdout.as_str()), (2, ""), "{arguments}: {stderr}");
        assert!(stderr.contains(named), "{arguments}: {stderr}");
    }
}

#[test]
fn a_script_says_what_and_why() {
    let arguments = "backend-setup --print --mode gue --vip 192.0.2.10 --from 10.0.0.0/24";
    let words: Vec<_> = arguments.split(' ').collect();
    let (code, script, stderr) = run(no_daemon(), &words);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(script.starts_with("#!/bin/sh\n"), "{script}");
    for part in [
        "\n# the VIP 192.0.2.10 is on lo\nip address replace 192.0.2.10/32 dev lo\n",
        "\nlb decap --interface eth0 --from 10.0.0.0/24\n",
        "\n# eth0 has an MTU of 1532, for 1500 bytes in a tunnel\n",
    ] {
        assert!(script.contains(part), "{part} is not in {script}");
    }
    let (code, json, _) = run(no_daemon(), &[&["--json"], &words[..]].concat());
    let list: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    let vip = list.iter().find(|it| it["requirement"] == "the VIP 192.0.2.10 is on lo").unwrap();
    assert_eq!(code, 0);
    assert_eq!(vip["commands"], serde_json::json!(["ip address replace 192.0.2.10/32 dev lo"]));
}

#[test]
fn a_service_of_a_nodes_file_gives_what_its_backends_need() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lb.toml");
    let node = "[node]\ninterfaces = ['eth0']\ntunnel_source = ['10.0.0.64/26']\n";
    let service = |name: &str, port: u16, forward: &str| {
        format!("[[service]]\nname = '{name}'\nvip = '192.0.2.10'\nport = {port}\n{forward}\n")
    };
    let web = service("web", 80, "forward = 'l2'");
    let app = service("app", 81, "forward = 'gue'\ngue_port = 7000");
    fs::write(&path, format!("{node}{web}{app}")).unwrap();
    let path = path.to_str().unwrap();
    let print =
        |name| run(no_daemon(), &["backend-setup", "--print", "--config", path, "--service", name]);
    let (code, script, stderr) = print("web");
    assert!(code == 0 && script.contains("replace 192.0.2.10/32 dev lo"), "{script}{stderr}");
    let (code, script, stderr) = print("app");
    assert!(code == 0 && script.contains("--from 10.0.0.64/26"), "{script}{stderr}");
    assert!(script.contains("--gue-port 7000"), "{script}");
    let (code, _, stderr) = print("wep");
    assert!(code == 1 && stderr.ends_with("its services are: web, app\n"), "{stderr}");
}
