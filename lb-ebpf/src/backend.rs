//! Backend: the line of the table that a slot names.

use aya_ebpf::{bindings::BPF_F_MMAPABLE, btf_maps::Array, macros::btf_map};
use lb_common::{backend::Backend, service::Service, slot::Slot, verdict::Verdict};

/// All backends, in one block a service; 64 bytes each, page-aligned by the mapping.
#[btf_map]
static BACKENDS: Array<Backend, 16384, { BPF_F_MMAPABLE as usize }> = Array::new();

/// The backend of new flows of a slot.
#[inline(always)]
pub fn at(service: &Service, slot: Slot) -> Result<&'static Backend, Verdict> {
    let index = slot.current().ok_or(Verdict::NoBackend)?;
    BACKENDS.get(service.backend_base + u32::from(index)).ok_or(Verdict::Inconsistent)
}
