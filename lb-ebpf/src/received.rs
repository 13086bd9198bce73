//! What the kernel hands to a program.

use aya_ebpf::{
    bindings::xdp_md,
    helpers::{
        bpf_ktime_get_coarse_ns, bpf_ktime_get_ns, bpf_xdp_adjust_head, bpf_xdp_adjust_tail,
    },
};

use crate::frame::{Buffer, Frame};

/// The frame that a program was called for.
pub struct Received(pub *mut xdp_md);

impl Buffer for Received {
    #[inline(always)]
    fn frame(&mut self) -> Frame {
        // SAFETY: the kernel keeps the frame in place until it is resized.
        unsafe { Frame::of(self.0) }
    }

    #[inline(always)]
    fn move_start(&mut self, by: i32) -> bool {
        // SAFETY: the context of the running program.
        unsafe { bpf_xdp_adjust_head(self.0, by) == 0 }
    }

    #[inline(always)]
    fn move_end(&mut self, by: i32) -> bool {
        // SAFETY: the context of the running program.
        unsafe { bpf_xdp_adjust_tail(self.0, by) == 0 }
    }

    #[inline(always)]
    fn now(&self) -> u64 {
        // SAFETY: it has no conditions.
        unsafe { bpf_ktime_get_ns() }
    }

    #[inline(always)]
    fn second(&self) -> u32 {
        // SAFETY: it has no conditions.
        let now = unsafe { bpf_ktime_get_coarse_ns() };
        (now / 1_000_000_000) as u32
    }
}
