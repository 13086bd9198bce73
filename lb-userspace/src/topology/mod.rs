//! How frames leave the node: what the kernel knows of links, routes and neighbours.

mod dump;
mod keep;
pub mod netlink;
pub mod probe;
mod requests;
pub mod vip;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
};

use lb_common::{
    addr::{Addr, Mac},
    route::{NextHop, Prefix, VlanTag},
};

/// One moment of the kernel's links, routes (main table) and neighbours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// The links by index.
    pub links: BTreeMap<u32, Link>,
    /// The routes of both families.
    pub routes: Vec<Route>,
    /// The neighbours with a usable link-layer address, by link and address.
    pub neighbours: BTreeMap<(u32, IpAddr), Mac>,
    /// The node's own addresses.
    pub addresses: BTreeSet<IpAddr>,
}

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// Its MAC.
    pub mac: Mac,
    /// Whether it is up and has a carrier.
    pub up: bool,
    /// The longest IP packet that it takes, in bytes.
    pub mtu: u32,
    /// What it stands on, if it is a VLAN device.
    pub vlan: Option<Vlan>,
    /// Its lasting addresses, in the kernel's order.
    pub addresses: Vec<IpAddr>,
}

/// How a VLAN device sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vlan {
    /// The index of the link below; 0 if it is in another namespace.
    pub lower: u32,
    /// The tag that frames get on the way down.
    pub tag: VlanTag,
}

/// A route of the main table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where it leads.
    pub prefix: Prefix,
    /// The router, or `None` if the destination is on the link.
    pub gateway: Option<IpAddr>,
    /// The link's index.
    pub interface: u32,
    /// The smallest wins among equal prefixes.
    pub metric: u32,
    /// The longest IP packet that the route takes, in bytes, if it says so.
    pub mtu: Option<u32>,
}

/// The way to a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// The neighbour that frames go to: the destination itself or a router.
    pub neighbour: IpAddr,
    /// The link's index.
    pub interface: u32,
    /// Whether the neighbour is the destination itself.
    pub on_link: bool,
    /// The longest IP packet that link and route take, in bytes.
    pub mtu: u32,
}

impl Topology {
    /// The index of an interface, whether up or down.
    #[must_use]
    pub fn interface(&self, name: &str) -> Option<u32> {
        self.links.iter().find(|(_, link)| link.name == name).map(|(&index, _)| index)
    }

    /// The way to an address by the longest prefix, then the smallest metric.
    ///
    /// Routes over links that are down do not count.
    #[must_use]
    pub fn path(&self, to: IpAddr) -> Option<Path> {
        self.usable_routes()
            .filter(|route| covers(&route.prefix, to))
            .min_by_key(|route| (Reverse(route.prefix.length), route.metric))
            .map(|route| self.path_by(route, to))
    }

    fn path_by(&self, route: &Route, to: IpAddr) -> Path {
        let link = self.links.get(&route.interface).map_or(u32::MAX, |link| link.mtu);
        Path {
            neighbour: route.gateway.unwrap_or(to),
            interface: route.interface,
            on_link: route.gateway.is_none(),
            mtu: route.mtu.map_or(link, |mtu| mtu.min(link)),
        }
    }

    /// The resolved next hop of a path.
    #[must_use]
    pub fn next_hop(&self, path: &Path) -> Option<NextHop> {
        let destination = *self.neighbours.get(&(path.interface, path.neighbour))?;
        Some(NextHop { destination, ..self.egress(path.interface)? })
    }

    /// [`Topology::next_hop`], or while the neighbour is not resolved the one in use before, if it
    /// leaves the same way.
    #[must_use]
    pub fn next_hop_or_last(&self, path: &Path, last: Option<&NextHop>) -> Option<NextHop> {
        self.next_hop(path).or_else(|| {
            let way = self.egress(path.interface)?;
            let last = last.filter(|it| (it.interface, it.tags) == (way.interface, way.tags))?;
            Some(NextHop { destination: last.destination, ..way })
        })
    }

    /// How frames leave by a link, but for their destination: a VLAN device's by the link that it
    /// stands on, with a tag. `None` if a link is down, or tags would be more than two.
    #[must_use]
    pub fn egress(&self, interface: u32) -> Option<NextHop> {
        let up = |index| self.links.get(&index).filter(|link| link.up);
        let source = up(interface)?.mac;
        let (mut interface, mut tags) = (interface, [VlanTag::NONE; 2]);
        while let Some(Vlan { lower, tag }) = up(interface)?.vlan {
            let [outer, inner] = tags;
            (!inner.is_some()).then_some(())?;
            (interface, tags) = (lower, [tag, outer]);
        }
        Some(NextHop { interface, source, tags, ..NextHop::UNRESOLVED })
    }

