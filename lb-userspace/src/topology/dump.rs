//! The kernel's own description, as a [`Topology`].

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use lb_common::{
    addr::Mac,
    route::{Prefix, VlanTag},
};
use rtnetlink::packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::{AddressAttribute, AddressHeaderFlags, AddressMessage},
    link::{InfoData, InfoVlan, LinkAttribute, LinkFlags, LinkInfo, LinkMessage},
    neighbour::{
        NeighbourAddress, NeighbourAttribute, NeighbourExtFlags, NeighbourFlags, NeighbourMessage,
        NeighbourState,
    },
    route::{
        RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteMetric,
        RouteProtocol, RouteType, RouteVia,
    },
};

use super::{Link, Route, Topology, Vlan};

/// Marks the neighbour entries that this node keeps (`NDA_PROTOCOL`), so that a restarted daemon
/// knows its own. Unassigned in iproute2's `rt_protos`.
pub(super) const PROTOCOL: RouteProtocol = RouteProtocol::Other(108);

/// The first value that an attribute of these kinds gives.
macro_rules! attribute {
    ($attributes:expr, $($pattern:pat => $value:expr),+) => {
        $attributes.iter().find_map(|attribute| {
            $(if let $pattern = attribute {
                return $value;
            })+
            None
        })
    };
}

/// One dump: the topology, and what only the keeping of neighbours must know.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Dump {
    pub(super) topology: Topology,
    /// Every neighbour entry, whether usable or not.
    pub(super) entries: BTreeMap<(u32, IpAddr), Entry>,
    /// The links that resolve neighbours: not loopback, not point-to-point tunnels.
    pub(super) resolving: BTreeSet<u32>,
}

/// A neighbour entry of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) keeper: Keeper,
    /// Reachable or being probed: the kernel is at it.
    pub(super) fresh: bool,
}

/// Who keeps a neighbour entry resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keeper {
    /// Nobody: it ages.
    Nobody,
    /// The kernel, since this node asked for it.
    Us,
    /// The kernel or an operator, since somebody else asked for it.
    Others,
}

impl Dump {
    /// Reads the answers to dumps of links, addresses, routes and neighbours.
    pub(super) fn new(messages: Vec<RouteNetlinkMessage>) -> Self {
        let mut dump = Self::default();
        let mut routes = Vec::new();
        for message in messages {
            #[expect(clippy::wildcard_enum_match_arm, reason = "no other kind was asked for")]
            match message {
                RouteNetlinkMessage::NewLink(link) => dump.link(&link),
                RouteNetlinkMessage::NewAddress(address) => dump.address(&address),
                RouteNetlinkMessage::NewRoute(route) => routes.push(route),
                RouteNetlinkMessage::NewNeighbour(neighbour) => dump.neighbour(&neighbour),
                _ => {}
            }
        }
        // The choice among the next hops of a route needs the links.
        dump.topology.routes = routes.iter().filter_map(|r| route(r, &dump.topology)).collect();
        dump
    }

    fn link(&mut self, message: &LinkMessage) {
        let name =
            attribute!(message.attributes, LinkAttribute::IfName(name) => Some(name.clone()));
        let mac = attribute!(message.attributes, LinkAttribute::Address(bytes) => mac(bytes));
        let (index, flags) = (message.header.index, message.header.flags);
        if !flags.intersects(LinkFlags::Loopback | LinkFlags::Noarp) {
            let _ = self.resolving.insert(index);
        }
        let up = flags.contains(LinkFlags::Up | LinkFlags::LowerUp);
        let mtu = attribute!(message.attributes, LinkAttribute::Mtu(mtu) => Some(*mtu));
        let link = Link {
            name: name.unwrap_or_default(),
            mac: mac.unwrap_or(Mac([0; 6])),
            up,
            mtu: mtu.unwrap_or(u32::MAX),
            vlan: vlan(&message.attributes),
            addresses: Vec::new(),
        };
        let _ = self.topology.links.insert(index, link);
    }

    fn address(&mut self, message: &AddressMessage) {
        // IFA_LOCAL is the node's own; on point-to-point links IFA_ADDRESS is the peer's.
        let local =
            attribute!(message.attributes, AddressAttribute::Local(address) => Some(*address));
        let address =
            attribute!(message.attributes, AddressAttribute::Address(address) => Some(*address));
        let address = local.or(address);
        self.topology.addresses.extend(address);
        // Those that may be gone soon, or are not yet the node's own, are no lasting ones.
        let passing = AddressHeaderFlags::Tentative
            | AddressHeaderFlags::Dadfailed
            | AddressHeaderFlags::Deprecated;
        let temporary = message.header.family == AddressFamily::Inet6
            && message.header.flags.contains(AddressHeaderFlags::Secondary);
        if let Some(link) = self.topology.links.get_mut(&message.header.index)
            && !temporary
            && !message.header.flags.intersects(passing)
        {
            link.addresses.extend(address);
        }
    }

    fn neighbour(&mut self, message: &NeighbourMessage) {
        let header = &message.header;
        let address = attribute!(
            message.attributes,
            NeighbourAttribute::Destination(NeighbourAddress::Inet(v4)) => Some(IpAddr::from(*v4)),
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(v6)) => Some((*v6).into())
        );
        let Some(address) = address.filter(|_| !header.flags.contains(NeighbourFlags::Proxy))
        else {
            return;
        };
        let key = (header.ifindex, address);
        let _ = self.entries.insert(key, entry(message));
        let mac = attribute!(message.attributes, NeighbourAttribute::LinkLayerAddress(bytes) => mac(bytes));
        if let Some(mac) = mac.filter(|_| is_usable(header.state)) {
            let _ = self.topology.neighbours.insert(key, mac);
        }
    }
}

