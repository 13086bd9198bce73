//! Backend: the line of the table that a slot names.

use aya_ebpf::{bindings::BPF_F_MMAPABLE, btf_maps::Array, macros::btf_map};
use lb_common::{backend::Backend, service::Service, slot::Index, verdict::Verdict};

/// All backends, in one block a service; 64 bytes each, page-aligned by the mapping.
#[btf_map]
static BACKENDS: Array<Backend, 16384, { BPF_F_MMAPABLE as usize }> = Array::new();

/// The place of a service's backend in the table.
#[inline(always)]
#[must_use]
pub fn place(service: &Service, index: Index) -> u32 {
    service.backend_base + u32::from(index)
}

/// The backend in a place of the table.
#[inline(always)]
pub fn at(place: u32) -> Result<&'static Backend, Verdict> {
    BACKENDS.get(place).ok_or(Verdict::Inconsistent)
}
