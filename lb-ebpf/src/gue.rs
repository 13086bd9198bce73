//! The header of Generic UDP Encapsulation.

use network_types::udp::UdpHdr;

use crate::frame::Header;

/// Variant 0 (draft-ietf-intarea-gue-09 §3.1).
#[repr(C)]
pub(crate) struct GueHeader {
    /// The variant in two bits, the control bit, and the length of what follows in words of four
    /// bytes.
    pub(crate) variant_and_len: u8,
    /// The protocol of what is inside.
    pub(crate) protocol: u8,
    /// None are defined here.
    pub(crate) flags: [u8; 2],
}

// SAFETY: `repr(C)` bytes.
unsafe impl Header for GueHeader {}

/// The bytes of a header without extensions, with UDP's.
pub(crate) const GUE_LEN: usize = UdpHdr::LEN + size_of::<GueHeader>();

impl GueHeader {
    /// The bytes behind this header that still belong to it; `None` for another variant, a control
    /// message, or flags.
    #[inline(always)]
    pub(crate) const fn extensions(&self) -> Option<usize> {
        match (self.variant_and_len >> 5, self.flags) {
            (0, [0, 0]) => Some((self.variant_and_len & 0x1f) as usize * 4),
            _ => None,
        }
    }
}
