//! What is pinned in a node's own directory of a bpffs.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::Error;

/// Whether nothing is pinned there.
pub fn is_empty(dir: &Path) -> Result<bool, Error> {
    entries(dir).map(|entries| entries.is_empty())
}

/// Unpins all that is there, links first: the program is detached. Gives how much there was.
pub fn clear(dir: &Path) -> Result<usize, Error> {
    let links = links(dir)?;
    links.iter().try_for_each(|pin| unpin(pin))?;
    let others = entries(dir)?;
    others.iter().try_for_each(|pin| unpin(pin))?;
    Ok(links.len() + others.len())
}

/// The interfaces whose links are pinned there.
pub fn interfaces(dir: &Path) -> Result<Vec<String>, Error> {
    let name = |pin: &PathBuf| {
        let name = pin.file_name()?.to_str()?.strip_prefix(LINK)?.split_once('-')?.1;
        Some(name.replace(':', "."))
    };
    Ok(links(dir)?.iter().filter_map(name).collect())
}

/// The links that are pinned there.
pub(super) fn links(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let is_link = |pin: &PathBuf| {
        pin.file_name().is_some_and(|name| name.to_string_lossy().starts_with(LINK))
    };
    Ok(entries(dir)?.into_iter().filter(is_link).collect())
}

/// What the names of pinned links begin with.
pub(super) const LINK: &str = "link-";

/// An interface's name as a part of a pin's: a bpffs takes no dots, an interface no colons.
pub(crate) fn name(interface: &str) -> String {
    interface.replace('.', ":")
}

/// Unpins one map or link; what nothing else holds goes away.
pub(super) fn unpin(pin: &Path) -> Result<(), Error> {
    fs::remove_file(pin)
        .map_err(|cause| Error::Io { what: format!("unlink {}", pin.display()), cause })
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    fs::read_dir(dir)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>())
        .map_err(|cause| Error::Io { what: format!("read {}", dir.display()), cause })
}
