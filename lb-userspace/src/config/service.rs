//! A service: a VIP with ports, and a pool.

use std::{net::IpAddr, sync::Arc, time::Duration};

use lb_common::{
    addr::Protocol,
    service::{DownPolicy, ForwardMode, Ports, ServiceKey},
};

use super::{Agent, Backend, Check, Through};

/// One service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its name, unique.
    pub name: String,
    /// The virtual IP address.
    pub vip: IpAddr,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The ports that clients talk to.
    pub ports: Ports,
    /// How packets reach the backends.
    pub forward: ForwardMode,
    /// The UDP port that backends receive GUE at.
    pub gue_port: u16,
    /// How long after a change of the pool a flow may show that it is older: whole seconds.
    pub window: Duration,
    /// The flows that are remembered at most.
    pub flow_table: u32,
    /// What becomes of the flows of a backend that is down.
    pub on_down: DownPolicy,
    /// One of [`super::RING_SIZES`].
    pub ring_size: u32,
    /// How backends are checked; `None`: they count as up.
    pub check: Option<Arc<Check>>,
    /// The agents on the backends; `None`: there are none.
    pub agent: Option<Arc<Agent>>,
    /// The share of the backends, in percent: when fewer are up, the `sorry` backend takes the
    /// connections, or else all backends do. With 0 only the former, when none is up.
    pub panic: u8,
    /// What takes the connections then; not a member of the pool.
    pub sorry: Option<Backend>,
    /// The pool; names and (address, port) are unique within it.
    pub backends: Vec<Backend>,
}

impl Service {
    /// What names the service in a packet.
    #[must_use]
    pub fn key(&self) -> ServiceKey {
        ServiceKey::with_ports(self.vip.into(), self.ports, self.protocol)
    }

    /// All that packets may be sent to: the pool, and the `sorry` backend.
    pub fn machines(&self) -> impl Iterator<Item = &Backend> {
        self.backends.iter().chain(&self.sorry)
    }

    /// The check, if it goes through the packet path.
    #[must_use]
    pub fn probe(&self) -> Option<&Check> {
        self.check.as_deref().filter(|check| check.through == Through::Datapath)
    }

    /// The port of a backend that configures none: the service's, or the first of several; 0 where
    /// the service has every port.
    #[must_use]
    pub fn default_port(&self) -> u16 {
        self.ports.first.get()
    }
}

/// The window of a service that configures none.
#[must_use]
pub fn default_window(protocol: Protocol) -> Duration {
    Duration::from_secs(if protocol == Protocol::UDP { 60 } else { 3600 })
}

/// The policy of a service that configures none: TCP clients connect anew at once, UDP ones would
/// hardly notice the answer.
#[must_use]
pub fn default_on_down(protocol: Protocol) -> DownPolicy {
    if protocol == Protocol::UDP { DownPolicy::REHASH } else { DownPolicy::RST }
}
