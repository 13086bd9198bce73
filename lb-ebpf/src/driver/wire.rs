//! The ends of the benchmark on a wire: a program that counts its packets, and one that sends every
//! frame on.

use core::ptr;

use aya_ebpf::{
    bindings::xdp_action,
    btf_maps::PerCpuArray,
    macros::{btf_map, xdp},
    programs::XdpContext,
};

/// The packets counted so far, by CPU.
#[btf_map]
static COUNTED: PerCpuArray<u64, 1> = PerCpuArray::new();

/// The destination and source MAC that frames are sent on with; written when the object is loaded.
#[unsafe(no_mangle)]
static NEXT_HOP: [u16; 6] = [0; 6];

const ETHERNET: usize = 14;
const IPV4: usize = 20;
const UDP: usize = 8;
const GUE: usize = 4;
/// The UDP port that GUE goes to.
const GUE_PORT: u16 = 6080_u16.to_be();
/// What pktgen's payload begins with: `PKTGEN_MAGIC` of `net/core/pktgen.c`.
const MAGIC: u32 = 0xbe9b_e955_u32.to_be();

/// Counts and drops the benchmark's packets, in whatever they were put; passes all others.
#[xdp]
#[expect(clippy::needless_pass_by_value, reason = "the entry point's signature")]
pub(crate) fn count(context: XdpContext) -> u32 {
    if !is_counted(&context).unwrap_or(false) {
        return xdp_action::XDP_PASS;
    }
    if let Some(counted) = COUNTED.get_ptr_mut(0) {
        // SAFETY: the entry is this CPU's own, and XDP programs on one CPU do not interleave.
        unsafe { *counted += 1 };
    }
    xdp_action::XDP_DROP
}

#[inline(always)]
fn is_counted(context: &XdpContext) -> Option<bool> {
    if read::<u16>(context, 12)? != 0x0800_u16.to_be() {
        return Some(false);
    }
    let tunnel = match read::<u8>(context, ETHERNET + 9)? {
        4 => IPV4,
        17 if read::<u16>(context, ETHERNET + IPV4 + 2)? == GUE_PORT => IPV4 + UDP + GUE,
        17 => 0,
        _ => return Some(false),
    };
    Some(read::<u32>(context, ETHERNET + tunnel + IPV4 + UDP)? == MAGIC)
}

/// Sends every IPv4 frame on to the next hop: the least that any forwarder does.
#[xdp]
#[expect(clippy::needless_pass_by_value, reason = "the entry point's signature")]
pub(crate) fn send(context: XdpContext) -> u32 {
    if read::<u16>(&context, 12) != Some(0x0800_u16.to_be()) {
        return xdp_action::XDP_PASS;
    }
    let macs = context.data() as *mut [u16; 6];
    // SAFETY: the type of the frame, which was read, lies behind its MACs.
    unsafe { macs.write(ptr::read_volatile(&raw const NEXT_HOP)) };
    xdp_action::XDP_TX
}

#[inline(always)]
fn read<T>(context: &XdpContext, at: usize) -> Option<T> {
    let place = context.data() + at;
    if place + size_of::<T>() > context.data_end() {
        return None;
    }
    // SAFETY: within the frame, as compared above.
    Some(unsafe { (place as *const T).read_unaligned() })
}
