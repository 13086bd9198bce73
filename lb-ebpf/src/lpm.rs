//! Keys of LPM tries.

use aya_ebpf::btf_maps::lpm_trie::Key;
use lb_common::addr::Addr;

/// The key of one host. The address behind the length lies on eight bytes: the verifier takes no
/// access across the words of the stack.
#[repr(C, align(8))]
pub struct Host {
    padding: u32,
    /// What to look up.
    pub key: Key<Addr>,
}

impl Host {
    /// The key of an address.
    #[inline(always)]
    #[must_use]
    pub const fn new(address: Addr) -> Self {
        Self { padding: 0, key: Key::new(128, address) }
    }
}
