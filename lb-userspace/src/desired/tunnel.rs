//! Where the tunnel packets of a node come from.

use std::net::IpAddr;

use lb_common::{route::Prefix, settings::TunnelSource};

use crate::{config::Config, topology::Topology};

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// `IPv4` or `IPv6`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }
}

/// The configured source of a family, or else the node's own first global address on an attached
/// interface or a VLAN of one, or else [`TunnelSource::NONE`].
#[must_use]
pub fn source(config: &Config, topology: &Topology, family: Family) -> TunnelSource {
    let of_family = |prefix: &&Prefix| Family::of(prefix.address.to_ip()) == family;
    let configured = config.node.tunnel_source.iter().find(of_family).copied();
    let own = || own(config, topology, family, None).map(|address| Prefix::host(address.into()));
    configured.or_else(own).map_or(TunnelSource::NONE, TunnelSource::new)
}

/// The node's own first global address of a family on a link, or else on any that is attached or a
/// VLAN of one.
pub(super) fn own(
    config: &Config,
    topology: &Topology,
    family: Family,
    link: Option<u32>,
) -> Option<IpAddr> {
    let attached = || config.node.interfaces.iter().filter_map(|name| topology.interface(name));
    // A VLAN's packets leave by the attached interface as well.
    let vlans = attached().flat_map(|lower| {
        let links = topology.links.iter().filter(|(_, link)| link.vlan.is_some());
        let links = links.map(|(&index, _)| index);
        links.filter(move |&it| topology.egress(it).is_some_and(|way| way.interface == lower))
    });
    let links = link.into_iter().chain(attached()).chain(vlans);
    let links = links.filter_map(|index| topology.links.get(&index));
    // Another node may hold the VIP soon.
    let is_vip = |address: IpAddr| config.services.iter().any(|service| service.vip == address);
    links
        .flat_map(|link| link.addresses.iter().copied())
        .find(|&it| Family::of(it) == family && is_global(it) && !is_vip(it))
}

fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_link_local() && !v4.is_loopback(),
        IpAddr::V6(v6) => !v6.is_unicast_link_local() && !v6.is_loopback(),
    }
}