    /// All destinations that frames can be sent to at once, for the packet path's own lookups:
    /// prefixes behind resolved routers, and resolved neighbours as hosts. A prefix whose router
    /// is not resolved at the moment keeps its hop of `last`, if it leaves by the same link.
    ///
    /// All entries but one are resolved: where an IPv6 prefix covers the IPv4-mapped addresses (as
    /// `::/0` does) and IPv4 has no default route, `::ffff:0:0/96` is [`NextHop::UNRESOLVED`], so
    /// that no IPv4 packet follows an IPv6 route.
    #[must_use]
    pub fn mirror(&self, last: &BTreeMap<Prefix, NextHop>) -> BTreeMap<Prefix, NextHop> {
        let best = self.best_routes();
        let mut mirror: BTreeMap<_, _> = best
            .values()
            .filter_map(|route| self.behind_router(route, last))
            .chain(self.neighbours.keys().filter_map(|&key| self.as_host(&best, key)))
            .collect();
        let mapped = |length| masked(Ipv4Addr::UNSPECIFIED.into(), length);
        if mirror.keys().any(|prefix| prefix.length < 96 && mapped(prefix.length) == *prefix) {
            let _ = mirror.entry(mapped(96)).or_insert(NextHop::UNRESOLVED);
        }
        mirror
    }

    /// The neighbours that must be resolved for packets to flow: those on the way to the wanted
    /// addresses, and the routers of all routes, by which answers leave.
    fn needed_neighbours(&self, wanted: &BTreeSet<IpAddr>) -> BTreeSet<(u32, IpAddr)> {
        let best = self.best_routes();
        let routers = best.values().filter_map(|route| Some((route.interface, route.gateway?)));
        wanted
            .iter()
            .filter_map(|&address| longest(&best, address).map(|route| (route, address)))
            .map(|(route, address)| (route.interface, route.gateway.unwrap_or(address)))
            .chain(routers)
            .filter(|&(_, neighbour)| self.is_sendable(neighbour))
            .collect()
    }

    fn usable_routes(&self) -> impl Iterator<Item = &Route> {
        self.routes
            .iter()
            .filter(|route| self.links.get(&route.interface).is_some_and(|link| link.up))
    }

    /// The route that counts for every prefix.
    fn best_routes(&self) -> BTreeMap<Prefix, &Route> {
        let mut best = BTreeMap::<_, &Route>::new();
        for route in self.usable_routes() {
            let entry = best.entry(route.prefix).or_insert(route);
            if route.metric < entry.metric {
                *entry = route;
            }
        }
        best
    }

    fn behind_router(
        &self,
        route: &Route,
        last: &BTreeMap<Prefix, NextHop>,
    ) -> Option<(Prefix, NextHop)> {
        let network = route.prefix.address.to_ip();
        let unicast = !network.is_multicast() && !is_link_local(network) && !network.is_loopback();
        let own = route.prefix.length == 128 && self.addresses.contains(&network);
        let path = self.path_by(route, network);
        (!path.on_link && unicast && !own).then_some(())?;
        Some((route.prefix, self.next_hop_or_last(&path, last.get(&route.prefix))?))
    }

    fn as_host(
        &self,
        best: &BTreeMap<Prefix, &Route>,
        (interface, address): (u32, IpAddr),
    ) -> Option<(Prefix, NextHop)> {
        (self.is_sendable(address) && !is_link_local(address)).then_some(())?;
        let path = self.path_by(longest(best, address)?, address);
        (path.on_link && path.interface == interface).then_some(())?;
        Some((Prefix::host(address.into()), self.next_hop(&path)?))
    }

    /// Whether a host other than this one can have the address.
    fn is_sendable(&self, address: IpAddr) -> bool {
        !(address.is_multicast()
            || address.is_loopback()
            || address.is_unspecified()
            || address == IpAddr::V4(Ipv4Addr::BROADCAST)
            || self.addresses.contains(&address))
    }
}

/// Whether a prefix, of the address's own family, has the address: an IPv4 address is not within
/// `::/0`, though its mapped form is.
fn covers(prefix: &Prefix, address: IpAddr) -> bool {
    prefix.address.is_v4() == address.is_ipv4() && masked(address, prefix.length) == *prefix
}

fn masked(address: IpAddr, length: u32) -> Prefix {
    let bits = u128::from_be_bytes(Addr::from(address).octets());
    let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
    Prefix { length, address: Addr::from_v6((bits & mask).to_be_bytes()) }
}

/// The route of [`Topology::path`] for many addresses: by lookups instead of a walk over all routes.
fn longest<'a>(best: &BTreeMap<Prefix, &'a Route>, to: IpAddr) -> Option<&'a Route> {
    (0..=128)
        .rev()
        .filter_map(|length| best.get(&masked(to, length)).copied())
        .find(|route| covers(&route.prefix, to))
}

/// Link-local addresses mean something on one link only, which a prefix alone cannot name.
fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests;
