//! The rules of proxies beside each other, and beside services.

use std::{collections::BTreeMap, net::SocketAddr};

use lb_common::addr::{Port, Protocol};

use super::{Problem, repeated};
use crate::config::{
    Config,
    proxy::{Place, Proxy},
};

pub(in crate::config::validate) fn check(config: &Config) -> Vec<Problem> {
    let mut problems = names(config);
    problems.extend(listeners(&config.proxies));
    problems.extend(taken(config));
    problems
}

/// Commands name a pool, be it a service's or a proxy's.
fn names(config: &Config) -> Vec<Problem> {
    let proxies = &config.proxies;
    let twice = repeated(proxies, |it| it.name.as_str())
        .map(|(index, first)| (index, format!("proxy[{first}]")));
    let services: BTreeMap<_, _> =
        config.services.iter().zip(0..).map(|(it, place)| (it.name.as_str(), place)).collect();
    let both = proxies.iter().enumerate().filter_map(|(index, it)| {
        services.get(it.name.as_str()).map(|place: &usize| (index, format!("service[{place}]")))
    });
    let problem = |(index, other): (usize, String)| {
        Problem::new(
            format!("proxy[{index}].name"),
            format!("{other} is named `{}` as well", proxies[index].name),
            "give each proxy and each service its own name",
        )
    };
    twice.chain(both).map(problem).collect()
}

/// An unspecified address stands for all of its port.
fn listeners(proxies: &[Proxy]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut known: Vec<(&Place, &str)> = Vec::new();
    for (index, proxy) in proxies.iter().enumerate() {
        for (position, place) in proxy.listen.iter().enumerate() {
            if let Some((other, name)) = known.iter().find(|(other, _)| clash(place, other)) {
                let other = if *other == place {
                    format!("`{name}` listens there already")
                } else {
                    format!("`{name}` listens at {other} already")
                };
                let key = format!("proxy[{index}].listen[{position}]");
                problems.push(Problem::new(key, other, "use another address or port"));
            }
            known.push((place, &proxy.name));
        }
    }
    problems
}

fn clash(this: &Place, other: &Place) -> bool {
    match (this, other) {
        (Place::Tcp(this), Place::Tcp(other)) => {
            let all = |it: &SocketAddr| it.ip().is_unspecified();
            let alike = this.is_ipv4() == other.is_ipv4();
            this == other || this.port() == other.port() && alike && (all(this) || all(other))
        }
        (Place::Tcp(_) | Place::Unix(_), _) => this == other,
    }
}

/// What the packet path takes never comes to a listener, and what the node itself sends never to the
/// packet path.
fn taken(config: &Config) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, proxy) in config.proxies.iter().enumerate() {
        for (position, place) in proxy.listen.iter().enumerate() {
            problems.extend(service_at(config, place).map(|service| {
                Problem::new(
                    format!("proxy[{index}].listen[{position}]"),
                    format!("the service `{service}` has {place}: no connection would get here"),
                    "use another address or port",
                )
            }));
        }
        for (position, backend) in proxy.backends.iter().enumerate() {
            let place = &backend.address;
            problems.extend(service_at(config, place).map(|service| {
                Problem::new(
                    format!("proxy[{index}].backend[{position}].address"),
                    format!(
                        "{place} is the service `{service}`, which the node's own connections do \
                         not get to"
                    ),
                    "use the backends of the service, by their own addresses",
                )
            }));
        }
    }
    problems
}

/// The name of the service that has an address and port.
fn service_at<'a>(config: &'a Config, place: &Place) -> Option<&'a str> {
    let Place::Tcp(socket) = place else { return None };
    let found = config.services.iter().find(|service| {
        service.vip == socket.ip()
            && service.protocol == Protocol::TCP
            && service.ports.contains(Port::new(socket.port()))
    });
    found.map(|service| service.name.as_str())
}
