//! Takes a node off its machine: the program, its maps and pins, what the kernel was told about
//! neighbours, and the daemon's files.

use std::{fs, io, path::Path};

use serde::Serialize;

use crate::{
    config::Config,
    dataplane::kernel::pins,
    forwarder::desk,
    preflight, speaker,
    topology::{netlink, probe},
};

/// What was taken away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Detached {
    /// The interfaces that had the program.
    pub interfaces: Vec<String>,
    /// Pinned maps.
    pub maps: usize,
    /// Whether there was a link for checks through the packet path.
    pub probe_link: bool,
    /// Whether there was a VRRP speaker.
    pub vrrp: bool,
    /// Forwarders, with their sessions.
    pub forwarders: usize,
    /// The addresses of virtual routers and routes that a speaker which was killed had left.
    pub addresses: usize,
    /// Neighbours that the kernel kept resolved for the node.
    pub neighbours: usize,
}

/// Takes everything away that a stopped daemon has left. The program first, so that from then on
/// all packets go to the kernel.
///
/// # Errors
///
/// Nothing has been touched while a daemon runs.
pub async fn run(config: &Config) -> anyhow::Result<Detached> {
    let node = &config.node;
    let dir = &node.pin_dir;
    let socket = node.speaker_socket();
    if !dir.try_exists().map_err(failed("look into", dir))? {
        let (vrrp, addresses) = give_up(config, &socket).await?;
        let forwarders = desk::end(&node.forwarder_socket()).await?;
        return Ok(Detached { vrrp, forwarders, addresses, ..Detached::default() });
    }
    let _lock = preflight::lock(node)?;
    let (vrrp, addresses) = give_up(config, &socket).await?;
    let forwarders = desk::end(&node.forwarder_socket()).await?;
    let mut interfaces = pins::interfaces(dir)?;
    let links = interfaces.len();
    interfaces.retain(|name| name != probe::FAR);
    let pinned = pins::clear(dir)?;
    let probe_link = probe::remove().await?;
    fs::remove_dir(dir).map_err(failed("remove", dir))?;
    let neighbours = netlink::release().await?;
    let changes = node.changes_file();
    for file in [node.socket(), node.lock_file(), socket, changes.with_extension("bad"), changes] {
        remove(&file)?;
    }
    // Whatever else somebody keeps there stays.
    let _not_empty = fs::remove_dir(&node.runtime_dir);
    Ok(Detached {
        maps: pinned - links,
        interfaces,
        probe_link,
        vrrp,
        forwarders,
        addresses,
        neighbours,
    })
}

/// Ends the speaker, which takes its addresses with it; without one, takes those that are left. Gives whether
/// there was one, and how many were left.
async fn give_up(config: &Config, socket: &Path) -> anyhow::Result<(bool, usize)> {
    if speaker::client::resign(socket).map_err(failed("speak to", socket))? {
        return Ok((true, 0));
    }
    Ok((false, speaker::leftovers::clear(config).await?))
}

fn remove(file: &Path) -> anyhow::Result<()> {
    match fs::remove_file(file) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(failed("remove", file)(cause)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn failed<'a>(what: &'a str, path: &'a Path) -> impl Fn(io::Error) -> anyhow::Error + 'a {
    move |cause| anyhow::anyhow!("cannot {what} {}: {cause}", path.display())
}
