//! The rules of virtual routers beside each other, and beside services.

use std::collections::BTreeMap;

use super::{Problem, repeated};
use crate::config::{
    Config,
    vrrp::{VirtualAddress, Vrrp},
};

pub(in crate::config::validate) fn check(config: &Config) -> Vec<Problem> {
    let routers = &config.vrrp;
    let mut problems = names(routers);
    problems.extend(numbers(routers));
    problems.extend(addresses(routers));
    problems
}

fn names(routers: &[Vrrp]) -> Vec<Problem> {
    let named = |(index, _): (usize, usize)| {
        Problem::new(
            format!("vrrp[{index}].name"),
            format!("another virtual router is named `{}` as well", routers[index].name),
            "give each virtual router its own name",
        )
    };
    repeated(routers, |it| it.name.as_str()).map(named).collect()
}

fn numbers(routers: &[Vrrp]) -> Vec<Problem> {
    let same = |(index, first): (usize, usize)| {
        let Vrrp { interface, id, .. } = &routers[index];
        let family = if routers[index].is_ipv4() { "IPv4" } else { "IPv6" };
        let first = &routers[first].name;
        Problem::new(
            format!("vrrp[{index}].id"),
            format!("{id} on {interface} over {family} is `{first}` already"),
            "use an id that no virtual router on this link has",
        )
    };
    repeated(routers, |it| (&it.interface, it.id, it.is_ipv4())).map(same).collect()
}

fn addresses(routers: &[Vrrp]) -> Vec<Problem> {
    let mut owners = BTreeMap::new();
    let mut problems = Vec::new();
    for (index, router) in routers.iter().enumerate() {
        for (place, VirtualAddress { address, .. }) in router.addresses.iter().enumerate() {
            if let Some(owner) = owners.insert(address, &router.name) {
                problems.push(Problem::new(
                    format!("vrrp[{index}].addresses[{place}]"),
                    format!("{address} is an address of `{owner}` already"),
                    "name each address once",
                ));
            }
        }
    }
    problems
}

/// What is allowed, but probably not meant.
pub(in crate::config::validate) fn warnings(config: &Config) -> Vec<Problem> {
    let mut warnings = Vec::new();
    for (index, router) in config.vrrp.iter().enumerate() {
        if router.virtual_mac && !router.peers.is_empty() {
            warnings.push(Problem::new(
                format!("vrrp[{index}].virtual_mac"),
                "switches learn where the MAC address is from adverts to the group, and these go to \
                 `peers`",
                "remove one of both",
            ));
        }
        let is_fellow = |it: &&Vrrp| it.group == router.group;
        if let Some(group) = &router.group
            && config.vrrp.iter().filter(is_fellow).count() == 1
        {
            warnings.push(Problem::new(
                format!("vrrp[{index}].group"),
                format!("`{}` is alone in the group `{group}`", router.name),
                "name the group at another virtual router as well, or remove it",
            ));
        }
    }
    warnings
}
