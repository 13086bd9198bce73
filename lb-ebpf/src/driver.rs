//! The benchmark's driver: gives the node's program a fresh packet in each pass of
//! `BPF_PROG_TEST_RUN`, which by itself would give it what the last pass left.
//!
//! The program under test is tail-called as it is shipped. Empty programs in its place show what the
//! driver itself takes. Beside it: what the benchmark on a wire attaches.
#![cfg_attr(target_arch = "bpf", no_std, no_main, feature(asm_experimental_arch))]

#[cfg(target_arch = "bpf")]
#[path = "driver/wire.rs"]
mod wire;

#[cfg(target_arch = "bpf")]
mod programs {
    use core::ptr;

    use aya_ebpf::{
        bindings::xdp_action,
        btf_maps::{Array, ProgramArray},
        helpers::{bpf_ktime_get_ns, bpf_xdp_adjust_head},
        macros::{btf_map, xdp},
        programs::XdpContext,
    };
    use lb_common::drive::Drive;

    #[btf_map]
    static DRIVE: Array<Drive, 1> = Array::new();

    #[btf_map]
    static TARGET: ProgramArray<1> = ProgramArray::new();

    /// Restores the packet, writes the next flow into it, and goes on to the program under test.
    #[xdp(frags)]
    #[expect(clippy::needless_pass_by_value, reason = "the entry point's signature")]
    pub(crate) fn drive(context: XdpContext) -> u32 {
        match prepare(&context) {
            Some(()) => {
                // SAFETY: the context of the running program. It returns only if there is no target.
                unsafe { TARGET.tail_call(&context, 0) };
                xdp_action::XDP_ABORTED
            }
            None => xdp_action::XDP_ABORTED,
        }
    }

    #[inline(always)]
    fn prepare(context: &XdpContext) -> Option<()> {
        let drive = DRIVE.get_ptr_mut(0)?;
        // SAFETY: test runs of one driver never overlap.
        let drive = unsafe { &mut *drive };
        if let Some(mark) = Drive::mark(drive.passes)
            && let Some(mark) = drive.marks.get_mut(mark)
        {
            // SAFETY: it has no conditions.
            *mark = unsafe { bpf_ktime_get_ns() };
        }
        let grown = lb_ebpf::frame::distance(context.data_end() - context.data())
            - lb_ebpf::frame::distance(Drive::FRAME);
        // SAFETY: the context of the running program.
        if grown != 0 && unsafe { bpf_xdp_adjust_head(context.ctx, grown) } != 0 {
            return None;
        }
        let start = context.data();
        if start + Drive::FRAME > context.data_end() {
            return None;
        }
        let frame = start as *mut u64;
        for (place, word) in drive.template.iter().enumerate() {
            // SAFETY: within the frame, as compared above.
            unsafe { frame.add(place).write_unaligned(*word) };
        }
        let flow = drive.flow(drive.passes);
        write(context, drive.client_at, flow.client.to_be())?;
        write(context, drive.vip_at, flow.vip.to_be())?;
        if drive.port_at != 0 {
            write(context, drive.port_at, flow.port.to_be())?;
        }
        // An atomic addition waits for the stores before it: packets come from a network card, not
        // from this core's store buffer.
        // SAFETY: a word of the map's entry.
        unsafe {
            core::arch::asm!(
                "lock *(u64 *)({passes} + 0) += {one}",
                passes = in(reg) ptr::from_mut(&mut drive.passes),
                one = in(reg) 1u64,
            );
        }
        Some(())
    }

    #[inline(always)]
    fn write<T>(context: &XdpContext, at: u16, value: T) -> Option<()> {
        let place = context.data() + usize::from(at & 0x7f);
        if place + size_of::<T>() > context.data_end() {
            return None;
        }
        // SAFETY: within the frame.
        unsafe { (place as *mut T).write_unaligned(value) };
        Some(())
    }

    /// A target that does nothing.
    #[xdp(frags)]
    pub(crate) fn empty(_: XdpContext) -> u32 {
        xdp_action::XDP_TX
    }

    /// A target that looks for TCP or UDP over IPv4 and exchanges the MACs: the least that any
    /// forwarder does.
    #[xdp(frags)]
    #[expect(clippy::needless_pass_by_value, reason = "the entry point's signature")]
    pub(crate) fn swap(context: XdpContext) -> u32 {
        const LEN: usize = 42;
        const IPV4: u16 = 0x0800_u16.to_be();
        let start = context.data();
        if start + LEN > context.data_end() {
            return xdp_action::XDP_DROP;
        }
        // SAFETY: the words read and written lie within the `LEN` bytes compared above.
        unsafe {
            let protocol = *((start + 23) as *const u8);
            if *((start + 12) as *const u16) != IPV4 || protocol != 6 && protocol != 17 {
                return xdp_action::XDP_PASS;
            }
            let (one, other) = (start as *mut [u16; 3], (start + 6) as *mut [u16; 3]);
            ptr::swap(one, other);
        }
        xdp_action::XDP_TX
    }

    /// A target that does nothing but make room for a header.
    #[xdp(frags)]
    #[expect(clippy::needless_pass_by_value, reason = "the entry point's signature")]
    pub(crate) fn grow(context: XdpContext) -> u32 {
        // SAFETY: the context of the running program.
        match unsafe { bpf_xdp_adjust_head(context.ctx, -20) } {
            0 => xdp_action::XDP_TX,
            _ => xdp_action::XDP_DROP,
        }
    }

    #[unsafe(no_mangle)]
    #[unsafe(link_section = "license")]
    static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        // The verifier proves that no packet gets here.
        loop {}
    }
}

/// The driver exists on the BPF target alone.
#[cfg(not(target_arch = "bpf"))]
fn main() {}
