//! `POST /v1/explain`: what the node does with a packet.

use std::net::SocketAddr;

use lb_common::addr::Protocol;
use serde::{Deserialize, Serialize};

/// A packet to explain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// TCP or UDP.
    pub protocol: Transport,
    /// The client.
    pub source: SocketAddr,
    /// What it talks to; of the same family.
    pub destination: SocketAddr,
    /// Whether it opens a connection: a SYN. Any other segment if absent.
    #[serde(default)]
    pub syn: bool,
}

/// The protocols that services have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// RFC 9293.
    Tcp,
    /// RFC 768.
    Udp,
}

impl Transport {
    /// IANA's number.
    #[must_use]
    pub const fn number(self) -> Protocol {
        match self {
            Self::Tcp => Protocol::TCP,
            Self::Udp => Protocol::UDP,
        }
    }
}

/// What becomes of the packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The stages that it passes, in order.
    pub steps: Vec<Step>,
    /// The program's verdict.
    pub verdict: String,
    /// What that means.
    pub meaning: String,
    /// The frame that came in, in hexadecimal digits.
    pub received: String,
    /// The frame as the program rewrote it, if it did.
    pub sent: Option<String>,
}

/// One stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its name.
    pub stage: String,
    /// What it found.
    pub finding: String,
}
