//! Slot: which place of the service's ring a flow falls on.

use aya_ebpf::{bindings::BPF_F_MMAPABLE, btf_maps::Array, macros::btf_map};
use lb_common::{hash::slot_index, service::Service, slot::Slot, verdict::Verdict};

/// All rings, one after another; userspace stores whole words. Two words an entry: the kernel pads
/// the entries of an array to 8 bytes.
#[btf_map]
static RINGS: Array<[u32; 2], 2_097_184, { BPF_F_MMAPABLE as usize }> = Array::new();

/// The slot of a flow, by its hash.
#[inline(always)]
pub fn slot(service: &Service, hash: u32) -> Result<Slot, Verdict> {
    let place = service.ring_base + slot_index(hash, service.ring_size);
    let pair = RINGS.get(place / 2).ok_or(Verdict::Inconsistent)?;
    Ok(Slot::from_word(pair[(place % 2) as usize]))
}
