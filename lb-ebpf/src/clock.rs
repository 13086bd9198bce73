//! The node's clock, which the daemon advances: what it says of time, and of the daemon itself.

use aya_ebpf::{bindings::BPF_F_MMAPABLE, btf_maps::Array, macros::btf_map};

/// The node's tick, and the second of the monotonic clock until which packets may be balanced
/// without a word of the daemon.
#[btf_map]
static CLOCK: Array<[u32; 2], 1, { BPF_F_MMAPABLE as usize }> = Array::new();

/// The node's tick.
#[inline(always)]
#[must_use]
pub fn tick() -> u32 {
    CLOCK.get(0).map_or(0, |clock| clock[0])
}

/// Whether the daemon has been silent for too long, given the second of the monotonic clock.
#[inline(always)]
#[must_use]
pub fn is_overdue(now: u32) -> bool {
    CLOCK.get(0).is_some_and(|clock| now.wrapping_sub(clock[1]).wrapping_sub(1) < u32::MAX / 2)
}
