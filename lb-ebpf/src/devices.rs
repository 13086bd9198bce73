//! The interfaces that packets may leave by.

use aya_ebpf::{btf_maps::DevMapHash, macros::btf_map};
use lb_common::verdict::Verdict;

#[btf_map]
static DEVICES: DevMapHash<64> = DevMapHash::new();

/// Sends the frame out by another interface than it came in by; gives the action to return.
#[inline(always)]
pub fn redirect(interface: u32) -> Result<u32, Verdict> {
    DEVICES.redirect(interface, 0).map_err(|_| Verdict::NoDevice)
}
