//! The rules of the aliases by which checks go through the packet path.

use std::net::IpAddr;

use lb_common::{probe::Aliases, route::Prefix};

use super::{Backend, Problem, Service};
use crate::config::{Config, vrrp::VirtualAddress};

pub(super) fn check(config: &Config) -> Vec<Problem> {
    config.probe_blocks().flat_map(|it| block(config, it)).collect()
}

fn block(config: &Config, block: Prefix) -> Vec<Problem> {
    let mut problems = Vec::new();
    let (needed, backends) = (Aliases::needed(config.limits.backends), config.limits.backends);
    // Only the last 32 bits of an alias tell it from others.
    let free = 128u32.saturating_sub(block.length).min(32);
    if needed > 1 << free {
        problems.push(Problem::new(
            "node.probe_aliases",
            format!("{} is too small: {backends} backends need {needed} addresses", show(&block)),
            "use a shorter prefix, or lower `limits.backends`",
        ));
    }
    for router in &config.vrrp {
        let taken = |it: &VirtualAddress| block.contains(&it.address.into()).then_some(it.address);
        let whose = format!("the virtual router `{}`", router.name);
        problems.extend(
            router.addresses.iter().filter_map(taken).map(|it| self::taken(&block, it, &whose)),
        );
    }
    for route in &config.routes {
        let taken = |it: &&IpAddr| block.contains(&(**it).into());
        let whose = format!("the route `{}`", route.name);
        let addresses = route.addresses.iter().filter(taken);
        problems.extend(addresses.map(|it| self::taken(&block, *it, &whose)));
    }
    for service in &config.services {
        let Service { name, vip, .. } = service;
        if block.contains(&(*vip).into()) {
            problems.push(taken(&block, *vip, &format!("the VIP of `{name}`")));
        }
        for Backend { name: backend, address, .. } in service.machines() {
            if block.contains(&(*address).into()) {
                let whose = format!("the backend `{name}/{backend}`");
                problems.push(taken(&block, *address, &whose));
            }
        }
    }
    problems
}

fn taken(block: &Prefix, address: IpAddr, whose: &str) -> Problem {
    Problem::new(
        "node.probe_aliases",
        format!("{} has {address} of {whose}", show(block)),
        "use a prefix that nothing on this network has",
    )
}

fn show(prefix: &Prefix) -> String {
    let length = if prefix.address.is_v4() { prefix.length - 96 } else { prefix.length };
    format!("{}/{length}", prefix.address.to_ip())
}
