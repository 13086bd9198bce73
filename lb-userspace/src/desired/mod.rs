//! What the packet path should do: a pure function of what is configured and seen.

mod derive;
mod probe;
pub mod tunnel;
mod usage;

use std::collections::{BTreeMap, BTreeSet};

use lb_common::{
    addr::{Addr, Port},
    backend::Condition,
    route::{NextHop, Prefix},
    service::{DownPolicy, ForwardMode, ServiceKey},
    settings::Settings,
};

pub use self::{
    derive::{Inputs, LastHops, derive},
    usage::{Strength, Usage, strength, usage},
};
use crate::ring::Endpoint;

/// By service, the backends that are not configured any more and still have flows.
pub type Leaving = BTreeMap<ServiceKey, BTreeSet<Endpoint>>;

/// The state that the maps are to be brought to. It names no places: those are the plan's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    /// The node's settings.
    pub settings: Settings,
    /// The services.
    pub services: BTreeMap<ServiceKey, Service>,
    /// The routes for the answers of NAT backends.
    pub routes: BTreeMap<Prefix, NextHop>,
    /// The denied prefixes.
    pub denied: BTreeSet<Prefix>,
    /// The interfaces that packets may leave by.
    pub devices: BTreeSet<u32>,
}

/// A service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// How packets reach the backends.
    pub mode: ForwardMode,
    /// The slots of its ring.
    pub ring_size: u32,
    /// What becomes of the flows of a backend that is down.
    pub on_down: DownPolicy,
    /// How long an idle flow keeps its backend when the ring changes, in ticks of a second; at
    /// least 1.
    pub window: u32,
    /// The flows that may be remembered.
    pub flow_limit: u32,
    /// The UDP port that backends receive GUE at.
    pub gue_port: Port,
    /// Its pool.
    pub backends: BTreeMap<Endpoint, Backend>,
    /// The ways to backends that are not configured any more and still have flows.
    pub leaving: BTreeMap<Endpoint, Way>,
    /// How the backends are checked that are checked through the packet path.
    pub probes: BTreeMap<Endpoint, Probe>,
}

/// How a backend is checked through the packet path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The node's own address, of the VIP's family, that the backend answers to.
    pub source: Addr,
    /// How long an answer may take, in ms.
    pub patience: u32,
}

/// The way to a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// Where its packets go.
    pub next_hop: NextHop,
    /// The longest IP packet that it takes, in bytes; 65535 where nothing is added to packets.
    pub mtu: u16,
}

/// A backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backend {
    /// Its share in relation to the others.
    pub weight: u16,
    /// Whether it takes its share.
    pub condition: Condition,
    /// The way to it.
    pub way: Way,
}

impl Backend {
    /// The share of new flows that it gets in relation to the others.
    #[must_use]
    pub fn share(&self) -> u16 {
        if self.condition == Condition::UP { self.weight } else { 0 }
    }
}
