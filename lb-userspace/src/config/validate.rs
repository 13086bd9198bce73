//! The rules of a configuration, pure over [`Config`]: they serve files and run-time changes alike.
//!
//! Here are the rules that look at several services; `node`, `service`, `check`, `vrrp`, `route` and
//! `proxy` have the others.

mod check;
mod keys;
mod node;
mod probe;
mod proxy;
mod route;
mod service;
mod track;
mod vrrp;

use std::collections::{BTreeMap, BTreeSet};

use lb_common::service::ForwardMode;

use super::{Backend, Config, Service};

/// One violated rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The path of the key in the file, such as `service[2].backend[0].weight` (counted from 0).
    pub key: String,
    /// What is wrong, with the names and values involved.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

impl Problem {
    /// A problem with a key.
    #[must_use]
    pub fn new(
        key: impl Into<String>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { key: key.into(), message: message.into(), remedy: remedy.into() }
    }
}

/// Checks all rules; an empty answer means a valid configuration.
#[must_use]
pub fn check(config: &Config) -> Vec<Problem> {
    let Config { node, limits, firewall, answers: _, services, vrrp, routes, proxies } = config;
    let mut problems = node::check(node);
    problems.extend(node::check_limits(limits, firewall));
    for (index, service) in services.iter().enumerate() {
        problems.extend(service::check(index, service));
    }
    for (index, router) in vrrp.iter().enumerate() {
        problems.extend(vrrp::check(index, router));
    }
    for (index, route) in routes.iter().enumerate() {
        problems.extend(route::check(index, route));
    }
    for (index, proxy) in proxies.iter().enumerate() {
        problems.extend(proxy::check(index, proxy));
    }
    problems.extend(sums(config));
    problems.extend(names(services));
    problems.extend(keys::check(services));
    problems.extend(vips_as_backends(config));
    problems.extend(replies(services));
    problems.extend(probe::check(config));
    problems.extend(vrrp::several(config));
    problems.extend(route::several(config));
    problems.extend(track::unknown_services(config));
    problems.extend(proxy::several(config));
    problems
}

/// What is allowed, but probably not meant.
#[must_use]
pub fn warnings(config: &Config) -> Vec<Problem> {
    let services = config.services.iter().enumerate();
    let mut warnings: Vec<_> = services
        .filter(|(_, service)| service.backends.is_empty())
        .map(|(index, service)| {
            Problem::new(
                format!("service[{index}]"),
                format!("`{}` has no backends: its packets are dropped", service.name),
                "add [[service.backend]] tables, or use `lb backend add`",
            )
        })
        .collect();
    if config.services.is_empty() && config.proxies.is_empty() {
        let remedy = "add [[service]] tables (lb.example.toml shows them)";
        warnings.push(Problem::new("service", "no services: nothing is balanced", remedy));
    }
    let idle = config.proxies.iter().enumerate().filter(|(_, it)| it.backends.is_empty());
    warnings.extend(idle.map(|(index, proxy)| {
        Problem::new(
            format!("proxy[{index}]"),
            format!("`{}` has no backends: its sessions are refused", proxy.name),
            "add [[proxy.backend]] tables, or use `lb backend add`",
        )
    }));
    warnings.extend(vrrp::warnings(config));
    warnings.extend(route::warnings(config));
    warnings.extend(track::unchecked_services(config));
    warnings
}

fn sums(config: &Config) -> Vec<Problem> {
    let Config { limits, services, .. } = config;
    let backends = services.iter().map(|service| service.machines().count() as u64).sum();
    let slots = services.iter().map(|service| u64::from(service.ring_size)).sum();
    let rows = [
        ("limits.services", "services", services.len() as u64, limits.services, ""),
        ("limits.backends", "backends", backends, limits.backends, ""),
        ("limits.slots", "slots", slots, limits.slots, ", or give services smaller rings"),
    ];
    rows.into_iter()
        .filter(|(_, _, sum, limit, _)| *sum > u64::from(*limit))
        .map(|(key, what, sum, limit, otherwise)| {
            Problem::new(
                key,
                format!("{sum} {what} are configured, {limit} are allowed"),
                format!("set `{key}` to {sum} or more{otherwise}"),
            )
        })
        .collect()
}

fn names(services: &[Service]) -> Vec<Problem> {
    repeated(services, |service| service.name.as_str())
        .map(|(index, first)| {
            Problem::new(
                format!("service[{index}].name"),
                format!("service[{first}] is named `{}` as well", services[index].name),
                "give each service its own name",
            )
        })
        .collect()
}

/// The items whose key an earlier one has: their index, and the earlier one's.
fn repeated<'a, T, K: Ord>(
    items: &'a [T],
    key: impl Fn(&'a T) -> K,
) -> impl Iterator<Item = (usize, usize)> {
    let mut firsts = BTreeMap::new();
    let mut found = Vec::new();
    for (index, item) in items.iter().enumerate() {
        match *firsts.entry(key(item)).or_insert(index) {
            first if first == index => {}
            first => found.push((index, first)),
        }
    }
    found.into_iter()
}

/// All that a service's packets may be sent to, with what gives their keys: thousands of backends are
/// checked with every change, and nearly all are good.
fn machines(
    index: usize,
    service: &Service,
) -> impl Iterator<Item = (&Backend, impl Fn() -> String)> {
    let places = (0..service.backends.len()).map(Some).chain([None]);
    service.machines().zip(places).map(move |(backend, place)| {
        let key = move || match place {
            Some(position) => format!("service[{index}].backend[{position}].address"),
            None => format!("service[{index}].sorry.address"),
        };
        (backend, key)
    })
}

/// A VIP as a backend would send the packet to the node itself.
fn vips_as_backends(Config { services, vrrp, routes, .. }: &Config) -> Vec<Problem> {
    let virtual_addresses = vrrp.iter().flat_map(|router| &router.addresses).map(|it| it.address);
    let announced = routes.iter().flat_map(|route| &route.addresses).copied();
    let vips = services.iter().map(|service| service.vip);
    let vips: BTreeSet<_> = vips.chain(virtual_addresses).chain(announced).collect();
    let mut problems = Vec::new();
    for (index, service) in services.iter().enumerate() {
        for (Backend { name, address, .. }, key) in machines(index, service) {
            if vips.contains(address) {
                problems.push(Problem::new(
                    key(),
                    format!("{address} of backend `{name}` is a VIP of this node"),
                    "use the backend's own address",
                ));
            }
        }
    }
    problems
}

/// The answers of a nat backend must lead back to one service.
fn replies(services: &[Service]) -> Vec<Problem> {
    let mut owners = BTreeMap::new();
    let mut problems = Vec::new();
    let nat = |(_, service): &(usize, &Service)| service.forward == ForwardMode::NAT;
    for (index, service) in services.iter().enumerate().filter(nat) {
        for (backend, key) in machines(index, service) {
            let reply = (backend.address, backend.port, service.protocol);
            let owner = *owners.entry(reply).or_insert(index);
            if owner != index {
                let (protocol, owner) = (service.protocol.as_str(), &services[owner].name);
                let (address, port, name) = (backend.address, backend.port, &backend.name);
                problems.push(Problem::new(
                    key(),
                    format!(
                        "nat backend `{name}` ({address} port {port}/{protocol}) is in the service \
                         `{owner}` already, and its answers could not be told apart"
                    ),
                    "let the backend listen on another port for this service",
                ));
            }
        }
    }
    problems
}
