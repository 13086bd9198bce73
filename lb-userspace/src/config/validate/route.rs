//! The rules of routes.

use std::{collections::BTreeMap, net::IpAddr};

use super::{
    Problem,
    node::interface,
    repeated,
    service::{host, named},
    track,
};
use crate::config::{Config, Route};

/// The rules within one.
pub(super) fn check(index: usize, route: &Route) -> Vec<Problem> {
    let Route { name, addresses, interface, tracks } = route;
    let key = |key: &str| format!("route[{index}].{key}");
    let mut problems = Vec::new();
    problems.extend(named(|| key("name"), name));
    if addresses.is_empty() {
        let remedy = "name one, such as \"203.0.113.10\"";
        problems.push(Problem::new(key("addresses"), "there is none", remedy));
    }
    for (place, address) in addresses.iter().enumerate() {
        problems.extend(host(|| key(&format!("addresses[{place}]")), *address));
    }
    problems.extend(self::interface(|| key("interface"), interface));
    problems.extend(track::check(key, tracks));
    problems
}

/// The rules of routes beside each other, and beside virtual routers.
pub(super) fn several(config: &Config) -> Vec<Problem> {
    let routes = &config.routes;
    let named = |(index, _): (usize, usize)| {
        Problem::new(
            format!("route[{index}].name"),
            format!("another route is named `{}` as well", routes[index].name),
            "give each route its own name",
        )
    };
    let mut problems: Vec<_> = repeated(routes, |it| it.name.as_str()).map(named).collect();
    problems.extend(addresses(config));
    problems
}

/// An address has one owner, which alone puts it on an interface and takes it away.
fn addresses(config: &Config) -> Vec<Problem> {
    let of_routers = config.vrrp.iter().flat_map(|router| {
        let owner = format!("the virtual router `{}`", router.name);
        router.addresses.iter().map(move |it| (it.address, owner.clone()))
    });
    let mut owners: BTreeMap<IpAddr, String> = of_routers.collect();
    let mut problems = Vec::new();
    for (index, route) in config.routes.iter().enumerate() {
        for (place, address) in route.addresses.iter().enumerate() {
            if let Some(owner) = owners.insert(*address, format!("the route `{}`", route.name)) {
                problems.push(Problem::new(
                    format!("route[{index}].addresses[{place}]"),
                    format!("{address} is an address of {owner} already"),
                    "name each address once",
                ));
            }
        }
    }
    problems
}

/// What is allowed, but probably not meant.
pub(super) fn warnings(config: &Config) -> Vec<Problem> {
    let routes = config.routes.iter().enumerate();
    let addresses = routes.flat_map(|(index, route)| {
        let places = route.addresses.iter().enumerate();
        places.map(move |(place, address)| (format!("route[{index}].addresses[{place}]"), *address))
    });
    let is_idle = |address: &IpAddr| config.services.iter().all(|service| service.vip != *address);
    let idle = addresses.filter(|(_, address)| is_idle(address));
    let warning = |(key, address)| {
        let message =
            format!("{address} is the VIP of no service: packets for it end on this node");
        Problem::new(key, message, "add a [[service]] with this `vip`, or remove it")
    };
    idle.map(warning).collect()
}
