//! The XDP programs of a node: verdicts become actions here, and nowhere else.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]

#[cfg(target_arch = "bpf")]
mod programs {
    use aya_ebpf::{bindings::xdp_action, macros::xdp, programs::XdpContext};
    use aya_log_ebpf::debug;
    use lb_common::verdict::{Kind, Verdict};
    use lb_ebpf::{devices, frame::Frame, pipeline, stats};

    /// The node's program: balances what is for a service, passes the rest.
    #[xdp]
    #[expect(clippy::needless_pass_by_value, reason = "the entry point's signature")]
    pub(crate) fn lb(context: XdpContext) -> u32 {
        balance(&context)
    }

    #[inline(always)]
    fn balance(context: &XdpContext) -> u32 {
        // SAFETY: the kernel keeps the frame in place while the program runs.
        let frame = unsafe { Frame::new(context.data(), context.data_end()) };
        let len = frame.len();
        let (verdict, action) = match pipeline::process(frame) {
            Ok(egress) if egress.interface as usize == context.ingress_ifindex() => {
                (Verdict::Transmitted, xdp_action::XDP_TX)
            }
            Ok(egress) => match devices::redirect(egress.interface) {
                Ok(action) => (Verdict::Redirected, action),
                Err(verdict) => (verdict, xdp_action::XDP_DROP),
            },
            Err(verdict) => match verdict.kind() {
                Kind::Passed => (verdict, xdp_action::XDP_PASS),
                Kind::Dropped | Kind::Forwarded => (verdict, xdp_action::XDP_DROP),
            },
        };
        let count = stats::verdict(verdict);
        // The 1st, 2nd, 4th, 8th … of a kind on each CPU: rare without a clock. The level is
        // patched before the program is loaded, so that the verifier removes this when it is off.
        if action == xdp_action::XDP_DROP && count.is_power_of_two() {
            debug!(context, "{} {} {} {}", verdict.index(), count, len, context.ingress_ifindex());
        }
        action
    }

    /// Passes everything: for the far end of a veth, which takes frames from `XDP_TX` only while
    /// it has a program of its own.
    #[xdp]
    pub(crate) fn lb_pass(_: XdpContext) -> u32 {
        xdp_action::XDP_PASS
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

/// The host build exists for the library's tests alone.
#[cfg(not(target_arch = "bpf"))]
fn main() {}