/// What a VLAN device stands on, and its tag.
fn vlan(attributes: &[LinkAttribute]) -> Option<Vlan> {
    let infos = attribute!(attributes, LinkAttribute::LinkInfo(infos) => Some(infos))?;
    let data = attribute!(infos, LinkInfo::Data(InfoData::Vlan(data)) => Some(data))?;
    let id = attribute!(data, InfoVlan::Id(id) => Some(*id))?;
    let protocol = attribute!(data, InfoVlan::Protocol(protocol) => Some(u16::from(*protocol)));
    let foreign = attribute!(attributes, LinkAttribute::LinkNetNsId(id) => Some(*id));
    let lower = attribute!(attributes, LinkAttribute::Link(index) => Some(*index));
    Some(Vlan {
        lower: lower.filter(|_| foreign.is_none()).unwrap_or(0),
        tag: VlanTag::new(protocol.unwrap_or(0x8100), id),
    })
}

fn mac(bytes: &[u8]) -> Option<Mac> {
    bytes.try_into().ok().map(Mac)
}

const fn is_usable(state: NeighbourState) -> bool {
    use NeighbourState::{Delay, Permanent, Probe, Reachable, Stale};
    matches!(state, Reachable | Stale | Delay | Probe | Permanent)
}

fn entry(message: &NeighbourMessage) -> Entry {
    use NeighbourState::{Delay, Noarp, Permanent, Probe, Reachable};
    let header = &message.header;
    let managed = message.attributes.iter().any(|attribute| {
        matches!(attribute, NeighbourAttribute::ExtFlags(flags)
            if flags.contains(NeighbourExtFlags::Managed))
    });
    let ours = message.attributes.contains(&NeighbourAttribute::Protocol(PROTOCOL));
    // A request for a permanent entry would make it an ordinary one, and one for an entry that a
    // routing daemon has learned would take it away from there.
    let others = matches!(header.state, Permanent | Noarp)
        || !ours && (managed || header.flags.contains(NeighbourFlags::ExtLearned));
    let keeper = match (others, managed) {
        (true, _) => Keeper::Others,
        (false, true) => Keeper::Us,
        (false, false) => Keeper::Nobody,
    };
    Entry { keeper, fresh: matches!(header.state, Reachable | Delay | Probe) }
}

/// A unicast route of the main table by which plain frames can be sent. Cached exceptions, routes
/// for some sources or types of service only, and routes into tunnels are left out.
fn route(message: &RouteMessage, topology: &Topology) -> Option<Route> {
    let RouteMessage { header, attributes, .. } = message;
    let table = attribute!(attributes, RouteAttribute::Table(table) => Some(*table));
    let plain = header.kind == RouteType::Unicast
        && table.unwrap_or(header.table.into()) == u32::from(RouteHeader::RT_TABLE_MAIN)
        && header.source_prefix_length == 0
        && header.tos == 0
        && !header.flags.contains(RouteFlags::Cloned);
    #[expect(clippy::wildcard_enum_match_arm, reason = "the two families that were asked for")]
    let any = match header.address_family {
        AddressFamily::Inet => IpAddr::from([0; 4]),
        AddressFamily::Inet6 => IpAddr::from([0; 16]),
        _ => return None,
    };
    let destination = attribute!(attributes, RouteAttribute::Destination(address) => ip(address));
    let metric = attribute!(attributes, RouteAttribute::Priority(metric) => Some(*metric));
    let metrics = attribute!(attributes, RouteAttribute::Metrics(metrics) => Some(metrics));
    let (interface, gateway) = plain.then(|| next_hop(attributes, topology))??;
    Some(Route {
        prefix: Prefix::new(destination.unwrap_or(any), header.destination_prefix_length)?,
        gateway,
        interface,
        metric: metric.unwrap_or(0),
        mtu: metrics.and_then(|it| attribute!(it, RouteMetric::Mtu(mtu) => Some(*mtu))),
    })
}

/// The interface and the router; of several next hops the first whose link is up.
fn next_hop(attributes: &[RouteAttribute], topology: &Topology) -> Option<(u32, Option<IpAddr>)> {
    let several = attribute!(attributes, RouteAttribute::MultiPath(next_hops) => Some(next_hops));
    let Some(several) = several else {
        let interface = attribute!(attributes, RouteAttribute::Oif(index) => Some(*index));
        return hop(interface?, attributes);
    };
    several
        .iter()
        .filter_map(|one| hop(one.interface_index, &one.attributes))
        .find(|(interface, _)| topology.links.get(interface).is_some_and(|link| link.up))
}

fn hop(interface: u32, attributes: &[RouteAttribute]) -> Option<(u32, Option<IpAddr>)> {
    let tunnel = attributes.iter().any(|a| matches!(a, RouteAttribute::EncapType(_)));
    let gateway = attribute!(
        attributes,
        RouteAttribute::Gateway(address) => ip(address),
        RouteAttribute::Via(RouteVia::Inet(v4)) => Some((*v4).into()),
        RouteAttribute::Via(RouteVia::Inet6(v6)) => Some((*v6).into())
    );
    (!tunnel).then_some((interface, gateway))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "MPLS labels and the like are no addresses")]
fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(v4) => Some((*v4).into()),
        RouteAddress::Inet6(v6) => Some((*v6).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
