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
    let (ranges, mask) = (settings.stages.contains(Stages::RANGES), settings.service_mask);
    // Nearly all services are where their search begins, and nearly always there is nothing where
    // that of another packet does: only the rest is worth a call.
    let line = SERVICES.get(home(vip, port, protocol) & mask)?;
    if is_of(line, vip, port, protocol) {
        return Some(&line.service);
    }
    let begins_empty = |port| {
        let line = SERVICES.get(home(vip, port, protocol) & mask);
        line.is_none_or(|line| line.occupancy == Occupancy::EMPTY)
    };
    if line.occupancy == Occupancy::EMPTY && (!ranges || begins_empty(Port::ZERO)) {
        return None;
    }
    // A copy, for the reason that `Packet::copy` has.
    let vip = *vip;
    let place = lb_find(&raw const vip, Ends { port, protocol, ranges }.word(), mask);
    if place == NOWHERE { None } else { SERVICES.get(place).map(|line| &line.service) }
}

/// Whether a line is that of a service of one port.
#[inline(always)]
fn is_of(line: &ServiceLine, vip: &Addr, port: Port, protocol: Protocol) -> bool {
    let key = &line.key;
    line.occupancy == Occupancy::LIVE
        && key.vip == *vip
        && key.protocol == protocol
        && key.ports.first == port
        && key.ports.last == port
}

/// Whether an address is a VIP.
#[inline(always)]
#[must_use]
pub fn is_vip(address: &Addr, settings: &Settings) -> bool {
    let ends = Ends { port: Port::ZERO, protocol: Protocol::NONE, ranges: false };
    lb_find(address, ends.word(), settings.service_mask) != NOWHERE
}

/// No line of the table.
const NOWHERE: u32 = u32::MAX;

/// What a search is for, besides the address.
#[derive(Clone, Copy)]
struct Ends {
    port: Port,
    protocol: Protocol,
    /// Whether services of several ports are looked for.
    ranges: bool,
}

impl Ends {
    #[inline(always)]
    const fn word(self) -> u32 {
        let [a, b] = self.port.wire();
        u32::from_ne_bytes([a, b, self.protocol.0, self.ranges as u8])
    }

    #[inline(always)]
    const fn from_word(word: u32) -> Self {
        let [a, b, protocol, ranges] = word.to_ne_bytes();
        Self { port: Port::from_wire([a, b]), protocol: Protocol(protocol), ranges: ranges != 0 }
    }
}

/// The line of a service.
///
/// A function that the verifier knows by name: it walks it once, and not again for each way in
/// which a packet can be parsed.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn lb_find(vip: *const Addr, ends: u32, mask: u32) -> u32 {
    // SAFETY: the callers give references; the verifier wants the comparison with null.
    let Some(vip) = (unsafe { vip.as_ref() }) else { return NOWHERE };
    let Ends { port, protocol, ranges } = Ends::from_word(ends);
    match exact(vip, port, protocol, mask) {
        NOWHERE if ranges => among_ranges(vip, port, protocol, mask),
        line => line,
    }
}

#[inline(always)]
fn exact(vip: &Addr, port: Port, protocol: Protocol, mask: u32) -> u32 {
    let home = home(vip, port, protocol);
    for probe in 0..PROBES {
        let place = home.wrapping_add(probe) & mask;
        let Some(line) = SERVICES.get(place) else { break };
        if is_of(line, vip, port, protocol) {
            return place;
        }
        if line.occupancy == Occupancy::EMPTY {
            break;
        }
    }
    NOWHERE
}

#[inline(always)]
fn among_ranges(vip: &Addr, port: Port, protocol: Protocol, mask: u32) -> u32 {
    let home = home(vip, Port::ZERO, protocol);
    let mut all_ports = NOWHERE;
    for probe in 0..PROBES {
        let place = home.wrapping_add(probe) & mask;
        let Some(line) = SERVICES.get(place) else { break };
        let key = &line.key;
        if line.occupancy == Occupancy::LIVE
            && key.vip == *vip
            && key.protocol == protocol
            && key.ports.contains(port)
        {
            if !key.ports.is_any() {
                return place;
            }
            all_ports = place;
        }
        if line.occupancy == Occupancy::EMPTY {
            break;
        }
    }
    all_ports
}
