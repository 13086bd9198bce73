//! What differs between nodes, read at run time.

use aya_ebpf::{btf_maps::Array, macros::btf_map};
use lb_common::{settings::Settings, verdict::Verdict};

#[btf_map]
static SETTINGS: Array<Settings, 1> = Array::new();

/// The node's settings.
#[inline(always)]
pub fn current() -> Result<&'static Settings, Verdict> {
    SETTINGS.get(0).ok_or(Verdict::Inconsistent)
}
