//! From a backend to its requirements.

use std::net::IpAddr;

use super::{Requirement, TunnelDevice};
use crate::backend::{Spec, TunnelEnd, spec::Arrival};

/// All that a backend needs, in the order in which it is to be made: ARP is silent before the VIP
/// comes.
#[must_use]
pub fn requirements(spec: &Spec) -> Vec<Requirement> {
    let Spec { interface, arrival } = spec;
    let mut list = vec![Requirement::Interface { name: interface.clone() }];
    match arrival {
        Arrival::L2 { vips } => list.extend(on_loopback(interface, vips)),
        Arrival::Nat { gateway } => list.push(Requirement::Gateway { address: *gateway }),
        Arrival::Tunnel { vips, gue_port, end } => {
            list.extend(on_loopback(interface, vips));
            list.extend(tunnel_end(interface, vips, *gue_port, end));
            list.push(mtu(interface, *gue_port, end));
        }
    }
    list
}

/// The VIPs, which the machines of the link must not learn of.
fn on_loopback(interface: &str, vips: &[IpAddr]) -> Vec<Requirement> {
    let mut list = Vec::new();
    if vips.iter().any(IpAddr::is_ipv4) {
        for name in ["all", interface] {
            let path = |key| format!("net/ipv4/conf/{name}/{key}");
            list.push(Requirement::Sysctl {
                path: path("arp_ignore"),
                value: 1,
                accepted: &[1, 2],
                why: "the node, not this backend, answers ARP for the VIP",
            });
            list.push(Requirement::Sysctl {
                path: path("arp_announce"),
                value: 2,
                accepted: &[2],
                why: "the VIP is not announced as the sender of ARP",
            });
        }
    }
    list.extend(vips.iter().map(|vip| Requirement::Vip { address: *vip }));
    list
}

fn tunnel_end(
    interface: &str,
    vips: &[IpAddr],
    gue_port: Option<u16>,
    end: &TunnelEnd,
) -> Vec<Requirement> {
    let [v4, v6] = match end {
        TunnelEnd::Decap(options) => {
            let (interface, options) = (interface.to_owned(), options.clone());
            return vec![Requirement::Decap { interface, options, gue: gue_port.is_some() }];
        }
        TunnelEnd::Kernel { outer } => *outer,
    };
    let inside = |v4| vips.iter().any(|vip| vip.is_ipv4() == v4);
    let devices = [
        (TunnelDevice::Tunl0, v4 && inside(true)),
        (TunnelDevice::Sit0, v4 && inside(false)),
        (TunnelDevice::Ip6tnl0, v6),
    ];
    let devices = devices.into_iter().filter_map(|(device, needed)| needed.then_some(device));
    let mut list = Vec::new();
    for device in devices {
        list.push(Requirement::Device { device });
        // IPv6 has no such filter of its own.
        if inside(true) && device != TunnelDevice::Sit0 {
            list.push(Requirement::ReversePath { device });
        }
    }
    if let Some(port) = gue_port {
        let families = [(v4, false), (v6, true)].into_iter().filter(|(used, _)| *used);
        list.extend(families.map(|(_, v6)| Requirement::Fou { port, v6 }));
    }
    list
}

fn mtu(interface: &str, gue_port: Option<u16>, end: &TunnelEnd) -> Requirement {
    let v6 = match end {
        TunnelEnd::Decap(options) => options.sources.iter().any(|it| !it.address.is_v4()),
        TunnelEnd::Kernel { outer: [_, v6] } => *v6,
    };
    let overhead = if v6 { 40 } else { 20 } + if gue_port.is_some() { 12 } else { 0 };
    Requirement::Mtu { interface: interface.into(), overhead }
}
