//! lb's proxies in a process of their own, until that is ended by a signal.

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode, thread};

use anyhow::Result;
use clap::Args;
use lb_userspace::{
    config::{Config, file, proxy::Proxy},
    proxy::{Engine, Order},
};

/// What to forward.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The threads that serve
    #[arg(long)]
    threads: usize,
    /// A configuration, of which the proxies are served
    file: PathBuf,
}

/// Serves.
pub(crate) fn run(Options { threads, file }: &Options) -> Result<ExitCode> {
    let Config { node, proxies, .. } = file::load(file)?.config;
    let mut engine = Engine::start(*threads, node.seed)?;
    engine.set_busy_poll(node.proxy_busy_poll);
    let order = |settings: Proxy| Order { settings, states: BTreeMap::new(), hold: None };
    let orders: Vec<_> = proxies.into_iter().map(order).collect();
    engine.configure(&orders, Vec::new())?;
    loop {
        thread::park();
    }
}
