//! What the benchmark's driver program is told: which frame to restore before each pass, and which
//! flow to write into it.

/// The driver's order: one entry of one map.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drive {
    /// The frame's first bytes; frames are this long.
    pub template: [u64; Drive::FRAME / 8],
    /// The passes so far.
    pub passes: u64,
    /// The flows, a power of two, minus one.
    pub flow_mask: u32,
    /// The services, a power of two, minus one: flows are dealt out to them.
    pub service_mask: u32,
    /// Where in the frame the last four bytes of the client's address stand.
    pub client_at: u16,
    /// Where the client's port stands; 0: nowhere.
    pub port_at: u16,
    /// Where the last four bytes of the VIP stand.
    pub vip_at: u16,
    /// Zero.
    pub padding: u16,
    /// The last four bytes of the first service's VIP; the others follow.
    pub first_vip: u32,
    /// Zero.
    pub reserved: u32,
    /// The kernel's monotonic clock, in ns, each [`Drive::SEGMENT`] passes, in turns.
    pub marks: [u64; Drive::MARKS],
}

/// A flow of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drawn {
    /// The last four bytes of the client's address, as a number.
    pub client: u32,
    /// The client's port.
    pub port: u16,
    /// The last four bytes of the VIP, as a number.
    pub vip: u32,
}

impl Drive {
    /// The length of the frames, in bytes.
    pub const FRAME: usize = 128;
    /// The passes between two marks, a power of two: so few that most segments run undisturbed.
    pub const SEGMENT: u32 = 4096;
    /// The marks that are kept, a power of two.
    pub const MARKS: usize = 32;
    /// Odd, so that a multiple of it passes through all residues of a power of two.
    const STRIDE: u32 = 0x9e37_79b1;

    /// The mark to make before a pass, if there is one.
    #[inline(always)]
    #[must_use]
    pub const fn mark(pass: u64) -> Option<usize> {
        if pass.is_multiple_of(Self::SEGMENT as u64) {
            Some((pass / Self::SEGMENT as u64) as usize % Self::MARKS)
        } else {
            None
        }
    }

    /// The flow of a pass: each of them once before any comes again, neighbours far apart.
    #[inline(always)]
    #[must_use]
    pub const fn flow(&self, pass: u64) -> Drawn {
        let index = (pass as u32).wrapping_mul(Self::STRIDE) & self.flow_mask;
        let client = index.wrapping_mul(Self::STRIDE);
        Drawn {
            client,
            port: (client >> 16) as u16 | 1024,
            vip: self.first_vip + (index & self.service_mask),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_flow_comes_once_in_a_period() {
        let drive = Drive {
            template: [0; Drive::FRAME / 8],
            passes: 0,
            flow_mask: 16_383,
            service_mask: 255,
            client_at: 26,
            port_at: 34,
            vip_at: 30,
            padding: 0,
            first_vip: 0xcb00_7100,
            reserved: 0,
            marks: [0; Drive::MARKS],
        };
        let clients: BTreeSet<u32> = (0..16_384).map(|pass| drive.flow(pass).client).collect();
        assert_eq!(clients.len(), 16_384);
        let vips: BTreeSet<u32> = (0..256).map(|pass| drive.flow(pass).vip).collect();
        assert_eq!(vips.len(), 256);
        assert_eq!(drive.flow(5), drive.flow(5 + 16_384));
    }
}
