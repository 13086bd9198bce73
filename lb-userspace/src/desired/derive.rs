//! (configuration, health, topology) → desired state.

mod weight;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use lb_common::{
    addr::{Addr, Port},
    backend::Condition,
    hash::HashKey,
    layout,
    probe::ProbeSettings,
    route::{NextHop, Prefix},
    service::{ForwardMode, ServiceKey},
    settings::{AnswerRates, Settings, Stages},
};

use super::{Backend, Desired, Leaving, Service, Usage, Way, probe, strength, tunnel, usage};
use crate::{
    config::{self, Answers, Config},
    health::{
        TargetKey, View,
        agent::{self, Said, line::Admin},
    },
    topology::{Path, Topology},
};

/// What the desired state depends on, and nothing else.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// What is configured.
    pub config: &'a Config,
    /// What the checks say.
    pub health: &'a View,
    /// What the agents say.
    pub agents: &'a agent::View,
    /// What the kernel knows of the network.
    pub topology: &'a Topology,
    /// The next hops that were in use.
    pub last_hops: &'a LastHops,
    /// The backends that are not configured any more and still have flows.
    pub leaving: &'a Leaving,
}

impl<'a> Inputs<'a> {
    /// What the agent of a backend says, if it has one that has said anything.
    fn said(&self, service: &config::Service, key: &TargetKey) -> Option<&'a Said> {
        service.agent.as_ref().and_then(|_| self.agents.get(key))
    }
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
    let probes = probe::settings(inputs);
    let stages = stages(config, &services, &probes);
    let mirrored = stages.contains(Stages::REPLY);
    let routes = if mirrored { routes(inputs) } else { BTreeMap::new() };
    let denied: BTreeSet<_> = config.firewall.deny.iter().copied().collect();
    Desired {
        settings: Settings {
            hash_key: HashKey::from_seed(config.node.seed),
            abi: layout::ABI,
            stages,
            service_mask: config.limits.service_lines() - 1,
            answers: answers(config.answers),
            tunnel4: tunnel::source(config, inputs.topology, tunnel::Family::V4),
            tunnel6: tunnel::source(config, inputs.topology, tunnel::Family::V6),
            probes,
        },
        devices: devices(inputs, &services, routes.values().chain([&probes.answers])),
        services,
        routes,
        denied,
    }
}

/// The routes for the answers of NAT backends: the node's own addresses first, so that the answers
/// to its checks are not taken for a client's. A node that carries a full routing table still
/// works: what does not fit are the longest prefixes. IPv4's default route, or the note that there
/// is none, always fits where IPv6's does, which would take IPv4 packets otherwise.
fn routes(Inputs { config, topology, last_hops, .. }: Inputs<'_>) -> BTreeMap<Prefix, NextHop> {
    let own = topology.addresses.iter().map(|&ip| (Prefix::host(ip.into()), NextHop::LOCAL));
    let mut mirror: Vec<_> = topology.mirror(&last_hops.routes).into_iter().collect();
    let default4 = Prefix { length: 96, address: Addr::from_v4([0; 4]) };
    mirror.sort_by_key(|(prefix, _)| (*prefix != default4, prefix.length));
    own.chain(mirror).take(config.limits.routes as usize).collect()
}

fn stages(
    config: &Config,
    services: &BTreeMap<ServiceKey, Service>,
    probes: &ProbeSettings,
) -> Stages {
    [
        (Stages::FIREWALL, !config.firewall.deny.is_empty()),
        (Stages::REPLY, services.values().any(|service| service.mode == ForwardMode::NAT)),
        (Stages::WATCHDOG, config.node.watchdog.is_some()),
        (Stages::RANGES, services.keys().any(|key| !key.ports.is_one())),
        (Stages::PROBES, probes.answers.is_resolved()),
    ]
    .into_iter()
    .filter(|(_, needed)| *needed)
    .fold(Stages::NONE, |stages, (stage, _)| stages.with(stage))
}

fn answers(Answers { echo, errors, resets }: Answers) -> AnswerRates {
    AnswerRates { echo, error: errors, reset: resets, padding: 0 }
}

