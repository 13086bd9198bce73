//! A large configuration: from the start of the daemon's process until it answers, with its maps filled
//! and the program attached; and its reload after one backend has changed.

use std::{
    fmt::Write,
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use lb_tests::{
    cleanup,
    node::Node,
    site::{Options, Site, mount_bpffs},
};
use lb_userspace::api::{client::Client, plan::Plan, types::Status};
use serde::Serialize;
use tokio::runtime::{Builder, Runtime};

use super::Times;

pub(super) const SERVICES: u32 = 1000;
const POOL: u32 = 10;
/// The most that the start may take, in ms.
const BAR_MS: f64 = 3000.0;
const RINGS: [u32; 2] = [4093, super::rings::SIZE];
const TURNS: usize = 5;

/// What it took with rings of a size.
#[derive(Serialize)]
pub(super) struct Loaded {
    services: u32,
    backends: u32,
    ring_size: u32,
    start: Times,
    reload: Times,
}

impl std::fmt::Display for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { ring_size, start, reload, .. } = self;
        let verdict = if start.median_ms < BAR_MS { "met" } else { "missed" };
        writeln!(f, "  rings of {ring_size:>5}: start {start} (less than {BAR_MS} ms: {verdict})")?;
        write!(f, "                  reload of one backend {reload}")
    }
}

/// Each ring size.
pub(super) fn measure() -> Result<Vec<Loaded>> {
    RINGS.into_iter().map(with).collect()
}

fn with(ring_size: u32) -> Result<Loaded> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (mut start, mut reload) = (Vec::new(), Vec::new());
    for turn in 0..TURNS {
        drop(cleanup::clean_dead_tests()?);
        let _: bool = mount_bpffs()?;
        let site =
            Site::build(&Options { webs: 1, ..Options::new(cleanup::test_prefix(1 + turn)) })?;
        let config = config(&site, ring_size, 1)?;
        let begun = Instant::now();
        let node = site.start_node(&config)?;
        start.push(begun.elapsed());
        let status = node.status()?;
        ensure!(status.services == SERVICES as usize, "{} services", status.services);
        reload.push(reloaded(&runtime, &site, &node, ring_size)?);
    }
    let (start, reload) = (Times::of(start), Times::of(reload));
    Ok(Loaded { services: SERVICES, backends: SERVICES * POOL, ring_size, start, reload })
}

/// From the request to its answer.
fn reloaded(runtime: &Runtime, site: &Site, node: &Node<'_>, ring_size: u32) -> Result<Duration> {
    drop(site.write_config(&config(site, ring_size, 2)?)?);
    let client = Client::new(node.socket().to_owned());
    let begun = Instant::now();
    let Plan { differences, .. } = runtime.block_on(client.apply(None))?;
    let time = begun.elapsed();
    ensure!(differences.len() == 1, "{} differences", differences.len());
    let Status { problems, .. } = node.status()?;
    let lag = problems.iter().find(|it| it.contains("lag"));
    ensure!(lag.is_none(), "{lag:?}");
    Ok(time)
}

/// All services, the first backend of the first with this weight.
fn config(site: &Site, ring_size: u32, weight: u32) -> Result<String> {
    let mut config = site.node_table(&site.pin_dir(), "eth0");
    let slots = SERVICES.checked_mul(ring_size).context("the slots of all rings")?;
    writeln!(config, "[limits]\nslots = {slots}\nbackends = 32768")?;
    for service in 0..SERVICES {
        let vip = Ipv4Addr::from_bits(0xc612_0001 + service);
        writeln!(
            config,
            "[[service]]\nname = \"s{service}\"\nvip = \"{vip}\"\nport = 80\nforward = \"l2\"\n\
             ring_size = {ring_size}"
        )?;
        for backend in 0..POOL {
            let address = Ipv4Addr::from_bits(0x0a00_0101 + service * POOL + backend);
            let weight = if service + backend == 0 { weight } else { 1 };
            writeln!(
                config,
                "[[service.backend]]\nname = \"b{backend}\"\naddress = \"{address}\"\n\
                 weight = {weight}"
            )?;
        }
    }
    Ok(config)
}
