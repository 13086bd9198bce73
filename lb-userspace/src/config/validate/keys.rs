//! The rules of what names a service in a packet: VIP, protocol and ports.
//!
//! A single port goes before a range that has it, and a range before all ports, so only equals can
//! contradict each other.

use std::collections::BTreeMap;

use lb_common::service::Ports;

use super::{Problem, repeated};
use crate::config::{Service, VIP_RANGES};

pub(super) fn check(services: &[Service]) -> Vec<Problem> {
    let mut problems = same(services);
    let mut ranges = BTreeMap::<_, Vec<usize>>::new();
    for (index, service) in services.iter().enumerate().filter(|(_, it)| !it.ports.is_one()) {
        ranges.entry((service.vip, service.protocol)).or_default().push(index);
    }
    for indexes in ranges.values() {
        problems.extend(overlaps(services, indexes));
        problems.extend(too_many(services, indexes));
    }
    problems
}

fn same(services: &[Service]) -> Vec<Problem> {
    repeated(services, Service::key)
        .map(|(index, first)| {
            let Service { vip, protocol, ports, .. } = &services[index];
            let first = &services[first].name;
            Problem::new(
                format!("service[{index}].vip"),
                format!(
                    "{vip} port {ports}/{} is the service `{first}` already",
                    protocol.as_str()
                ),
                "use another vip, port or protocol, or put the backends into one service",
            )
        })
        .collect()
}

/// Ranges of one VIP and protocol, each with the first before it that it overlaps.
fn overlaps(services: &[Service], indexes: &[usize]) -> Vec<Problem> {
    let ranges = || indexes.iter().copied().filter(|&index| !services[index].ports.is_any());
    let earlier = |index: usize| {
        let ports = services[index].ports;
        let mut before = ranges().take_while(|&other| other < index);
        let other = before.find(|&other| overlap(ports, services[other].ports))?;
        // Equal ones are told of as such.
        (services[other].ports != ports).then_some((index, other))
    };
    ranges()
        .filter_map(earlier)
        .map(|(index, other)| {
            let (Service { vip, ports, .. }, other) = (&services[index], &services[other]);
            Problem::new(
                format!("service[{index}].port"),
                format!(
                    "{ports} overlaps with {} of the service `{}` on {vip}",
                    other.ports, other.name
                ),
                "use ranges that have no port in common",
            )
        })
        .collect()
}

fn overlap(a: Ports, b: Ports) -> bool {
    a.contains(b.first) || b.contains(a.first)
}

fn too_many(services: &[Service], indexes: &[usize]) -> Option<Problem> {
    let index = *indexes.get(VIP_RANGES)?;
    let Service { vip, protocol, .. } = &services[index];
    let (count, protocol) = (indexes.len(), protocol.as_str());
    Some(Problem::new(
        format!("service[{index}].port"),
        format!("{vip} has {count} {protocol} services of several ports, at most {VIP_RANGES} fit"),
        "join ranges, use single ports, or another vip",
    ))
}
