//! What must be so before anything is touched.

mod lock;
mod process;
mod storage;

use std::{io, path::PathBuf};

pub use lock::{Lock, lock};

use crate::{config::Node, topology::Topology};

/// What keeps `lb run` from starting; nothing has been touched.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel lacks what the packet path needs.
    #[error(
        "this kernel is too old: it is Linux {release}, and lb needs 5.15 or newer; boot a newer \
         kernel"
    )]
    Kernel {
        /// As `uname -r` prints it.
        release: String,
    },
    /// The process may not load and attach programs.
    #[error(
        "missing {}: run lb as root, or grant it by `setcap \
         cap_bpf,cap_net_admin,cap_perfmon+ep {}`, or in its systemd unit by \
         `AmbientCapabilities=CAP_BPF CAP_NET_ADMIN CAP_PERFMON`",
        names.join(", "),
        executable.display()
    )]
    Capabilities {
        /// The missing ones.
        names: Vec<&'static str>,
        /// What they are to be granted to.
        executable: PathBuf,
    },
    /// Nothing can be pinned there.
    #[error(
        "node.pin_dir {} is not on a bpffs: mount one by `mount -t bpf bpf /sys/fs/bpf`, or choose \
         a directory below a mounted one",
        path.display()
    )]
    NotBpffs {
        /// The configured directory.
        path: PathBuf,
    },
    /// The directory for pinned maps cannot be had.
    #[error("cannot use node.pin_dir {}: {cause}; {remedy}", path.display())]
    PinDir {
        /// The configured directory.
        path: PathBuf,
        /// The kernel's answer.
        cause: io::Error,
        /// What to do.
        remedy: String,
    },
    /// The directory for the socket and the lock cannot be had.
    #[error(
        "cannot write to node.runtime_dir {}: {cause}; choose a directory that this user can \
         create and write to",
        path.display()
    )]
    RuntimeDir {
        /// The configured directory.
        path: PathBuf,
        /// The kernel's answer.
        cause: io::Error,
    },
    /// Another `lb run` has the runtime directory.
    #[error(
        "lb already runs on this node{}: it holds {}; stop it first, or ask it with `lb status`",
        pid.map_or(String::new(), |pid| format!(" as process {pid}")),
        path.display()
    )]
    Running {
        /// Its process id, if the lock file says so.
        pid: Option<u32>,
        /// The lock file.
        path: PathBuf,
    },
    /// Another `lb run`, with another runtime directory, has the pinned maps.
    #[error(
        "another lb, with another node.runtime_dir, uses node.pin_dir {}: stop it (`lslocks` shows \
         its process), or give this node a pin_dir of its own",
        path.display()
    )]
    Pinned {
        /// The configured directory.
        path: PathBuf,
    },
    /// A configured interface does not exist.
    #[error(
        "there is no interface `{name}`: this machine has {}",
        if existing.is_empty() { "none".into() } else { existing.join(", ") }
    )]
    Interface {
        /// The configured name.
        name: String,
        /// The names of those that exist.
        existing: Vec<String>,
    },
}

/// Whether this machine and process can run a node: kernel, capabilities, bpffs, runtime directory.
pub fn environment(node: &Node) -> Result<(), Error> {
    process::kernel()?;
    process::capabilities()?;
    storage::pin_dir(&node.pin_dir)?;
    storage::runtime_dir(&node.runtime_dir)
}

/// Whether this kernel and process can load and attach programs.
pub(crate) fn process() -> Result<(), Error> {
    process::kernel()?;
    process::capabilities()
}

/// Whether a directory is on a bpffs, or would be once it is created.
pub(crate) use storage::is_on_bpffs;

/// The indexes of interfaces; on an error the position of the name that does not exist.
pub fn interfaces(
    names: &[String],
    topology: &Topology,
) -> Result<Vec<(String, u32)>, (usize, Error)> {
    let find = |(position, name): (usize, &String)| {
        topology.interface(name).map(|index| (name.clone(), index)).ok_or_else(|| {
            let existing = topology.links.values().map(|link| link.name.clone()).collect();
            (position, Error::Interface { name: name.clone(), existing })
        })
    };
    names.iter().enumerate().map(find).collect()
}

#[cfg(test)]
mod tests {
    use lb_common::addr::Mac;

    use super::*;
    use crate::topology::Link;

    #[test]
    fn interfaces_have_indexes_and_a_missing_one_is_named_with_those_that_exist() {
        let mut topology = Topology::default();
        for (index, name) in [(1, "lo"), (5, "eth0"), (7, "eth1")] {
            let link = Link {
                name: name.into(),
                mac: Mac([0; 6]),
                up: false,
                mtu: 1500,
                vlan: None,
                addresses: Vec::new(),
            };
            let _ = topology.links.insert(index, link);
        }
        let found = interfaces(&["eth1".into(), "eth0".into()], &topology).unwrap();
        assert_eq!(found, [("eth1".into(), 7), ("eth0".into(), 5)]);

        let (position, error) = interfaces(&["eth0".into(), "eht1".into()], &topology).unwrap_err();
        assert_eq!(position, 1);
        assert_eq!(
            error.to_string(),
            "there is no interface `eht1`: this machine has lo, eth0, eth1"
        );
    }
}
