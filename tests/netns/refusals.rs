//! What makes a node refuse to start, and the message that each gets.

use std::{
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use lb_tests::{
    node::Node,
    pass,
    plan::VIPS,
    run::{output, run},
    site::Site,
    traffic::Traffic,
    workspace::lb_binary,
};
use lb_userspace::{
    api::types::{Backend, Traffic as Counted},
    dataplane::OBJECT,
};

/// `lb run` behind another program that changes what it finds, such as `setpriv`.
fn run_behind(site: &Site, wrapper: &[&str], config: &str) -> Output {
    let file = site.write_config_as("other.toml", config).unwrap();
    // What starts against expectation is ended, with another exit code than is expected.
    let mut lb = site.lb.command("timeout");
    let _: &mut Command = lb.arg("20").args(wrapper).arg(lb_binary().unwrap());
    output(lb.arg("run").arg("--config").arg(file)).unwrap()
}

/// The message of a node that refuses to start with this exit code.
fn refusal(site: &Site, code: i32, wrapper: &[&str], config: &str) -> String {
    let output = run_behind(site, wrapper, config);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{message}");
    println!("{message}");
    message
}

fn assert_names(message: &str, words: &[&str]) {
    for word in words {
        assert!(message.contains(word), "{word:?} is not in: {message}");
    }
}

#[test]
fn a_second_node_names_the_first() {
    let site = super::site();
    let node = super::node(&site);
    let message = refusal(&site, 1, &[], &site.config());
    assert_names(&message, &[&format!("already runs on this node as process {}:", node.id())]);
    assert_eq!(node.status().unwrap().pid, node.id());
}

#[test]
fn what_the_kernel_or_the_system_lacks_is_named() {
    let site = super::site();
    let config = site.config();
    let without = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"];
    let message = refusal(&site, 1, &without, &config);
    assert_names(&message, &["CAP_BPF", "CAP_NET_ADMIN", "setcap"]);

    let message = refusal(&site, 1, &["setarch", "--uname-2.6"], &config);
    assert_names(&message, &["kernel", "2.6", "5.15"]);

    let elsewhere = site.folder().path().join("pins");
    let message = refusal(&site, 1, &[], &with_node_table(&site, &elsewhere, "eth0"));
    assert_names(&message, &["bpffs", &elsewhere.display().to_string(), "mount -t bpf"]);

    let message = refusal(&site, 2, &[], &with_node_table(&site, &site.pin_dir(), "eth7"));
    assert_names(&message, &["other.toml:2: node.interfaces[0]", "eth7", "eth0"]);
    assert!(!site.pin_dir().exists(), "a refused node pins nothing");
    assert!(!site.runtime_dir().join("lb.sock").exists());
}

/// The site's configuration with another node table.
fn with_node_table(site: &Site, pin_dir: &Path, interface: &str) -> String {
    let usual = site.node_table(&site.pin_dir(), "eth0");
    site.config().replace(&usual, &site.node_table(pin_dir, interface))
}

#[test]
fn another_xdp_program_is_left_in_place() {
    let site = super::site();
    let other = pass::attach(OBJECT, &site.lb, "eth0").unwrap();
    for (mode, other_mode) in [("native", false), ("generic", true)] {
        let config = site.config().replace("[node]", &format!("[node]\nmode = \"{mode}\""));
        let message = refusal(&site, 1, &[], &config);
        assert_names(&message, &["eth0", "another XDP program is attached", "xdp off"]);
        // The other program is attached by a link, which `xdp off` cannot remove.
        assert_names(
            &message,
            &["`bpftool net show dev eth0`", "end the process that has the link"],
        );
        assert_eq!(message.contains("in the other mode"), other_mode, "{message}");
        let links = run(site.lb.command("ip").args(["link", "show", "eth0"])).unwrap();
        assert!(links.contains("prog/xdp"), "{links}");
    }
    drop(other);
    let node = super::node(&site);
    assert!(!node.status().unwrap().took_over, "a refused node leaves nothing to take over");
}

#[test]
fn a_wrong_configuration_leaves_a_running_node_untouched() {
    let site = super::site();
    let node = super::node(&site);
    let before = without_counters(&node);
    let traffic = Traffic::start(&site, &VIPS, Duration::from_millis(20)).unwrap();
    let wrong = site.config().replace("rise = 2", "raise = 2");
    let message = refusal(&site, 2, &[], &wrong);
    let lines = message.lines().filter(|line| line.contains("raise"));
    assert_eq!(lines.count(), 4, "one of each service: {message}");
    assert_names(&message, &[&line_of(&wrong, "raise")]);

    let file = site.write_config_as("other.toml", &wrong).unwrap();
    let checked = output(site.lb_command().unwrap().arg("check").arg(&file)).unwrap();
    assert_eq!(checked.status.code(), Some(2));
    assert_eq!(String::from_utf8(checked.stderr).unwrap(), message);

    assert_eq!(without_counters(&node), before);
    assert_eq!(node.status().unwrap().pid, node.id());
    for (service, tally) in traffic.finish() {
        assert_eq!(tally.errors, 0, "{service}: {tally:?}");
    }
    super::assert_nothing_dropped(&node);
}

/// `FILE:LINE:` of the first line with a text.
fn line_of(config: &str, text: &str) -> String {
    let line = config.lines().position(|line| line.contains(text)).unwrap() + 1;
    format!("other.toml:{line}: ")
}

fn without_counters(node: &Node<'_>) -> Vec<Backend> {
    let backends = node.backends().unwrap().into_iter();
    backends.map(|backend| Backend { traffic: Counted::default(), ..backend }).collect()
}

#[test]
fn a_refused_successor_leaves_the_packets_flowing() {
    let site = super::site();
    let mut node = super::node(&site);
    let before = without_counters(&node);
    let traffic = Traffic::start(&site, &VIPS, Duration::from_millis(20)).unwrap();
    node.kill();
    let limits = "\n[limits]\nbackends = 100\n";
    let message = refusal(&site, 1, &[], &(site.config() + limits));
    let dir = site.pin_dir().display().to_string();
    assert_names(&message, &["limits.backends", "101", "16385", "delete that directory", &dir]);
    let message = refusal(&site, 2, &[], &with_node_table(&site, &site.pin_dir(), "eth7"));
    assert_names(&message, &["eth7"]);
    let wrong = site.config().replace("port = 80\nforward", "port = 0\nforward");
    let message = refusal(&site, 2, &[], &wrong);
    assert_names(&message, &[&line_of(&wrong, "port = 0"), "service[0].port"]);

    node.restart().unwrap();
    assert!(node.status().unwrap().took_over);
    assert_eq!(without_counters(&node).len(), before.len());
    for (service, tally) in traffic.finish() {
        assert!(tally.answered() > 0, "{service}: {tally:?}");
        assert_eq!(tally.errors, 0, "{service}: {tally:?}");
    }
    super::assert_nothing_dropped(&node);
}

#[test]
fn the_usual_configurations_are_right() {
    let site = super::site();
    for config in [site.config(), site.udp_config()] {
        let file = site.write_config(&config).unwrap();
        let _: String = run(site.lb_command().unwrap().arg("check").arg(file)).unwrap();
    }
}
