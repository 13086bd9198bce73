//! Admit: what is refused before any service is looked up.

use aya_ebpf::{btf_maps::LpmTrie, macros::btf_map};
use lb_common::{addr::Addr, verdict::Verdict};

use crate::{lpm, parse::Packet};

/// Denied source prefixes, with their [`Addr::version`].
#[btf_map]
static DENIED: LpmTrie<Addr, u32, 16384> = LpmTrie::new();

/// Refuses packets from denied prefixes.
#[inline(always)]
pub fn admit(packet: &Packet) -> Result<(), Verdict> {
    match DENIED.get(&lpm::Host::new(packet.source).key) {
        Some(version) if *version == packet.family.version() => Err(Verdict::Denied),
        _ => Ok(()),
    }
}
