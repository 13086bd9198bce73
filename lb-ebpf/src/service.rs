//! Service: what the destination address, port and protocol lead to.

use aya_ebpf::{bindings::BPF_F_MMAPABLE, btf_maps::Array, macros::btf_map};
use lb_common::{
    addr::{Addr, Port, Protocol},
    service::{Occupancy, PROBES, Service, ServiceLine, home},
    settings::{Settings, Stages},
};

/// By open addressing, a service a cache line: no call of a helper.
#[btf_map]
static SERVICES: Array<ServiceLine, 4096, { BPF_F_MMAPABLE as usize }> = Array::new();

/// The service of an address, port and protocol: that of the port, then that of a range, then that
/// of all ports.
#[inline(always)]
#[must_use]
pub fn find(
    vip: &Addr,
    port: Port,
    protocol: Protocol,
    settings: &Settings,
) -> Option<&'static Service> {
    let exact = exact(vip, port, protocol, settings.service_mask);
    if exact.is_some() || !settings.stages.contains(Stages::RANGES) {
        return exact;
    }
    among_ranges(vip, port, protocol, settings.service_mask)
}

/// Whether an address is a VIP.
#[inline(always)]
#[must_use]
pub fn is_vip(address: &Addr, settings: &Settings) -> bool {
    exact(address, Port::ZERO, Protocol::NONE, settings.service_mask).is_some()
}

#[inline(always)]
fn exact(vip: &Addr, port: Port, protocol: Protocol, mask: u32) -> Option<&'static Service> {
    let home = home(vip, port, protocol);
    for probe in 0..PROBES {
        let line = SERVICES.get(home.wrapping_add(probe) & mask)?;
        let key = &line.key;
        if line.occupancy == Occupancy::LIVE
            && key.vip == *vip
            && key.protocol == protocol
            && key.ports.first == port
            && key.ports.last == port
        {
            return Some(&line.service);
        }
        if line.occupancy == Occupancy::EMPTY {
            return None;
        }
    }
    None
}

#[inline(always)]
fn among_ranges(vip: &Addr, port: Port, protocol: Protocol, mask: u32) -> Option<&'static Service> {
    let home = home(vip, Port::ZERO, protocol);
    let mut all_ports = None;
    for probe in 0..PROBES {
        let Some(line) = SERVICES.get(home.wrapping_add(probe) & mask) else { break };
        let key = &line.key;
        if line.occupancy == Occupancy::LIVE
            && key.vip == *vip
            && key.protocol == protocol
            && key.ports.contains(port)
        {
            if !key.ports.is_any() {
                return Some(&line.service);
            }
            all_ports = Some(&line.service);
        }
        if line.occupancy == Occupancy::EMPTY {
            break;
        }
    }
    all_ports
}
