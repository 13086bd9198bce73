//! What the nodes that share a VIP tell each other: the digests of their rings.
//!
//! Nodes with the same configuration, seed and view of health hold the same rings, and a VIP that moves between them
//! keeps its connections. Where they differ, connections would break with the next failover; so each daemon says
//! once a second what its rings look like, and a difference that lasts is reported before it does harm.
//!
//! ```text
//! control ─ rings ─► exchange ─ UDP ─► other nodes
//!     ▲                  │ ▲─────────────────┘
//!     └──── view ────── book
//! ```

mod book;
mod exchange;
mod message;
mod socket;

use std::{collections::BTreeMap, net::IpAddr};

use serde::{Deserialize, Serialize};

use crate::ring::Digest;

pub use self::{
    exchange::{Wishes, spawn},
    message::PORT,
};

/// The rings of this node that others should have as well, by what names the service on all nodes.
pub type Rings = BTreeMap<String, Own>;

/// A ring of this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// The service's name here.
    pub service: String,
    /// The ring.
    pub digest: Digest,
}

/// What is known of the other nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// The nodes that were heard lately.
    pub nodes: Vec<Node>,
    /// The rings that they should have in common with this one.
    pub rings: Vec<Ring>,
}

/// Another node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// What its machine calls itself.
    pub name: String,
    /// Where it was heard from.
    pub address: IpAddr,
}

/// A ring, here and elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ring {
    /// The service's name here.
    pub service: String,
    /// Its digest here, in hexadecimal.
    pub digest: String,
    /// Elsewhere, in the order of [`View::nodes`].
    pub others: Vec<Other>,
}

/// A ring on another node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Other {
    /// The node's name.
    pub node: String,
    /// Its digest there; `None` if that node has no such service.
    pub digest: Option<String>,
    /// Whether it differs, for so long that it is no change under way.
    pub differs: bool,
}

impl View {
    /// What is to be told to an operator, a sentence each.
    pub fn problems(&self) -> impl Iterator<Item = String> {
        self.rings.iter().flat_map(|Ring { service, others, .. }| {
            let differ = others.iter().filter(|other| other.differs);
            differ.map(move |Other { node, digest, .. }| {
                let what = if digest.is_some() { "has another ring" } else { "has no such service" };
                format!(
                    "service {service}: {node} {what}: connections would break at a failover; compare \
                     configuration, seed and health of the nodes"
                )
            })
        })
    }
}
