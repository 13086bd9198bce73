//! How the agents on backends are asked.

use std::{net::IpAddr, time::Duration};

/// The agent of each backend of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Where it listens, if not at the backend's own address.
    pub address: Option<IpAddr>,
    /// Its TCP port.
    pub port: u16,
    /// From one question to the next.
    pub interval: Duration,
    /// How long an answer may take; less than the interval.
    pub timeout: Duration,
    /// What is sent first.
    pub send: String,
}
