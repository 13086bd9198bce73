//! A change of one backend by the command line, on a running daemon: from the start of the command's
//! process to its answer, which comes after the last slot was written.

use std::{
    fmt::Write,
    io::Read as _,
    net::Ipv4Addr,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use lb_tests::{
    cleanup,
    node::Node,
    site::{Options, Site, mount_bpffs},
};
use lb_userspace::api::types::Changed;
use serde::Serialize;

use super::{
    Times,
    change::{BACKENDS, Change},
};

const TURNS: usize = 40;

/// What is done to a backend, to and fro.
const ORDERS: [(&str, [&[&str]; 2]); 2] = [
    ("drain and ready", [&["drain", BACKEND], &["ready", BACKEND]]),
    ("weight 2 and 1", [&["weight", BACKEND, "2"], &["weight", BACKEND, "1"]]),
];
const BACKEND: &str = "b500";

/// Each of the orders.
pub(super) fn measure() -> Result<Vec<Ordered>> {
    drop(cleanup::clean_dead_tests()?);
    let _: bool = mount_bpffs()?;
    let site = Site::build(&Options { webs: 1, ..Options::new(cleanup::test_prefix(0)) })?;
    let node = site.start_node(&config(&site)?)?;
    ORDERS.iter().map(|(name, orders)| time(&node, name, orders)).collect()
}

fn time(node: &Node<'_>, name: &'static str, orders: &[&[&str]; 2]) -> Result<Ordered> {
    let mut times = Vec::new();
    for turn in 0..TURNS {
        let mut lb = Command::new(node.binary());
        let _ = lb.arg("--socket").arg(node.socket()).args(["--json", "backend"]);
        let start = Instant::now();
        let mut lb = lb.args(orders[turn % 2]).stdout(Stdio::piped()).spawn()?;
        let mut answer = vec![0];
        let mut stdout = lb.stdout.take().context("the command's output")?;
        stdout.read_exact(&mut answer)?;
        times.push(start.elapsed());
        let _ = stdout.read_to_end(&mut answer)?;
        ensure!(lb.wait()?.success(), "`lb backend {}` failed", orders[turn % 2].join(" "));
        let changed: Changed = serde_json::from_slice(&answer)?;
        ensure!(changed.slots_moved > 0, "no slot moved");
    }
    let change = Change { backends: BACKENDS, time: Times::of(times) };
    Ok(Ordered { order: name, change })
}

/// What an order took.
#[derive(Serialize)]
pub(super) struct Ordered {
    pub(super) order: &'static str,
    #[serde(flatten)]
    pub(super) change: Change,
}

fn config(site: &Site) -> Result<String> {
    let mut config = site.node_table(&site.pin_dir(), "eth0");
    config += "[[service]]\nname = \"web\"\nvip = \"203.0.113.10\"\nport = 80\nforward = \"l2\"\n";
    for number in 0..BACKENDS {
        let address = Ipv4Addr::from_bits(0x0a00_0101 + number);
        writeln!(config, "[[service.backend]]\nname = \"b{number}\"\naddress = \"{address}\"")?;
    }
    Ok(config)
}
