//! `lb run`.

use std::path::Path;

use super::{Error, log, runtime};
use crate::{config::file, node};

pub(super) fn run(config: Option<&Path>) -> Result<(), Error> {
    let loaded = config.map_or_else(file::embedded, file::load)?;
    log::start()?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    runtime()?.block_on(node::run(loaded)).map_err(|error| {
        // A rejected file is shown as `lb check` shows it.
        error.downcast::<file::Error>().map_or_else(Error::Node, Error::Config)
    })
}
