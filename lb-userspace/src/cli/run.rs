//! `lb run`.

use std::{
    io::{self, IsTerminal},
    path::Path,
};

use tracing_subscriber::{EnvFilter, filter::LevelFilter};

use super::{Error, runtime};
use crate::{config::file, node};

pub(super) fn run(config: Option<&Path>) -> Result<(), Error> {
    let loaded = config.map_or_else(file::embedded, file::load)?;
    start_log()?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    runtime()?.block_on(node::run(loaded)).map_err(|error| {
        // A rejected file is shown as `lb check` shows it.
        error.downcast::<file::Error>().map_or_else(Error::Node, Error::Config)
    })
}

fn start_log() -> Result<(), Error> {
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .with_env_var("LB_LOG")
        .try_from_env();
    let filter = match filter {
        Ok(filter) => filter,
        Err(_) if std::env::var_os("LB_LOG").is_none() => EnvFilter::new("info"),
        Err(error) => return Err(Error::LogFilter(error.to_string())),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        .init();
    Ok(())
}