fn devices<'a>(
    Inputs { config, topology, .. }: Inputs<'_>,
    services: &'a BTreeMap<ServiceKey, Service>,
    routes: impl Iterator<Item = &'a NextHop>,
) -> BTreeSet<u32> {
    let stay = services.values().flat_map(|service| service.backends.values());
    let leave = services.values().flat_map(|service| service.leaving.values());
    let ways = stay.map(|backend| &backend.way).chain(leave);
    let hops = ways.map(|way| &way.next_hop).chain(routes);
    let attached = config.node.interfaces.iter().filter_map(|name| topology.interface(name));
    attached.chain(hops.filter(|hop| hop.is_resolved()).map(|hop| hop.interface)).collect()
}

fn pool(inputs: Inputs<'_>, service: &config::Service) -> Service {
    let usage = usage(service, strength(service, inputs.health, inputs.agents));
    let weights = weight::of(inputs, service, usage);
    let pool = service.backends.iter().zip(weights);
    let pool = pool.map(|(it, weight)| (it, backend(inputs, service, usage, it, weight)));
    let sorry = service.sorry.iter().map(|it| (it, sorry(inputs, service, usage, it)));
    let backends = pool.chain(sorry);
    let backends = backends.map(|(it, desired)| (it.socket().into(), desired)).collect();
    let leaving = inputs.leaving.get(&service.key()).into_iter().flatten();
    let leaving =
        leaving.map(|endpoint| (*endpoint, way(inputs, service.forward, endpoint.address.to_ip())));
    Service {
        leaving: leaving.collect(),
        probes: probe::pool(inputs, service),
        mode: service.forward,
        ring_size: service.ring_size,
        on_down: service.on_down,
        window: service.window.as_secs().try_into().unwrap_or(u32::MAX),
        flow_limit: service.flow_table,
        gue_port: Port::new(service.gue_port),
        backends,
    }
}

fn backend(
    inputs: Inputs<'_>,
    service: &config::Service,
    usage: Usage,
    backend: &config::Backend,
    weight: u16,
) -> Backend {
    let key = TargetKey::of(service, backend);
    let said = inputs.said(service, &key);
    let fails = inputs.health.get(&key).is_some_and(|finding| !finding.up);
    let down = (fails || said.is_some_and(Said::is_down)) && usage != Usage::Panic;
    let shut = backend.admin == config::Admin::Maintenance
        || said.is_some_and(|said| said.admin == Admin::Maint);
    let condition = [
        (Condition::DOWN, down || shut),
        (Condition::DRAINING, matches!(backend.admin, config::Admin::Drain { .. })),
        (Condition::WITHDRAWN, said.is_some_and(Said::is_withdrawn)),
    ]
    .into_iter()
    .filter(|(_, is_so)| *is_so)
    .fold(Condition::UP, |condition, (one, _)| condition.with(one));
    Backend { weight, condition, way: way(inputs, service.forward, backend.address) }
}

/// It is there before it is needed, so that the way to it is known.
fn sorry(
    inputs: Inputs<'_>,
    service: &config::Service,
    usage: Usage,
    backend: &config::Backend,
) -> Backend {
    Backend {
        weight: u16::from(usage == Usage::Sorry),
        condition: Condition::UP,
        way: way(inputs, service.forward, backend.address),
    }
}

fn way(inputs: Inputs<'_>, mode: ForwardMode, backend: IpAddr) -> Way {
    let path = path(inputs.topology, mode, backend);
    Way { next_hop: next_hop(inputs, path.as_ref(), backend), mtu: mtu(mode, path.as_ref()) }
}

/// With `l2` the backend must be a neighbour: a router would send the VIP's packets back.
fn path(topology: &Topology, mode: ForwardMode, backend: IpAddr) -> Option<Path> {
    topology.path(backend).filter(|path| path.on_link || mode != ForwardMode::L2)
}

fn next_hop(inputs: Inputs<'_>, path: Option<&Path>, backend: IpAddr) -> NextHop {
    let Inputs { topology, last_hops, .. } = inputs;
    let last = last_hops.backends.get(&backend);
    let next_hop = path.and_then(|path| topology.next_hop_or_last(path, last));
    next_hop.unwrap_or(NextHop::UNRESOLVED)
}

/// Only what grows can become too long for its way.
fn mtu(mode: ForwardMode, path: Option<&Path>) -> u16 {
    let mtu = path.filter(|_| mode.is_tunnel()).map(|path| path.mtu);
    mtu.and_then(|mtu| mtu.try_into().ok()).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests;
