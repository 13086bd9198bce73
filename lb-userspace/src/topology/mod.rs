//! How frames leave the node: what the kernel knows of links, routes and neighbours.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use lb_common::{
    addr::Mac,
    route::{NextHop, Prefix},
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
}

impl Topology {
    /// The index of a link.
    #[must_use]
    pub fn interface(&self, name: &str) -> Option<u32> {
        self.links.iter().find(|(_, link)| link.name == name).map(|(index, _)| *index)
    }

    /// The way to an address by the longest prefix, then the smallest metric.
    #[must_use]
    pub fn path(&self, _to: IpAddr) -> Option<Path> {
        None
    }

    /// The resolved next hop of a path.
    #[must_use]
    pub fn next_hop(&self, _path: &Path) -> Option<NextHop> {
        None
    }

    /// All destinations that frames can be sent to at once, for the packet path's own lookups:
    /// prefixes behind resolved routers, and resolved neighbours as hosts.
    #[must_use]
    pub fn mirror(&self) -> BTreeMap<Prefix, NextHop> {
        BTreeMap::new()
    }
}
