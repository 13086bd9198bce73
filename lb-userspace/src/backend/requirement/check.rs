//! Whether a machine is as a requirement wants it.

use super::{ETHERNET_MTU, Requirement, TunnelDevice, reverse_path};
use crate::backend::{
    decap,
    machine::{Link, Machine},
    prefix_text,
};

/// What was found of a requirement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It is so.
    Ok,
    /// It is not so, but this.
    Missing(String),
    /// It need not be so, but this should be known.
    Note(String),
}

impl Requirement {
    /// The settings that decide on it.
    pub(in crate::backend) fn sysctls(&self) -> Vec<String> {
        match self {
            Self::Sysctl { path, .. } => vec![path.clone()],
            Self::ReversePath { device } => ["all", device.name()].map(reverse_path).into(),
            Self::Interface { .. }
            | Self::Vip { .. }
            | Self::Decap { .. }
            | Self::Device { .. }
            | Self::Fou { .. }
            | Self::Gateway { .. }
            | Self::Mtu { .. } => Vec::new(),
        }
    }

    /// Whether a machine is so.
    #[must_use]
    pub fn check(&self, machine: &Machine) -> Finding {
        match self {
            Self::Interface { name } => match machine.links.get(name) {
                Some(Link { up: true, .. }) => Finding::Ok,
                Some(_) => Finding::Missing(format!("{name} is down")),
                None => Finding::Missing(no_device(name)),
            },
            Self::Sysctl { path, accepted, .. } => match machine.sysctls.get(path) {
                Some(value) if accepted.contains(value) => Finding::Ok,
                Some(value) => Finding::Missing(format!("it is {value}")),
                None => Finding::Missing("there is no such setting".into()),
            },
            Self::Vip { address } => {
                let lo = machine.links.get("lo");
                let found = lo.is_some_and(|lo| lo.addresses.contains(address));
                ok_or(found, || "lo does not have it".into())
            }
            Self::Decap { interface, options, gue } => {
                check_decap(machine, interface, options, *gue)
            }
            Self::Device { device } => check_device(machine, *device),
            Self::ReversePath { device } => check_reverse_path(machine, device.name()),
            Self::Fou { port, v6 } => ok_or(listens(&machine.fou, *port, *v6), || {
                format!("`ip fou show` lists no such port {port}")
            }),
            Self::Gateway { address } => ok_or(machine.gateways.contains(address), || {
                let found: Vec<_> = machine.gateways.iter().map(ToString::to_string).collect();
                let found = if found.is_empty() { "nobody".into() } else { found.join(", ") };
                format!("default routes lead through {found}")
            }),
            Self::Mtu { interface, overhead } => check_mtu(machine, interface, *overhead),
        }
    }
}

fn ok_or(is_so: bool, found: impl FnOnce() -> String) -> Finding {
    if is_so { Finding::Ok } else { Finding::Missing(found()) }
}

fn no_device(name: &str) -> String {
    format!("there is no device {name}")
}

fn check_device(machine: &Machine, device: TunnelDevice) -> Finding {
    match machine.links.get(device.name()) {
        Some(Link { up: true, .. }) => Finding::Ok,
        Some(_) => Finding::Missing(format!("{} is down", device.name())),
        None => Finding::Missing(no_device(device.name())),
    }
}

/// The larger of the two settings counts; 1 is strict, 2 is loose.
fn check_reverse_path(machine: &Machine, device: &str) -> Finding {
    let value = |name| machine.sysctls.get(&reverse_path(name)).copied();
    match (value("all"), value(device)) {
        (_, None) => Finding::Missing(no_device(device)),
        (all, Some(own)) => ok_or(all.unwrap_or(0).max(own) != 1, || "rp_filter is 1".into()),
    }
}

/// A line is `port 6080 gue`, with `-6` behind it for IPv6.
fn listens(fou: &str, port: u16, v6: bool) -> bool {
    let port = port.to_string();
    fou.lines().any(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        words.starts_with(&["port", &port]) && words.contains(&"gue") && words.contains(&"-6") == v6
    })
}

fn check_decap(machine: &Machine, interface: &str, wanted: &decap::Options, gue: bool) -> Finding {
    let programs = machine.links.get(interface).map(|link| &link.programs);
    let attached = machine
        .decap
        .as_ref()
        .filter(|decap| programs.is_some_and(|programs| programs.contains(&decap.program)));
    let Some(decap) = attached else {
        return Finding::Missing("it is not attached".into());
    };
    let decap::Options { sources, gue_port, mode: _ } = &decap.options;
    if gue && *gue_port != wanted.gue_port {
        return Finding::Missing(format!("it takes GUE at port {gue_port}"));
    }
    let lacking = wanted.sources.iter().filter(|source| !sources.contains(source));
    let lacking: Vec<_> = lacking.map(prefix_text).collect();
    ok_or(lacking.is_empty(), || format!("it does not undo those from {}", lacking.join(", ")))
}

fn check_mtu(machine: &Machine, interface: &str, overhead: u32) -> Finding {
    let mtu = machine.links.get(interface).map_or(0, |link| link.mtu);
    if mtu >= ETHERNET_MTU + overhead {
        return Finding::Ok;
    }
    let room = mtu.saturating_sub(overhead);
    Finding::Note(format!(
        "its MTU is {mtu}: nodes tell clients to send packets of at most {room} bytes"
    ))
}
