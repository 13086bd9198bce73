//! Counters, per CPU: no two CPUs write the same line.

use aya_ebpf::{btf_maps::PerCpuArray, macros::btf_map};
use lb_common::{stats::Traffic, verdict::Verdict};

use crate::{frame::Frame, parse::Packet};

#[btf_map]
static VERDICTS: PerCpuArray<u64, { Verdict::COUNT }> = PerCpuArray::new();

#[btf_map]
static TRAFFIC: PerCpuArray<Traffic, 16384> = PerCpuArray::new();

/// Counts a verdict; gives how many there were on this CPU.
#[inline(always)]
#[must_use]
pub fn verdict(verdict: Verdict) -> u64 {
    let Some(counter) = VERDICTS.get_ptr_mut(verdict.index()) else { return 0 };
    // SAFETY: the entry is this CPU's own, and XDP programs on one CPU do not interleave.
    let counter = unsafe { &mut *counter };
    *counter += 1;
    *counter
}

/// The length of a packet's whole frame, as it arrived.
#[inline(always)]
#[must_use]
pub fn bytes(frame: &Frame, packet: &Packet) -> u64 {
    let (first_buffer, packet) = (frame.len() as u64, packet.end as u64);
    if packet > first_buffer { packet } else { first_buffer }
}

/// Counts a frame towards a backend.
#[inline(always)]
pub fn forwarded(counter: u32, bytes: u64) {
    if let Some(traffic) = TRAFFIC.get_ptr_mut(counter) {
        // SAFETY: as above.
        let traffic = unsafe { &mut *traffic };
        traffic.packets += 1;
        traffic.bytes += bytes;
    }
}

/// Counts a frame of a backend's answer.
#[inline(always)]
pub fn replied(counter: u32, bytes: u64) {
    if let Some(traffic) = TRAFFIC.get_ptr_mut(counter) {
        // SAFETY: as above.
        let traffic = unsafe { &mut *traffic };
        traffic.reply_packets += 1;
        traffic.reply_bytes += bytes;
    }
}
