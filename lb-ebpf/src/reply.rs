//! Reply: the way back of `nat`, where (backend, port, protocol) names one service.

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    btf_maps::{Array, HashMap, LpmTrie},
    macros::btf_map,
};
use lb_common::{
    addr::Addr,
    route::NextHop,
    service::{REPLY_BITS, Reply, ReplyKey},
    verdict::Verdict,
};

use crate::{lpm, parse::Packet};

#[btf_map]
static REPLIES: HashMap<ReplyKey, Reply, 16384> = HashMap::new();

/// Which keys of the table there may be, a bit for each: nearly all packets that are no answers need
/// no lookup, which is a call of a helper.
#[btf_map]
static REPLY_FILTER: Array<[u32; 2], { REPLY_BITS as usize / 64 }, { BPF_F_MMAPABLE as usize }> =
    Array::new();

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
    if !may_be_known(&key) {
        return Err(Verdict::NoService);
    }
    // SAFETY: as for services: entries are replaced, never changed in place.
    unsafe { REPLIES.get(key) }.ok_or(Verdict::NoService)
}

#[inline(always)]
fn may_be_known(key: &ReplyKey) -> bool {
    let bit = key.bit();
    let Some(pair) = REPLY_FILTER.get(bit / 64) else { return false };
    pair[(bit / 32 % 2) as usize] >> (bit % 32) & 1 != 0
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
