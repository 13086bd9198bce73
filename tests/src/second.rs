//! A second machine beside the node's: for another node, or for one of its peers.

use std::path::{Path, PathBuf};

use aya::Ebpf;

use crate::{
    Error,
    netns::Netns,
    pass,
    site::{BPFFS, Site, own_addresses, plug},
};

/// The last number of its addresses: `10.0.0.3`, `fd00:0:0:1::3`.
pub const HOST: u8 = 3;

/// The second machine, plugged in beside the node's, without any VIP.
#[derive(Debug)]
pub struct Second {
    /// The machine.
    pub netns: Netns,
    runtime_dir: PathBuf,
    pin_dir: PathBuf,
    _pass: Ebpf,
}

impl Second {
    /// Makes it.
    pub fn build(site: &Site) -> Result<Self, Error> {
        let netns = Netns::create(format!("{}-lb2", site.prefix()))?;
        plug(&netns, &site.router, "lb2", None)?;
        site.router.checksum_in_software("lb2")?;
        // As network cards do, neither machine takes frames for the other's MAC.
        for port in ["lb", "lb2"] {
            site.router.ip(&format!("link set {port} type bridge_slave flood off"))?;
        }
        own_addresses(&netns, "eth0", HOST)?;
        let pass = pass::attach(lb_userspace::dataplane::OBJECT, &site.router, "lb2")?;
        let pin_dir = Path::new(BPFFS).join(format!("{}-lb2", site.prefix()));
        site.folder().own(&pin_dir)?;
        let runtime_dir = site.folder().path().join("run2");
        Ok(Self { netns, runtime_dir, pin_dir, _pass: pass })
    }

    /// A runtime directory for a node on it.
    #[must_use]
    pub fn runtime_dir(&self) -> &Path {
        &self.runtime_dir
    }

    /// A configuration of the first node, for a node on this one.
    #[must_use]
    pub fn config(&self, site: &Site, first: &str) -> String {
        let theirs = site.node_table(&site.pin_dir(), "eth0");
        let path = |path: &Path| format!("\"{}\"", path.display());
        let table = theirs
            .replace(&path(&site.runtime_dir()), &path(&self.runtime_dir))
            .replace(&path(&site.pin_dir()), &path(&self.pin_dir));
        first.replace(&theirs, &table)
    }
}
