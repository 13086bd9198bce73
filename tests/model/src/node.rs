//! A plain description of a node: what the maps say, without places and without the maps.

use std::{collections::BTreeSet, net::IpAddr, ops::RangeInclusive};

use lb_common::{hash::HashKey, service::DownPolicy, settings::TunnelSource, slot::State};

/// A node.
#[derive(Clone, Debug)]
pub struct Node {
    /// The secret of the flow hash.
    pub hash_key: HashKey,
    /// The interface that packets come in by.
    pub ingress: u32,
    /// The interfaces that packets may be redirected to.
    pub devices: BTreeSet<u32>,
    /// The source networks that nothing is taken from.
    pub denied: Vec<Network>,
    /// The services.
    pub services: Vec<Service>,
    /// Where the answers of NAT backends go.
    pub routes: Vec<(Network, Way)>,
    /// Where tunnel packets over IPv4 come from.
    pub tunnel4: Option<TunnelSource>,
    /// Where tunnel packets over IPv6 come from.
    pub tunnel6: Option<TunnelSource>,
    /// Whether the node answers at all, or its limits are always reached.
    pub answers: bool,
}

/// A network of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// An address in it.
    pub address: IpAddr,
    /// The bits that count, of the family's 32 or 128.
    pub length: u8,
}

/// A service.
#[derive(Clone, Debug)]
pub struct Service {
    /// The virtual address.
    pub vip: IpAddr,
    /// 6 or 17.
    pub protocol: u8,
    /// The ports.
    pub ports: RangeInclusive<u16>,
    /// How packets reach the backends.
    pub mode: Mode,
    /// The backends by their position.
    pub backends: Vec<Backend>,
    /// The slots; an index counts the backends from 1.
    pub ring: Vec<State>,
    /// What becomes of the flows of a backend that is down.
    pub on_down: DownPolicy,
}

/// How packets reach a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In a frame for the backend.
    L2,
    /// Readdressed, as are the answers.
    Nat,
    /// In an IP packet for the backend.
    Ipip,
    /// In a UDP datagram for the backend, at this port.
    Gue(u16),
}

/// A backend.
#[derive(Clone, Debug)]
pub struct Backend {
    /// Its address.
    pub address: IpAddr,
    /// Its port; only NAT looks at it.
    pub port: u16,
    /// The way to it, if it is known.
    pub hop: Option<Hop>,
    /// The longest IP packet that the way takes.
    pub mtu: u16,
    /// Whether it is known to be down.
    pub down: bool,
}

/// A neighbour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The interface that leads to it.
    pub interface: u32,
    /// Its MAC.
    pub destination: [u8; 6],
    /// The interface's MAC.
    pub source: [u8; 6],
    /// The VLAN tags, the outer first, each as on the wire: protocol and control.
    pub tags: Vec<[u8; 4]>,
}

/// Where a route leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// To the node itself.
    Local,
    /// To a neighbour that is not known.
    Unresolved,
    /// To a neighbour.
    Hop(Hop),
}

impl Network {
    /// Whether an address is in the network. An IPv4-mapped IPv6 address is an IPv6 address.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        let shared = match (self.address, ip) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
            _ => return false,
        };
        shared >= u32::from(self.length)
    }
}

impl Node {
    /// Whether an address has a service.
    pub(crate) fn is_vip(&self, ip: IpAddr) -> bool {
        self.services.iter().any(|service| service.vip == ip)
    }

    /// The position of the service of a packet's destination: one with this port alone before one
    /// with a range before one with all ports.
    pub(crate) fn service(&self, vip: IpAddr, port: u16, protocol: u8) -> Option<usize> {
        let fits = |service: &Service| {
            service.vip == vip && service.protocol == protocol && service.ports.contains(&port)
        };
        let width = |service: &Service| service.ports.end() - service.ports.start();
        let candidates = self.services.iter().enumerate().filter(|(_, service)| fits(service));
        candidates.min_by_key(|(_, service)| width(service)).map(|(position, _)| position)
    }

    /// The service and the backend that an answer comes from: positions.
    pub(crate) fn reply(&self, source: IpAddr, port: u16, protocol: u8) -> Option<(usize, usize)> {
        self.services.iter().enumerate().find_map(|(position, service)| {
            let owns = |backend: &Backend| backend.address == source && backend.port == port;
            let nat = service.mode == Mode::Nat && service.protocol == protocol;
            let backend = service.backends.iter().position(owns).filter(|_| nat)?;
            Some((position, backend))
        })
    }

    /// The way of the longest matching route.
    pub(crate) fn route(&self, destination: IpAddr) -> Option<&Way> {
        let routes = self.routes.iter().filter(|(network, _)| network.contains(destination));
        routes.max_by_key(|(network, _)| network.length).map(|(_, way)| way)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_its_own_family_only() {
        let all6 = Network { address: "::".parse().unwrap(), length: 0 };
        assert!(all6.contains("2001:db8::1".parse().unwrap()));
        assert!(!all6.contains("192.0.2.1".parse().unwrap()));
        let some = Network { address: "192.0.2.128".parse().unwrap(), length: 25 };
        assert!(some.contains("192.0.2.200".parse().unwrap()));
        assert!(!some.contains("192.0.2.100".parse().unwrap()));
        assert!(!some.contains("::ffff:192.0.2.200".parse().unwrap()));
    }
}
