//! What the daemon and the forwarder say to each other: see [`crate::companion`].

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::proxy::{self, Report, mysql::Note};

/// The version of what they say.
pub const VERSION: u32 = 1;

/// What the daemon wants of the forwarder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Host these proxies, and no others.
    Configure(Duties),
    /// Accept no more, and end with the last session.
    Resign,
    /// Let another program go on, with the same sockets.
    Replace(PathBuf),
}

/// What a forwarder is there for.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duties {
    /// The secret of the hash, the same on all nodes of a cluster.
    pub seed: [u8; 16],
    /// The threads that forward; one for each CPU that the process may use if absent.
    pub threads: Option<usize>,
    /// How long a thread looks for events before it sleeps.
    #[serde(default)]
    pub busy_poll: Duration,
    /// How long sessions may go on once no more are accepted.
    pub drain: Duration,
    /// The proxies.
    pub proxies: Vec<proxy::Order>,
}

impl std::fmt::Debug for Duties {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { seed: _, threads, busy_poll, drain, proxies } = self;
        f.debug_struct("Duties")
            .field("threads", threads)
            .field("busy_poll", busy_poll)
            .field("drain", drain)
            .field("proxies", proxies)
            .finish_non_exhaustive()
    }
}

/// All that a forwarder hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holdings {
    /// The proxies, by name.
    pub proxies: BTreeMap<String, Hosted>,
}

/// A proxy as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hosted {
    /// Its counters and its backends, if it listens.
    pub report: Option<Report>,
    /// The primary of its database servers, if there is one.
    pub primary: Option<String>,
    /// What keeps it from its work.
    pub problems: Vec<String>,
}

/// Something that happened to the database servers of a proxy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    /// Its name.
    pub proxy: String,
    /// What happened.
    pub note: Note,
}
