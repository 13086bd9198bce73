//! A change of one backend by the command line, on a running daemon: from the start of the command
//! to its end, which comes after the last slot was written.

use std::{fmt::Write, net::Ipv4Addr, time::Instant};

use anyhow::{Result, ensure};
use lb_tests::{
    cleanup,
    node::Node,
    site::{Options, Site, mount_bpffs},
};
use lb_userspace::api::types::Changed;

use super::{
    Times,
    change::{BACKENDS, Change},
};

const TURNS: usize = 40;

/// One backend's weight is changed to and fro.
pub(super) fn measure() -> Result<Change> {
    drop(cleanup::clean_dead_tests()?);
    let _: bool = mount_bpffs()?;
    let site = Site::build(&Options { webs: 1, ..Options::new(cleanup::test_prefix(0)) })?;
    let node = site.start_node(&config(&site)?)?;
    let mut times = Vec::new();
    for turn in 0..TURNS {
        let start = Instant::now();
        let changed = order(&node, if turn % 2 == 0 { "2" } else { "1" })?;
        times.push(start.elapsed());
        ensure!(changed.slots_moved > 0, "no slot moved");
    }
    Ok(Change { backends: BACKENDS, time: Times::of(times) })
}

fn order(node: &Node<'_>, weight: &str) -> Result<Changed> {
    Ok(node.ask(&["backend", "weight", &format!("b{}", BACKENDS / 2), weight])?)
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
