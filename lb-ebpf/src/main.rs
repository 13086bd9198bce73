//! The XDP programs of a node and of a backend: verdicts become actions here, and nowhere else.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]

#[cfg(target_arch = "bpf")]
mod programs {
    use aya_ebpf::{bindings::xdp_action, macros::xdp, programs::XdpContext};
    use aya_log_ebpf::debug;
    use lb_common::{
        decap::DecapKind,
        verdict::{Kind, Verdict},
    };
    use lb_ebpf::{decap, devices, pipeline, received::Received, stats};

    /// The node's program: balances what is for a service, passes the rest.
    #[xdp]
    #[expect(clippy::needless_pass_by_value, reason = "the entry point's signature")]
    pub(crate) fn lb(context: XdpContext) -> u32 {
        balance(&context)
    }

    /// The same, for frames in several buffers.
    #[xdp(frags)]
    #[expect(clippy::needless_pass_by_value, reason = "the entry point's signature")]
    pub(crate) fn lb_frags(context: XdpContext) -> u32 {
        balance(&context)
    }

    /// A backend's program: undoes a node's tunnels.
    #[xdp]
    #[expect(clippy::needless_pass_by_value, reason = "the entry point's signature")]
    pub(crate) fn lb_decap(context: XdpContext) -> u32 {
        decapsulate(&context)
    }

    /// The same, for frames in several buffers.
    #[xdp(frags)]
    #[expect(clippy::needless_pass_by_value, reason = "the entry point's signature")]
    pub(crate) fn lb_decap_frags(context: XdpContext) -> u32 {
        decapsulate(&context)
    }

    /// The program of the probe link: sends health checks on the way of clients' packets.
    #[xdp]
    #[expect(clippy::needless_pass_by_value, reason = "the entry point's signature")]
    pub(crate) fn lb_probe(context: XdpContext) -> u32 {
        let sent = pipeline::probe::send(&mut Received(context.ctx));
        // A check's troubles are not those of clients' packets: it has verdicts of its own.
        let (verdict, action) = match sent.and_then(|egress| devices::redirect(egress.interface)) {
            Ok(action) => (Verdict::Probe, action),
            Err(_) => (Verdict::ProbeLost, xdp_action::XDP_DROP),
        };
        let _count = stats::verdict(verdict);
        action
    }

    #[inline(always)]
    fn balance(context: &XdpContext) -> u32 {
        let len = context.data_end() - context.data();
        if pipeline::is_unattended(&Received(context.ctx)) {
            let _count = stats::verdict(Verdict::Unattended);
            return xdp_action::XDP_PASS;
        }
        let (verdict, action) = match pipeline::process(&mut Received(context.ctx)) {
            Ok(egress) if egress.interface as usize == context.ingress_ifindex() => {
                (Verdict::Transmitted, xdp_action::XDP_TX)
            }
            Ok(egress) => match devices::redirect(egress.interface) {
                Ok(action) => (Verdict::Redirected, action),
                Err(verdict) => (verdict, xdp_action::XDP_DROP),
            },
            Err(verdict) => match verdict.kind() {
                Kind::Passed => pass(context, verdict),
                Kind::Answered => (verdict, xdp_action::XDP_TX),
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

    /// What nobody else wants goes to the kernel, unless it is the answer to a check.
    #[inline(always)]
    fn pass(context: &XdpContext, verdict: Verdict) -> (Verdict, u32) {
        match pipeline::probe::answer(&mut Received(context.ctx), verdict) {
            Ok(interface) => match devices::redirect(interface) {
                Ok(action) => (Verdict::ProbeAnswer, action),
                Err(verdict) => (verdict, xdp_action::XDP_DROP),
            },
            Err(Verdict::Inconsistent) => (Verdict::Inconsistent, xdp_action::XDP_DROP),
            Err(verdict) => (verdict, xdp_action::XDP_PASS),
        }
    }

    #[inline(always)]
    fn decapsulate(context: &XdpContext) -> u32 {
        let (Ok(verdict) | Err(verdict)) = decap::process(&mut Received(context.ctx));
        decap::count(verdict);
        match verdict.kind() {
            DecapKind::Unwrapped | DecapKind::Passed => xdp_action::XDP_PASS,
            DecapKind::Dropped => xdp_action::XDP_DROP,
        }
    }

    /// Passes everything: for the far end of a veth, which takes frames from `XDP_TX` only while
    /// it has a program of its own.
    #[xdp(frags)]
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
