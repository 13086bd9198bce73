//! The routes that this node announces while it is healthy, as they are configured.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::vrrp::Track;

/// Where the addresses are put if the file says nothing.
pub const DEFAULT_INTERFACE: &str = "lo";

/// Addresses that a routing daemon announces for as long as they are on an interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Its name, unique among routes.
    pub name: String,
    /// At least one, of either family; none of another route or of a virtual router. They are put on the
    /// interface as those of a single host: /32, /128.
    pub addresses: Vec<IpAddr>,
    /// The interface that the routing daemon takes them from.
    pub interface: String,
    /// What must be well for them to be there; weights are 0.
    pub tracks: Vec<Track>,
}
