//! Service: what the destination address, port and protocol lead to.

use aya_ebpf::{btf_maps::HashMap, macros::btf_map};
use lb_common::service::{Service, ServiceKey};

use crate::parse::Packet;

#[btf_map]
static SERVICES: HashMap<ServiceKey, Service, 1024> = HashMap::new();

/// The service that a packet is for.
#[inline(always)]
#[must_use]
pub fn find(packet: &Packet) -> Option<&'static Service> {
    let key = ServiceKey::new(packet.destination, packet.destination_port, packet.protocol);
    // SAFETY: userspace replaces entries and never changes one in place; a replaced entry lives
    // until the program ends (RCU).
    unsafe { SERVICES.get(key) }
}
