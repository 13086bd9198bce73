//! The other end: what a backend needs, so that a node's packets reach its servers.
//!
//! [`requirements()`] is a pure function of a [`Spec`]: each requirement can be described, shown as
//! commands, checked against a [`machine::Machine`], and made so. [`decap`] attaches the program that
//! undoes a node's tunnels, in the place of tunnel devices.

pub mod decap;
pub mod machine;
pub mod requirement;
pub mod setup;
pub mod spec;
mod step;

pub use self::{
    requirement::{Finding, Requirement, requirements},
    spec::{Spec, TunnelEnd},
    step::Step,
};

use std::{io, path::PathBuf};

use lb_common::route::Prefix;

use crate::{dataplane, preflight};

/// The port that IANA assigns to GUE.
pub const GUE_PORT: u16 = 6080;

/// What keeps a backend from being set up, or from being looked at.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel or the process's rights.
    #[error(transparent)]
    Preflight(#[from] preflight::Error),
    /// The program, its maps, or its link.
    #[error(transparent)]
    Dataplane(#[from] dataplane::Error),
    /// Nothing can be pinned there.
    #[error(
        "{} is not on a bpffs: mount one by `mount -t bpf bpf /sys/fs/bpf`, or name a directory \
         below a mounted one with --pin-dir",
        path.display()
    )]
    NotBpffs {
        /// Where pins were to go.
        path: PathBuf,
    },
    /// A pin, or the directory for pins.
    #[error("cannot {what}: {cause}; run lb as root")]
    Pins {
        /// What was being done, with the path.
        what: String,
        /// The kernel's answer.
        cause: io::Error,
    },
    /// Somebody else is at it.
    #[error("another lb changes {} at this moment: try again", path.display())]
    Busy {
        /// The directory of the pins.
        path: PathBuf,
    },
    /// There is no program.
    #[error(
        "no decapsulation is attached to {interface}: `lb decap --interface {interface} --from PREFIX` does it"
    )]
    NotAttached {
        /// Where it was looked for.
        interface: String,
    },
    /// The pinned maps are those of a version with others.
    #[error(
        "the decapsulation of {interface} was attached by another version of lb: attach it anew \
         with `lb decap --interface {interface} --from PREFIX`"
    )]
    OtherVersion {
        /// Its interface.
        interface: String,
    },
    /// The kernel's interfaces, addresses and routes cannot be read.
    #[error("cannot read the interfaces: {}", crate::error::with_causes(.0))]
    Netlink(rtnetlink::Error),
    /// No netlink socket.
    #[error("cannot open a netlink socket: {0}")]
    Socket(io::Error),
    /// Only root can make the changes.
    #[error(
        "only root can set up a backend: nothing was changed; `--print` shows what is to be done"
    )]
    NotRoot,
    /// A part of the setup did not work.
    #[error("`{command}` failed: {reason}")]
    Step {
        /// What was run.
        command: String,
        /// Why it failed.
        reason: String,
    },
    /// A command did what it should, and it did not help.
    #[error("{requirement} is still missing after its commands succeeded: {found}")]
    Still {
        /// What was to be so.
        requirement: String,
        /// What is so.
        found: String,
    },
    /// The description of the backend makes no sense.
    #[error("{0}")]
    Spec(String),
}

/// A prefix in the form that people write.
#[must_use]
pub fn prefix_text(prefix: &Prefix) -> String {
    let address = prefix.address.to_ip();
    let mapped = if address.is_ipv4() { 96 } else { 0 };
    format!("{address}/{}", prefix.length.saturating_sub(mapped))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse_prefix;

    #[test]
    fn prefixes_are_shown_as_they_are_written() {
        for text in ["10.0.0.0/24", "0.0.0.0/0", "2001:db8::/32", "10.0.0.1/32"] {
            assert_eq!(prefix_text(&parse_prefix(text).unwrap()), text);
        }
    }
}
