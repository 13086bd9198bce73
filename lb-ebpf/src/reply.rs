//! Reply: the way back of `nat`, where (backend, port, protocol) names one service.

use aya_ebpf::{
    btf_maps::{HashMap, LpmTrie},
    macros::btf_map,
};
use lb_common::{
    addr::Addr,
    route::NextHop,
    service::{Reply, ReplyKey},
    verdict::Verdict,
};

use crate::{lpm, parse::Packet};

#[btf_map]
static REPLIES: HashMap<ReplyKey, Reply, 16384> = HashMap::new();

/// The node's own routes, as userspace mirrors them: clients are not in the backends' table.
#[btf_map]
static ROUTES: LpmTrie<Addr, NextHop, 16384> = LpmTrie::new();

/// What a NAT backend's answer is rewritten to.
///
/// # Errors
///
/// [`Verdict::NoService`] if the packet is no backend's answer.
#[inline(always)]
pub fn find(packet: &Packet) -> Result<&'static Reply, Verdict> {
    let key = ReplyKey::new(packet.source, packet.source_port, packet.protocol);
    // SAFETY: as for services: entries are replaced, never changed in place.
    unsafe { REPLIES.get(key) }.ok_or(Verdict::NoService)
}

/// The way to the client.
#[inline(always)]
pub fn route(packet: &Packet) -> Result<&'static NextHop, Verdict> {
    match ROUTES.get(&lpm::Host::new(packet.destination).key) {
        Some(hop) if hop.is_local() => Err(Verdict::Local),
        Some(hop) if hop.is_resolved() => Ok(hop),
        _ => Err(Verdict::NoRoute),
    }
}
