//! (configuration, drains, health, topology) → desired state.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};

use lb_common::{
    addr::{Port, Protocol},
    backend::Condition,
    hash::HashKey,
    layout,
    route::{NextHop, Prefix},
    service::{DownPolicy, ForwardMode, ServiceKey},
    settings::{AnswerRates, Settings, Stages, TunnelSource},
};

use super::{Backend, Desired, Drains, Service};
use crate::{
    config::{self, Config},
    health::{TargetKey, View},
    topology::Topology,
};

/// What the desired state depends on, and nothing else.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// What is configured.
    pub config: &'a Config,
    /// The backends that take no new flows.
    pub drains: &'a Drains,
    /// What the checks say.
    pub health: &'a View,
    /// What the kernel knows of the network.
    pub topology: &'a Topology,
    /// The next hops that were in use.
    pub last_hops: &'a LastHops,
}

/// The next hops that were in use: one stays while its neighbour is not resolved, because the
/// kernel forgets neighbours that only XDP talks to. Whether a backend is alive, its checks tell.
#[derive(Clone, Debug, Default)]
pub struct LastHops {
    /// By the backend's address.
    pub backends: BTreeMap<IpAddr, NextHop>,
    /// By the route's prefix.
    pub routes: BTreeMap<Prefix, NextHop>,
}

/// The state that the maps are to be brought to.
#[must_use]
pub fn derive(inputs: Inputs<'_>) -> Desired {
    let Inputs { config, .. } = inputs;
    let services: BTreeMap<_, _> =
        config.services.iter().map(|service| (service.key(), pool(inputs, service))).collect();
    let nat = services.values().any(|service| service.mode == ForwardMode::NAT);
    let routes = if nat { routes(inputs) } else { BTreeMap::new() };
    let denied: BTreeSet<_> = config.firewall.deny.iter().copied().collect();
    Desired {
        settings: Settings {
            hash_key: HashKey::from_seed(config.node.seed),
            abi: layout::ABI,
            stages: stages(nat, !denied.is_empty()),
            service_mask: config.limits.service_lines() - 1,
            answers: AnswerRates { echo: 1000, error: 1000, reset: 10_000, padding: 0 },
            tunnel4: TunnelSource::NONE,
            tunnel6: TunnelSource::NONE,
        },
        devices: devices(inputs, &services, routes.values()),
        services,
        routes,
        denied,
    }
}

/// The routes for the answers of NAT backends: the node's own addresses first, so that the answers
/// to its checks are not taken for a client's. A node that carries a full routing table still
/// works: what does not fit are the longest prefixes.
fn routes(Inputs { config, topology, last_hops, .. }: Inputs<'_>) -> BTreeMap<Prefix, NextHop> {
    let own = topology.addresses.iter().map(|&ip| (Prefix::host(ip.into()), NextHop::LOCAL));
    let mut mirror: Vec<_> = topology.mirror(&last_hops.routes).into_iter().collect();
    mirror.sort_by_key(|(prefix, _)| prefix.length);
    own.chain(mirror).take(config.limits.routes as usize).collect()
}

fn stages(reply: bool, firewall: bool) -> Stages {
    let reply = if reply { Stages::REPLY } else { Stages::NONE };
    let firewall = if firewall { Stages::FIREWALL } else { Stages::NONE };
    reply.with(firewall)
}

fn devices<'a>(
    Inputs { config, topology, .. }: Inputs<'_>,
    services: &'a BTreeMap<ServiceKey, Service>,
    routes: impl Iterator<Item = &'a NextHop>,
) -> BTreeSet<u32> {
    let backends = services.values().flat_map(|service| service.backends.values());
    let hops = backends.map(|backend| &backend.next_hop).chain(routes);
    let attached = config.node.interfaces.iter().filter_map(|name| topology.interface(name));
    attached.chain(hops.filter(|hop| hop.is_resolved()).map(|hop| hop.interface)).collect()
}

fn pool(inputs: Inputs<'_>, service: &config::Service) -> Service {
    let backends = service
        .backends
        .iter()
        .map(|backend| {
            let socket = SocketAddr::new(backend.address, backend.port);
            let desired = Backend {
                weight: backend.weight,
                condition: condition(inputs, service, backend, socket),
                next_hop: next_hop(inputs, service.forward, backend.address),
            };
            (socket.into(), desired)
        })
        .collect();
    let tcp = service.protocol == Protocol::TCP;
    Service {
        mode: service.forward,
        ring_size: service.ring_size,
        on_down: if tcp { DownPolicy::RST } else { DownPolicy::REHASH },
        window: if tcp { 3600 } else { 60 },
        flow_limit: 65_536,
        gue_port: Port::new(6080),
        backends,
    }
}

fn condition(
    Inputs { drains, health, .. }: Inputs<'_>,
    service: &config::Service,
    backend: &config::Backend,
    socket: SocketAddr,
) -> Condition {
    let finding = health.get(&TargetKey { service: service.key(), backend: socket });
    let down = finding.is_some_and(|finding| !finding.up);
    let draining = drains.contains(&(service.name.clone(), backend.name.clone()));
    let down = if down { Condition::DOWN } else { Condition::UP };
    let draining = if draining { Condition::DRAINING } else { Condition::UP };
    down.with(draining)
}

/// With `l2` the backend must be a neighbour: a router would send the VIP's packets back.
fn next_hop(inputs: Inputs<'_>, mode: ForwardMode, backend: IpAddr) -> NextHop {
    let Inputs { topology, last_hops, .. } = inputs;
    let path = topology.path(backend).filter(|path| path.on_link || mode != ForwardMode::L2);
    let Some(path) = path else { return NextHop::UNRESOLVED };
    let last = last_hops.backends.get(&backend).filter(|last| last.interface == path.interface);
    topology.next_hop(&path).or(last.copied()).unwrap_or(NextHop::UNRESOLVED)
}
