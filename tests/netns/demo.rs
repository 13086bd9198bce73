//! The demo, as `lb-lab demo` shows it. There is one demo a machine: this fails while another runs.

use std::process::Command;

use lb_tests::{demo::PREFIX, netns, run::output};

#[test]
fn the_demo_serves_from_every_backend_and_leaves_nothing() {
    let mut lab = Command::new(env!("CARGO_BIN_EXE_lb-lab"));
    let shown = output(lab.args(["demo", "--for", "8"])).unwrap();
    let (stdout, stderr) =
        (String::from_utf8(shown.stdout).unwrap(), String::from_utf8(shown.stderr).unwrap());
    assert!(shown.status.success(), "{stdout}{stderr}");
    assert!(stdout.contains(" 0 errors") && stdout.contains("removed"), "{stdout}");
    assert!(netns::named(&format!("{PREFIX}-")).unwrap().is_empty());
}
