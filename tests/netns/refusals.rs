//! What makes a node refuse to start, and the message that each gets.

use std::{
    path::Path,
    process::{Command, Output},
};

use lb_tests::{
    run::{output, run},
    site::Site,
    workspace::lb_binary,
};

/// `lb run` behind another program that changes what it finds, such as `setpriv`.
fn run_behind(site: &Site, wrapper: &[&str], config: &str) -> Output {
    let file = site.write_config(config).unwrap();
    let [program, arguments @ ..] = wrapper else { panic!("a program and its arguments") };
    let mut lb = site.lb.command(program);
    let _: &mut Command = lb.args(arguments).arg(lb_binary().unwrap());
    output(lb.arg("run").arg("--config").arg(file)).unwrap()
}

/// The message of a node that refused to start.
fn refusal(site: &Site, wrapper: &[&str], config: &str) -> String {
    // What starts against expectation is ended, and its exit code is not 1.
    let output = run_behind(site, &[&["timeout", "20"], wrapper].concat(), config);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
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
    let message = refusal(&site, &["env"], &site.config());
    assert_names(&message, &[&node.id().to_string()]);
    assert_eq!(node.status().unwrap().pid, node.id());
}

#[test]
fn what_the_kernel_or_the_system_lacks_is_named() {
    let site = super::site();
    let config = site.config();
    let without = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"];
    let message = refusal(&site, &without, &config);
    assert_names(&message, &["CAP_"]);

    let message = refusal(&site, &["setarch", "x86_64", "--uname-2.6"], &config);
    assert_names(&message, &["kernel", "2.6"]);

    let elsewhere = site.folder().path().join("pins");
    let message = refusal(&site, &["env"], &with_node_table(&site, &elsewhere, "eth0"));
    assert_names(&message, &["bpffs", &elsewhere.display().to_string()]);

    let message = refusal(&site, &["env"], &with_node_table(&site, &site.pin_dir(), "eth7"));
    assert_names(&message, &["eth7"]);
    assert!(!site.pin_dir().exists(), "a refused node pins nothing");
}

/// The site's configuration with another node table.
fn with_node_table(site: &Site, pin_dir: &Path, interface: &str) -> String {
    let usual = site.node_table(&site.pin_dir(), "eth0");
    site.config().replace(&usual, &site.node_table(pin_dir, interface))
}

#[test]
fn a_wrong_configuration_exits_with_2_and_names_line_and_key() {
    let site = super::site();
    let node = super::node(&site);
    let config = site.config().replace("rise = 2", "raise = 2");
    let output = run_behind(&site, &["timeout", "20"], &config);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert_names(&message, &["lb.toml", "raise"]);
    assert!(node.status().is_ok());
}

#[test]
fn the_usual_configuration_is_right() {
    let site = super::site();
    let file = site.write_config(&site.config()).unwrap();
    let _: String = run(site.lb_command().unwrap().arg("check").arg(file)).unwrap();
}
